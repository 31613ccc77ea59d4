"""Activation normalisation (Kingma and Dhariwal 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sbi_inn.flows.bijection import Bijection

SMALLEST = 1e-3  # deviation of a dimension of the first batch: a constant is not stretched


class ActNorm(Bijection):
    """A learned scale and shift per dimension, set by the first training batch.

    Parameters
    ----------
    dim : int
        Number of dimensions.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ActNorm
    >>> x = torch.tensor([[90.0], [100.0], [110.0]])
    >>> z, _ = ActNorm(1)(x, torch.zeros(1, 0))
    >>> [round(value) for value in z.flatten().tolist()]
    [-1, 0, 1]
    """

    is_set: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.shift = nn.Parameter(torch.zeros(dim))
        self.register_buffer("is_set", torch.tensor(False))

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift; in training, the first batch of two or more rows sets both."""
        if self.training and not self.is_set and len(x) > 1:
            self._set(x.detach())
        return (x - self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the scale and the shift."""
        x = torch.addcmul(self.shift, z, torch.exp(-self.log_scale))
        return x, -self.log_scale.sum().expand(len(z))

    @torch.no_grad()
    def _set(self, x: Tensor) -> None:
        deviation = x.std(dim=0).clamp(min=SMALLEST)
        self.shift.copy_(x.mean(dim=0))
        self.log_scale.copy_(-deviation.log())
        self.is_set.fill_(True)
