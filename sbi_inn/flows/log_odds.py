"""Binary observables, such as choices: log odds in place of a mean and a variance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Largest log odds that are believed.
MOST = 15.0
# Strength of the penalty on squared slopes: that of very few rows.
RIDGE = 1e-2
# Steps of Newton and Levenberg, at most.
STEPS = 20
# Change of the mean loss of a row below which they end.
ENOUGH = 1e-7
# Damping at first, in units of the curvature; by what it changes after a step that helped, or not.
DAMPING, EASED, STIFFENED = 1e-3, 0.1, 10.0
# Observables that are looked at at once.
AT_ONCE = 256


def two_valued(y: Tensor) -> Tensor:
    """Say which columns of (rows, k) take exactly two values, shape (k,).

    Examples
    --------
    >>> import torch
    >>> two_valued(torch.tensor([[0.0, 1.0, 5.0], [1.0, 1.0, 6.0], [0.0, 1.0, 7.0]]))
    tensor([ True, False, False])
    """
    low, high = y.amin(dim=0), y.amax(dim=0)
    return ((y == low) | (y == high)).all(dim=0) & (low < high)


def regressed(x: Tensor, yes: Tensor) -> tuple[Tensor, Tensor]:
    """Give slopes (features, k) and offsets (k,) of the log odds of `yes` (rows, k) on x.

    Logistic regressions, one for each column of zeros and ones.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(20_000, 1, generator=generator).double()
    >>> yes = torch.bernoulli(torch.sigmoid(2 * x - 1), generator=generator)
    >>> slope, offset = regressed(x, yes)
    >>> slope.round(decimals=1), offset.round(decimals=1)
    (tensor([[2.]], dtype=torch.float64), tensor([-1.], dtype=torch.float64))
    """
    read = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
    found = torch.cat([_climbed(read, part) for part in yes.split(AT_ONCE, dim=1)], dim=1)
    return found[:-1], found[-1]


def _climbed(x: Tensor, yes: Tensor) -> Tensor:
    """Give the coefficients (features, k) of least loss: each column has a damping of its own."""
    wide, signs = x.shape[1], 2 * yes - 1
    squares = (x[:, :, None] * x[:, None]).flatten(1)
    found = x.new_zeros(wide, yes.shape[1])
    damping = x.new_full((yes.shape[1],), DAMPING)
    loss = _loss(x, signs, found)
    for _ in range(STEPS):
        odds = torch.sigmoid(x @ found)
        slope = x.T @ (yes - odds) - RIDGE * found
        curve = ((odds * (1 - odds)).T @ squares).unflatten(1, (wide, wide))
        curve.diagonal(dim1=1, dim2=2).add_(RIDGE)
        curve.diagonal(dim1=1, dim2=2).mul_(1 + damping[:, None])
        step = torch.linalg.solve(curve, slope.T[:, :, None])[:, :, 0].T
        other = _loss(x, signs, found + step)
        helped = other < loss
        gained = torch.where(helped, loss - other, 0.0).max()
        found = torch.where(helped, found + step, found)
        loss = torch.where(helped, other, loss)
        damping = torch.where(helped, EASED * damping, STIFFENED * damping)
        if gained < ENOUGH * len(x):
            break
    return found


def _loss(x: Tensor, signs: Tensor, found: Tensor) -> Tensor:
    """Give the penalised loss of each column, shape (k,)."""
    losses = F.softplus(-signs * (x @ found)).sum(dim=0)
    return losses + 0.5 * RIDGE * found.square().sum(dim=0)
