"""Rows in parts, each of which is left out in turn."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Parts that rows are cut into; the others say something of each.
PARTS = 10


def left_out(rows: int, parts: int = PARTS) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the places of each part, and of all other rows.

    Examples
    --------
    >>> part, others = next(left_out(12))
    >>> part.tolist(), len(others)
    ([0, 10], 10)
    """
    places = torch.arange(rows)
    for first in range(parts):
        inside = places % parts == first
        yield places[inside], places[~inside]
