"""The same for all pixels of a field: activation normalisation and mixing of its channels."""

from __future__ import annotations

import torch
from torch import Tensor

from sbi_inn.flows.actnorm import ActNorm
from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.mixing import Orthogonal


class ChannelNorm(Bijection):
    """A learned scale and shift per channel, set by the first training batch.

    Parameters
    ----------
    channels, pixels : int
        Of the fields, which are flat, channel after channel.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ChannelNorm
    >>> x = torch.tensor([[90.0, 110.0, -1.0, 1.0], [110.0, 90.0, 1.0, -1.0]])
    >>> z, _ = ChannelNorm(2, 2)(x, torch.zeros(1, 0))
    >>> [round(value, 1) for value in z[0].tolist()]
    [-0.9, 0.9, -0.9, 0.9]
    """

    def __init__(self, channels: int, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.each = ActNorm(channels)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift; in training, the first batch sets both."""
        z, _ = self.each(_by_pixel(x, self.pixels), context)
        return _by_channel(z, self.pixels), self._log_det(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the scale and the shift."""
        x, _ = self.each.inverse(_by_pixel(z, self.pixels), context)
        return _by_channel(x, self.pixels), -self._log_det(len(z))

    def _log_det(self, batch: int) -> Tensor:
        return (self.pixels * self.each.log_scale.sum()).expand(batch)


class ChannelMixing(Bijection):
    """Multiply the channels of every pixel by one fixed random orthogonal matrix.

    Parameters
    ----------
    channels, pixels : int
        Of the fields, which are flat, channel after channel.
    generator : torch.Generator
        Where the matrix comes from.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ChannelMixing
    >>> mixing = ChannelMixing(2, 2, torch.Generator().manual_seed(1))
    >>> z, _ = mixing(torch.tensor([[3.0, 0.0, 4.0, 0.0]]), torch.zeros(1, 0))
    >>> round(z[0, ::2].norm().item(), 4), z[0, 1::2].tolist()
    (5.0, [0.0, 0.0])
    """

    def __init__(self, channels: int, pixels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.pixels = pixels
        self.each = Orthogonal(channels, generator)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate."""
        z, _ = self.each(_by_pixel(x, self.pixels), context)
        return _by_channel(z, self.pixels), x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate back."""
        x, _ = self.each.inverse(_by_pixel(z, self.pixels), context)
        return _by_channel(x, self.pixels), z.new_zeros(len(z))


def _by_pixel(x: Tensor, pixels: int) -> Tensor:
    """Give one row a pixel, (batch * pixels, channels)."""
    return x.unflatten(1, (-1, pixels)).transpose(1, 2).flatten(0, 1)


def _by_channel(rows: Tensor, pixels: int) -> Tensor:
    """Give flat fields again, (batch, channels * pixels)."""
    return rows.unflatten(0, (len(rows) // pixels, pixels)).transpose(1, 2).flatten(1)
