"""Work on many observations in several threads of Python, where the user allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

_MOST = ContextVar("most threads", default=1)

Piece = TypeVar("Piece")
Found = TypeVar("Found")


@contextmanager
def threads(most: int) -> Iterator[None]:
    """Let work in this block use so many threads.

    Examples
    --------
    >>> from sbi_inn.shared_work.in_threads import in_threads, threads
    >>> with threads(2):
    ...     in_threads(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    token = _MOST.set(most)
    try:
        yield
    finally:
        _MOST.reset(token)


def in_threads(work: Callable[[Piece], Found], pieces: Sequence[Piece]) -> list[Found]:
    """Do the same work with each piece, and give what is found, in their order.

    One piece is worked on by one thread of Python: what is found does not depend on how many there
    are.
    """
    most = min(_MOST.get(), len(pieces))
    if most < 2:
        return [work(piece) for piece in pieces]
    differentiated = torch.is_grad_enabled()  # each thread has its own answer to that

    def alike(piece: Piece) -> Found:
        with torch.set_grad_enabled(differentiated):
            return work(piece)

    with ThreadPoolExecutor(most) as pool:
        return list(pool.map(alike, pieces))
