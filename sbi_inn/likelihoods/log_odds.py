"""Binary observables, such as choices: log odds in place of a mean and a variance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.likelihoods.generalised_linear import AT_ONCE, Law, Slopes, climbed

# Largest log odds that are believed.
MOST = 15.0


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


def regressed(x: Tensor, yes: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Give slopes (features, k) and offsets (k,) of the log odds of `yes` (rows, k) on x.

    Logistic regressions, one for each column of zeros and ones. They begin at a `start`, slopes
    above offsets, if one is given.

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
    law = Law(_loss, _slopes)
    parts = yes.split(AT_ONCE, dim=1)
    starts = [None] * len(parts) if start is None else start.split(AT_ONCE, dim=1)
    each = zip(parts, starts, strict=True)
    found = torch.cat([climbed(x, part, law, begin) for part, begin in each], dim=1)
    return found[:-1], found[-1]


def _loss(odds: Tensor, yes: Tensor) -> Tensor:
    return F.softplus((1 - 2 * yes) * odds).sum(dim=0)


def _slopes(odds: Tensor, yes: Tensor) -> Slopes:
    chance = torch.sigmoid(odds)
    return Slopes(yes - chance, chance * (1 - chance))
