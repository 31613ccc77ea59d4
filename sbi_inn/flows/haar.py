"""Haar wavelets as invertible downsampling (dissertation, sec. 3.5 and fig. 3.6)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sbi_inn.flows.bijection import Bijection


class Haar(Bijection):
    """Halve the sides of fields and keep their means and differences as channels; orthonormal.

    A map of c channels becomes one of 4 c: first the means of 2 x 2 pixels, then their differences
    along the width, along the height, and across. A profile of c channels becomes one of 2 c.
    Fields are flat, channel after channel.

    Parameters
    ----------
    channels : int
    sides : tuple of int
        Pixels along each side, one or two, all even.

    Raises
    ------
    ValueError
        If a side is odd.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Haar
    >>> z, log_det = Haar(1, (2, 4))(torch.ones(1, 8), torch.zeros(1, 0))
    >>> z, log_det
    (tensor([[2., 2., 0., 0., 0., 0., 0., 0.]]), tensor([0.]))
    """

    def __init__(self, channels: int, sides: tuple[int, ...]) -> None:
        super().__init__()
        if any(side % 2 for side in sides):
            raise ValueError(f"Haar needs even sides; got {sides}")
        self.channels = channels
        self.sides = sides

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Give means, then differences."""
        batch = len(x)
        z = x.reshape(batch, self.channels, *self.sides)
        for axis in range(len(self.sides)):
            even, odd = _pairs(z, axis + 2)
            # The kinds stand before the channels, the last axis' slowest but one.
            z = torch.cat([even + odd, even - odd], dim=1) / math.sqrt(2)
        return z.flatten(1), x.new_zeros(batch)

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Put the pixels together again."""
        batch, n = len(z), len(self.sides)
        halved = [side // 2 for side in self.sides]
        x = z.reshape(batch, self.channels * 2**n, *halved)
        for axis in reversed(range(n)):
            mean, difference = x.chunk(2, dim=1)
            pair = torch.stack([mean + difference, mean - difference], dim=axis + 3)
            x = pair.flatten(axis + 2, axis + 3) / math.sqrt(2)
        return x.flatten(1), z.new_zeros(batch)


def _pairs(z: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Give every other pixel along an axis, from the first and from the second on."""
    even, odd = z.unflatten(dim, (-1, 2)).unbind(dim + 1)
    return even, odd
