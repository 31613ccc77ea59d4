"""Bijections one after another."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sbi_inn.flows.bijection import Bijection


class Stack(Bijection):
    """Apply bijections in order; the log-determinants add up.

    Parameters
    ----------
    bijections : iterable of Bijection

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ActNorm, Orthogonal, Stack
    >>> stack = Stack([ActNorm(2), Orthogonal(2, torch.Generator().manual_seed(1)), ActNorm(2)])
    >>> x, context = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 0)
    >>> z, _ = stack(x, context)
    >>> torch.allclose(stack.inverse(z, context)[0], x)
    True
    """

    def __init__(self, bijections: Iterable[Bijection]) -> None:
        super().__init__()
        self.bijections = nn.ModuleList(bijections)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the first to the last."""
        log_dets = []
        for bijection in self.bijections:
            x, log_det = bijection(x, context)
            log_dets.append(log_det)
        return x, _total(log_dets, x)

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the last to the first."""
        log_dets = []
        for bijection in reversed(self.bijections):
            assert isinstance(bijection, Bijection)
            z, log_det = bijection.inverse(z, context)
            log_dets.append(log_det)
        return z, _total(log_dets, z)


def _total(log_dets: list[Tensor], x: Tensor) -> Tensor:
    return torch.stack(log_dets).sum(dim=0) if log_dets else x.new_zeros(len(x))
