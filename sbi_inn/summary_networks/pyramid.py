"""Features of images at every level of detail, for flows of fields (dissertation, sec. 3.7)."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from sbi_inn.flows import Maps

SMALLEST_SIDE = 4
"""Pixels along a side, below which there is no coarser level."""


class Pyramid(nn.Module):
    """Maps of features, each half as wide as the one before, from images on a grid and a vector.

    Strided convolutions go down to the coarsest map, to which the vector is added; refined on the
    way up, it reaches every level. So whatever was observed becomes maps: images where they are,
    and what has no place, such as a set or a number, by a coarse map.

    Parameters
    ----------
    channels : int
        Of the images.
    sides : tuple of int
        Pixels along each side: one or two, even, at least 4.
    vector : int
        Numbers beside the images; may be 0.
    width : int
        Channels of each map.

    Attributes
    ----------
    maps : Maps
        Where vector and maps are in what it gives.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import Pyramid
    >>> net = Pyramid(2, (16, 8), 3, width=5)
    >>> [sides for _, sides in net.maps.levels]
    [(8, 4), (4, 2)]
    >>> net(torch.randn(7, 2, 16, 8), torch.randn(7, 3)).shape == (7, net.maps.width)
    True
    """

    def __init__(self, channels: int, sides: tuple[int, ...], vector: int, *, width: int) -> None:
        super().__init__()
        levels = levels_of(sides)
        self.maps = Maps(vector, tuple((width, level) for level in levels))
        conv = nn.Conv1d if len(sides) == 1 else nn.Conv2d
        inside = [channels, *[width] * (len(levels) - 1)]
        self.down = nn.ModuleList(conv(n, width, 4, stride=2, padding=1) for n in inside)
        self.look = nn.ModuleList(conv(width, width, 3, padding=1) for _ in levels)
        self.up = nn.ModuleList(conv(width, width, 1) for _ in levels[1:])
        self.coarse = nn.Linear(vector, width * math.prod(levels[-1])) if vector else None

    def forward(self, images: Tensor, vector: Tensor) -> Tensor:
        """Map images (batch, channels, *sides) and a vector (batch, vector) to a flat context."""
        found, x = [], images
        for down, look in zip(self.down, self.look, strict=True):
            x = F.silu(down(x))
            x = x + F.silu(look(x))
            found.append(x)
        if self.coarse is not None:
            found[-1] = found[-1] + self.coarse(vector).reshape(found[-1].shape)
        for level in reversed(range(len(self.up))):
            wide = found[level].shape[2:]
            found[level] = found[level] + self.up[level](F.interpolate(found[level + 1], wide))
        return self.maps.joined(vector, found)


def levels_of(sides: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Give the sides of all coarser levels.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> levels_of((32, 32)), levels_of((12,))
    ([(16, 16), (8, 8), (4, 4), (2, 2)], [(6,), (3,)])
    """
    found = []
    while min(sides) >= SMALLEST_SIDE and not any(side % 2 for side in sides):
        sides = tuple(side // 2 for side in sides)
        found.append(sides)
    if not found:
        raise ValueError(f"expected even sides of at least {SMALLEST_SIDE} pixels; got {sides}")
    return found
