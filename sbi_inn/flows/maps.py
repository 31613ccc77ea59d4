"""A context that holds a vector, and maps of several sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Sides = tuple[int, ...]


@dataclass(frozen=True)
class Maps:
    """Where a vector and maps lie in a flat context: the vector first, then map after map.

    Attributes
    ----------
    vector : int
        Numbers that say the same of every pixel.
    levels : tuple of (int, tuple of int)
        Channels and sides of each map, all sides different.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Maps
    >>> maps = Maps(2, ((3, (4, 4)), (5, (2, 2))))
    >>> maps.width, maps.at(torch.zeros(7, maps.width), (2, 2)).shape
    (70, torch.Size([7, 5, 2, 2]))
    """

    vector: int
    levels: tuple[tuple[int, Sides], ...] = ()

    @property
    def width(self) -> int:
        """Numbers of the whole context."""
        return self.vector + sum(channels * math.prod(sides) for channels, sides in self.levels)

    def channels(self, sides: Sides) -> int:
        """How many channels the map of this size has; 0 if there is none."""
        return next((c for c, known in self.levels if known == sides), 0)

    def at(self, context: Tensor, sides: Sides) -> Tensor:
        """Cut the map of this size out of a context, shape (batch, channels, *sides)."""
        start = self.vector
        for channels, known in self.levels:
            stop = start + channels * math.prod(known)
            if known == sides:
                return context[:, start:stop].reshape(-1, channels, *sides)
            start = stop
        raise ValueError(f"there is no map of sides {sides} among {self.levels}")

    def joined(self, vector: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """Make a context of a vector (batch, vector) and maps (batch, channels, *sides)."""
        return torch.cat([vector, *(level.flatten(1) for level in levels)], dim=1)
