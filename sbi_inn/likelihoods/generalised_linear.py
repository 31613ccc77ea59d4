"""Generalised linear regressions of many observables side by side (McCullagh & Nelder 1989)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# Strength of the penalty on squared slopes: that of very few rows.
RIDGE = 1e-2
# Steps of Newton and Levenberg, at most.
STEPS = 20
# Change of the mean loss of a row below which they end.
ENOUGH = 1e-7
# Damping at first, in units of the curvature; by what it changes after a step that helped, or not.
DAMPING, EASED, STIFFENED = 1e-3, 0.1, 10.0
# Columns that callers look at at once: of all rows, products of features are kept.
AT_ONCE = 256


class Slopes(NamedTuple):
    """How the losses of rows change with what a linear function says of them; (rows, k) each.

    Attributes
    ----------
    downhill : Tensor
        By how much a loss falls.
    curve : Tensor
        The second derivative that is expected.
    """

    downhill: Tensor
    curve: Tensor


class Law(NamedTuple):
    """What is regressed, as functions of what a linear function says of rows of y.

    Attributes
    ----------
    loss : callable
        Of what it says (rows, k) and of y (rows, k): the loss of each column, shape (k,).
    slopes : callable
        Of the same: `Slopes`.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    slopes: Callable[[Tensor, Tensor], Slopes]


def climbed(x: Tensor, y: Tensor, law: Law, start: Tensor | None = None) -> Tensor:
    """Give coefficients of least loss, for each column of y (rows, k).

    Slopes above offsets, shape (features + 1, k). Steps begin at `start`, of the same shape; by
    default at nothing. Each column has a damping of its own.
    """
    x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
    found = x.new_zeros(x.shape[1], y.shape[1]) if start is None else start

    def penalised(found: Tensor) -> Tensor:
        return law.loss(x @ found, y) + 0.5 * RIDGE * found.square().sum(dim=0)

    wide = x.shape[1]
    squares = (x[:, :, None] * x[:, None]).flatten(1)
    damping = x.new_full((y.shape[1],), DAMPING)
    loss = penalised(found)
    for _ in range(STEPS):
        slopes = law.slopes(x @ found, y)
        slope = x.T @ slopes.downhill - RIDGE * found
        curve = (slopes.curve.T @ squares).unflatten(1, (wide, wide))
        curve.diagonal(dim1=1, dim2=2).add_(RIDGE)
        curve.diagonal(dim1=1, dim2=2).mul_(1 + damping[:, None])
        step = torch.linalg.solve(curve, slope.T[:, :, None])[:, :, 0].T
        other = penalised(found + step)
        helped = other < loss
        gained = torch.where(helped, loss - other, 0.0).max()
        found = torch.where(helped, found + step, found)
        loss = torch.where(helped, other, loss)
        damping = torch.where(helped, EASED * damping, STIFFENED * damping)
        if gained < ENOUGH * len(x):
            break
    return found
