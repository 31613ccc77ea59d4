"""What is asked for again is remembered, and computed once."""

from copy import deepcopy

import torch

from sbi_inn.shared_work import remembered


def test_only_what_was_asked_for_last_is_remembered():
    asked = []

    @remembered.remembered
    def twice(x):
        asked.append(len(x))
        return 2 * x

    for n in (*range(remembered.KEPT), 0, *range(remembered.KEPT, 2 * remembered.KEPT - 1), 0, 1):
        assert torch.equal(twice(torch.ones(n)), torch.full((n,), 2.0))
    assert asked == [*range(2 * remembered.KEPT - 1), 1]


def test_rows_are_asked_for_once():
    asked = []

    def twice(rows):
        asked.append(len(rows))
        return 2 * rows

    memory = remembered.RowMemory(twice)
    first = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(memory(first), 2 * first)
    other = torch.cat([first[[7, 7, 3]], -first[:2], -first[:1]])
    assert torch.equal(memory(other), 2 * other)
    assert torch.equal(memory(first[:0]), first[:0])
    assert asked == [50, 2, 0]
    assert not deepcopy(memory).known


def test_rows_that_were_asked_for_long_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(remembered, "ROWS_KEPT", 3)
    asked = []
    memory = remembered.RowMemory(lambda rows: [asked.extend(rows[:, 0].tolist()), rows][1])
    for few in ([0, 1, 2], [0], [3], [0, 1], [5, 6, 7, 8], [8]):
        rows = torch.tensor(few)[:, None]
        assert torch.equal(memory(rows), rows)
    assert asked == [0, 1, 2, 3, 1, 5, 6, 7, 8]


def test_what_differs_in_shape_or_kind_is_not_the_same():
    given = remembered.remembered(lambda *args: args)
    for x in (
        torch.zeros(2, 3),
        torch.zeros(3, 2),
        torch.zeros(6),
        torch.zeros(6).int(),
        (0,),
        [0],
    ):
        (found,) = given(x)
        assert found is x
