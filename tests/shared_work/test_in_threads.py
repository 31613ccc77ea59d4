"""Work in several threads gives what one thread gives."""

import threading

import pytest
import torch

from sbi_inn.shared_work.in_threads import in_threads, threads


def test_results_come_in_the_order_of_the_pieces():
    pieces = [torch.full((3,), float(n)) for n in range(20)]
    alone = in_threads(torch.exp, pieces)
    with threads(3):
        found = in_threads(torch.exp, pieces)
    assert all(torch.equal(one, other) for one, other in zip(alone, found, strict=True))


def test_pieces_are_worked_on_at_the_same_time():
    both = threading.Barrier(2, timeout=20)
    with threads(2):
        in_threads(lambda _: both.wait(), [0, 1])  # one after the other, they would wait in vain


def test_without_leave_there_is_one_thread():
    assert (
        in_threads(lambda _: threading.current_thread(), [0, 1]) == [threading.current_thread()] * 2
    )


@pytest.mark.parametrize("differentiated", [True, False])
def test_gradients_are_kept_where_they_were_wanted(differentiated):
    x = torch.ones(2, requires_grad=True)
    with threads(2), torch.set_grad_enabled(differentiated):
        found = in_threads(lambda piece: (x * piece).requires_grad, [1.0, 2.0])
    assert found == [differentiated] * 2


def test_errors_are_raised():
    def fail(piece):
        raise ValueError(f"piece {piece}")

    with threads(2), pytest.raises(ValueError, match="piece 0"):
        in_threads(fail, [0, 1])
