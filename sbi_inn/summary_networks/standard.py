"""Numbers on one scale, as the first batch of training has them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST = 1e-6  # spread: below it, rows are the same number but for rounding


class Standard(nn.Module):
    """Mean 0 and variance 1 over the first batch that is seen in training.

    What sums up a set is on another scale than its entries: means of many vary little, and the log
    of the size less still, far from zero. Left like that, how wide a posterior is for how many
    entries is learned last, long after where it is.

    Parameters
    ----------
    width : int
        Numbers of a row.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks.standard import Standard
    >>> rows = torch.tensor([[100.0, 3.0], [101.0, 3.0], [102.0, 3.0]])
    >>> Standard(2)(rows)
    tensor([[-1.,  0.],
            [ 0.,  0.],
            [ 1.,  0.]])
    """

    is_set: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("is_set", torch.tensor(False))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def forward(self, rows: Tensor) -> Tensor:
        """Standardise rows, shape (batch, width)."""
        if self.training and not self.is_set and len(rows) > 1:
            self._measure(rows.detach())
        return (rows - self.centre) / self.scale

    def _measure(self, rows: Tensor) -> None:
        spread = rows.std(dim=0)
        self.centre.copy_(rows.mean(dim=0))
        self.scale.copy_(torch.where(spread > SMALLEST, spread, 1.0))
        self.is_set.fill_(True)
