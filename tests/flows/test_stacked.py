"""Networks whose gradients are written out, against torch's own; and what is remembered."""

import math
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sbi_inn.flows import likelihood_networks, remembered
from sbi_inn.flows.likelihood_networks import SMALL, Size, Targets, trained
from sbi_inn.flows.stacked import Stacked, said_by

SHAPES = [(3, 4, 7), (3, 1, 7), (3, 7, 7), (3, 1, 7), (3, 7, 5), (3, 1, 5)]
DECAY, STEEPEST, RATE = 1e-2, 0.5, 3e-3


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def test_steps_are_those_of_torch_to_the_last_bit(weights):
    mine = Stacked(weights, DECAY)
    theirs = [weight.clone().requires_grad_() for weight in weights]
    optimiser = torch.optim.AdamW(theirs, lr=RATE, weight_decay=DECAY, foreach=True)
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        x, target = (torch.randn(3, 9, n, generator=generator) for n in (4, 5))
        said = mine(x).requires_grad_()
        (slope,) = torch.autograd.grad(F.softplus(said - target).sum(), said)
        mine.step(slope, STEEPEST, RATE)
        optimiser.zero_grad()
        F.softplus(said_by(theirs, x) - target).sum().backward()
        nn.utils.clip_grad_norm_(theirs, STEEPEST)
        optimiser.step()
        assert all(torch.equal(a, b) for a, b in zip(mine.weights, theirs, strict=True))


def test_a_copy_does_not_change(weights):
    networks = Stacked(weights, DECAY)
    x = torch.ones(3, 2, 4)
    before, kept = networks(x), networks.copy()
    networks.step(torch.ones(3, 2, 5), STEEPEST, RATE)
    assert torch.equal(said_by(kept, x), before)
    assert not torch.equal(networks(x), before)


def rows(n):
    """Parameters of n rows, what networks learn of one observable, and parts of the rows."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 2, generator=generator)
    left = x[:, :1].sin() + torch.randn(n, 1, generator=generator)
    no = torch.zeros(1, dtype=torch.bool)
    targets = Targets(
        left.expand(3, -1, -1), torch.zeros(n, 1), no, no, torch.ones(1), torch.zeros(1)
    )
    every = torch.arange(n)
    seen = [every, every[every % 2 == 0], every[every % 2 == 1]]
    return x, targets, seen, [seen[2], seen[1]]


def looks(monkeypatch, beat=math.inf):
    """Train, and give what was found, and the losses of rows left out at each look."""
    found, held = [], likelihood_networks._held_losses

    def watched(*args):
        losses = held(*args)
        found.append(float(losses.mean()))
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(likelihood_networks, "_held_losses", watched)
        # Without its memory.
        return trained.__wrapped__(*rows(120), Size(128, 6_000, 1e-2), beat), found


def test_what_has_lost_is_trained_no_further_and_its_best_is_kept(monkeypatch):
    """Of a hundred rows a large network soon knows each by heart."""
    (best, weights), short = looks(monkeypatch)
    monkeypatch.setattr(likelihood_networks, "LOST", float("inf"))
    (other, others), whole = looks(monkeypatch)
    assert short == whole[: len(short)]
    assert len(short) < len(whole)
    assert best == other == min(whole)
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))


def test_who_falls_behind_another_is_trained_no_further_after_half(monkeypatch):
    monkeypatch.setattr(likelihood_networks, "LOST", math.inf)
    whole, short, ahead = (looks(monkeypatch, beat)[1] for beat in (math.inf, 0.0, 1e3))
    assert short == whole[: len(short)]
    assert len(whole) / 4 < len(short) < len(whole)
    assert ahead == whole


def test_who_asks_again_is_given_the_same(monkeypatch):
    first = trained(*rows(120), SMALL)
    monkeypatch.setattr(likelihood_networks, "Stacked", None)  # nothing is trained any more
    assert trained(*rows(120), SMALL) is first
    with pytest.raises(TypeError):
        trained(*rows(121), SMALL)
    with pytest.raises(TypeError):
        trained(*rows(120), SMALL._replace(rate=1e-3))


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


def test_one_row_far_out_does_not_decide_when_training_stops():
    torch.manual_seed(1)
    x = torch.randn(1_000, 2)
    left = (2 * x[:, :1]).sin() + 0.1 * torch.randn(1_000, 1)
    x[7], left[7] = 12.0, 1e4  # what networks say so far out is chance, and gets worse
    no, every = torch.zeros(1, dtype=torch.bool), torch.arange(1_000)
    targets = Targets(
        left.expand(3, -1, -1), torch.zeros(1_000, 1), no, no, torch.ones(1), torch.zeros(1)
    )
    rows, held = [every, every[500:], every[:500]], [every[:500], every[500:]]
    losses = {}
    for toned in (True, False):
        _, weights = trained(x, targets, rows, held, Size(32, 1_500, 5e-3), toned=toned)
        each = likelihood_networks._rows_losses(weights, x, targets, held)
        losses[toned] = float(each[torch.arange(1_000) != 7].mean())
    assert losses[True] < losses[False] - 0.1
