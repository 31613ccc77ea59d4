"""Activation normalisation (Kingma and Dhariwal 2018)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sbi_inn.flows.bijection import Bijection


class _Standardise(torch.autograd.Function):
    """z = (x - shift) exp(log_scale), and the sum of log_scale, with the gradient written out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        scale = log_scale.exp()
        z = (x - shift).mul_(scale)
        ctx.save_for_backward(z, scale)
        return z, log_scale.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gz: Tensor, gl: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, scale = ctx.saved_tensors
        d_x = gz * scale
        return d_x, -d_x.sum(dim=0), (gz * z).sum(dim=0).add_(gl)


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
        z, log_det = _Standardise.apply(x, self.shift, self.log_scale)
        return z, log_det.expand(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the scale and the shift."""
        log_det = -self.log_scale.sum().expand(len(z))
        return z * torch.exp(-self.log_scale) + self.shift, log_det

    @torch.no_grad()
    def _set(self, x: Tensor) -> None:
        deviation = x.std(dim=0).clamp(min=1e-3)
        self.shift.copy_(x.mean(dim=0))
        self.log_scale.copy_(-deviation.log())
        self.is_set.fill_(True)
