"""Maximum mean discrepancy as a loss (dissertation, sec. 4.1.3; Gretton et al. 2012)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def mmd(reference: Tensor, draws: Tensor, widths: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Squared discrepancy of two samples, and what chance alone makes of it.

    The kernel is the inverse multiquadratic 1 / (1 + |d / h|^2), averaged over several widths h.

    Parameters
    ----------
    reference : Tensor, shape (n, dim)
        No gradient flows into it.
    draws : Tensor, shape (n, dim)
    widths : sequence of float

    Returns
    -------
    discrepancy : Tensor, scalar
        Without the diagonals: unbiased, and negative at times.
    chance : Tensor, scalar
        By how much the diagonals would bias it, 2 (1 - mean kernel) / n: the size that a
        discrepancy of two samples of one law has. No gradient flows into it.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(1)
    >>> one, other = torch.randn(2, 500, 2, generator=generator)
    >>> found, chance = mmd(one, other, [1.0])
    >>> bool(abs(found) < chance), bool(mmd(one, other + 1, [1.0])[0] > 10 * chance)
    (True, True)
    """
    n = len(draws)
    across = _mean_kernel(reference.detach(), draws, widths)
    with torch.no_grad():
        among = _mean_kernel(reference, reference, widths)
    within = _mean_kernel(draws, draws, widths)
    discrepancy = (n * (among + within) - 2) / (n - 1) - 2 * across
    return discrepancy, 2 * (1 - across.detach()) / n


def _mean_kernel(a: Tensor, b: Tensor, widths: Sequence[float]) -> Tensor:
    mean = _MeanKernel.apply(a, b, tuple(widths))
    assert isinstance(mean, Tensor)
    return mean


class _MeanKernel(torch.autograd.Function):
    """Mean of the kernel over all pairs; its gradient by hand, in a third of the time."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, widths: tuple[float, ...]) -> Tensor:
        squared = a.square().sum(dim=1).unsqueeze(1) + b.square().sum(dim=1) - 2 * a @ b.T
        squared.clamp_(min=0)  # rounding
        total, slope = torch.zeros_like(squared), torch.zeros_like(squared)
        for width in widths:
            kernel = (1 + squared / width**2).reciprocal_()
            total += kernel
            slope += kernel.square_().div_(width**2)
        # d kernel / d squared distance is -slope; of the mean over all pairs and widths:
        slope *= -2 / (len(widths) * squared.numel())
        ctx.save_for_backward(
            slope.sum(dim=1, keepdim=True) * a - slope @ b,
            slope.sum(dim=0).unsqueeze(1) * b - slope.T @ a,
        )
        return total.sum() / (len(widths) * squared.numel())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        by_a, by_b = ctx.saved_tensors
        return gradients[0] * by_a, gradients[0] * by_b, None
