"""Regressions of the entries of sets that are linear in what is known of sets and of entries.

A value depends on functions of its entry, with factors that are linear in what is known of its set,
such as the parameters of a simulation. Where a law is of this form, it is found in closed form, or
by a few steps of Newton, from all sets at once.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.regressions.ridge import SMALLEST_VARIANCE

# How often sets are weighed by what is left of them.
PASSES = 4
# What is added to squares, in those of each column.
RIDGE = 1e-9
# Steps of Newton at most, and how often each is halved; nats of an entry that a step gains, below
# which it is the last one.
STEPS, HALVED, SETTLED = 25, 6, 1e-6
# Precision of the normal law of factors in log odds, for each entry: what is always so would have
# no end.
PRIOR = 1e-7


def regressed(
    beside: Tensor, functions: Tensor, values: Tensor, there: Tensor
) -> tuple[Tensor, Tensor]:
    """Regress values (sets, entries) on what is beside (sets, n) and functions.

    Sets are weighed by how little is left of them: some have a thousandth of the noise of others.

    Parameters
    ----------
    beside : Tensor, shape (sets, n)
    functions : Tensor, shape (sets, functions, entries)
    values : Tensor, shape (sets, entries)
    there : Tensor, shape (sets, entries)
        1 for an entry that counts, or 0.

    Returns
    -------
    Tensor, shape (functions, n)
        Factors.
    Tensor, shape (sets, entries)
        What they leave.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.linear_in_both import regressed
    >>> x, dose = torch.rand(2, 50, 1).double(), torch.rand(50, 1, 20).double()
    >>> beside = torch.cat([torch.ones(50, 1).double(), x[0]], dim=1)
    >>> functions = torch.cat([torch.ones_like(dose), dose], dim=1)
    >>> values = 2 + x[0] - 3 * x[0] * dose[:, 0]
    >>> regressed(beside, functions, values, torch.ones_like(values))[0].round().abs().int()
    tensor([[2, 1],
            [0, 3]], dtype=torch.int32)
    """
    mine = functions * there[:, None]
    squares, products = mine @ functions.mT, (mine @ values[:, :, None])[:, :, 0]
    count, weights = there.sum(dim=1).clamp(min=1.0), torch.ones_like(values[:, 0])
    found, left = values.new_zeros(functions.shape[1], beside.shape[1]), values
    for _ in range(PASSES):
        weighed = weights[:, None] * beside
        outer = torch.einsum("ri,rj,rbc->bicj", weighed, beside, squares)
        right = torch.einsum("ri,rb->bi", weighed, products)
        found = _solved(outer, right, 0.0)
        left = values - _said(found, beside, functions)
        square = (left.square() * there).sum(dim=1) / count
        weights = 1 / square.clamp(min=SMALLEST_VARIANCE)
    return found, left


def log_odds(beside: Tensor, functions: Tensor, came: Tensor) -> Tensor:
    """Give the factors of log odds, (functions, n), of what came: 1 or -1 (sets, entries).

    As `regressed` takes them; 0 for what does not count.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.linear_in_both import log_odds
    >>> generator = torch.Generator().manual_seed(1)
    >>> beside = torch.randn(400, 1, generator=generator).double()
    >>> functions = torch.ones(400, 1, 30).double()
    >>> chance = torch.sigmoid(2 * beside).expand(-1, 30)
    >>> came = 2 * torch.bernoulli(chance, generator=generator) - 1
    >>> log_odds(beside, functions, came).round().item()
    2.0
    """
    found = functions.new_zeros(functions.shape[1], beside.shape[1])
    count = came.abs().sum().clamp(min=1.0)
    prior = PRIOR * float(count)

    def loss(factors: Tensor) -> Tensor:
        odds = _said(factors, beside, functions)
        likely = (F.logsigmoid(came * odds) * came.abs()).sum()
        return 0.5 * prior * factors.square().sum() - likely

    now = loss(found)
    for _ in range(STEPS):
        odds = _said(found, beside, functions)
        against = came * torch.sigmoid(-came * odds)
        weights = torch.sigmoid(odds) * torch.sigmoid(-odds) * came.abs()
        squares = (functions * weights[:, None]) @ functions.mT
        outer = torch.einsum("ri,rj,rbc->bicj", beside, beside, squares)
        steep = torch.einsum("ri,rb->bi", beside, (functions @ against[:, :, None])[:, :, 0])
        step = _solved(outer, steep - prior * found, prior)
        for _ in range(HALVED):
            there = loss(found + step)
            if there <= now:
                break
            step = 0.5 * step
        if not there < now:
            break
        found, now, before = found + step, there, now
        if before - now < SETTLED * count:
            break
    return found


def _said(factors: Tensor, beside: Tensor, functions: Tensor) -> Tensor:
    return ((beside @ factors.T)[:, None] @ functions)[:, 0]


def _solved(outer: Tensor, right: Tensor, prior: float) -> Tensor:
    """Solve the equations of factors (functions, n): squares and products of them all."""
    n = right.numel()
    outer = outer.reshape(n, n) + prior * torch.eye(n, dtype=outer.dtype, device=outer.device)
    size = outer.diagonal().sqrt().clamp(min=SMALLEST_VARIANCE)
    outer = outer / (size[:, None] * size)
    outer = outer + RIDGE * torch.eye(n, dtype=outer.dtype, device=outer.device)
    return (torch.linalg.solve(outer, right.reshape(n) / size) / size).reshape(right.shape)
