"""What is linear in the parameters, turned round: few rows suffice where noises are independent.

To regress parameters on observables is to learn how the noises of all of these go together. The
other way round each observable has as many slopes as there are parameters, and where its noise is
its own, one variance: c = x B + b + noise of covariance S gives the mean of x under N(mean, T) as
(B S^-1 B' + T^-1)^-1 B S^-1 (c - b) (Lindley and Smith 1972). How far S is drawn to its diagonal is
decided by rows that were left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sbi_inn.regressions.left_out import left_out

# Shares of the covariance beside the diagonal that are kept.
KEPT = (0.0, 0.1, 0.4, 0.8)
# Share of each column's variance that is added to that of its noise.
FLOOR = 1e-6


def inverse_regression(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Learn to predict x (rows, dim) from c (rows, columns), both of double precision.

    Returns
    -------
    Tensor, shape (rows, dim)
        What each row is predicted by others, up to a constant.
    Tensor, shape (columns, dim)
        Slopes from c to predictions.

    Examples
    --------
    >>> draw = torch.Generator().manual_seed(1)
    >>> x = torch.randn(60, 1, generator=draw).double()
    >>> c = x + torch.randn(60, 30, generator=draw)
    >>> predicted, slope = inverse_regression(x, c)
    >>> round(torch.corrcoef(torch.cat([x, predicted], dim=1).T)[0, 1].item(), 2)
    0.98
    """
    x, c = x - x.mean(dim=0), c - c.mean(dim=0)
    *of_others, of_all = zip(
        *_slopes(_covariances(torch.cat([x, c], dim=1)), x.shape[1]), strict=True
    )
    predicted = torch.stack([torch.zeros_like(x) for _ in KEPT])
    for (part, _), slopes in zip(left_out(len(x)), of_others, strict=True):
        predicted[:, part] = c[part] @ torch.stack(slopes)
    error = (predicted - x).sub((predicted - x).mean(dim=1, keepdim=True)).square().mean(dim=1)
    best = int(error.log().sum(dim=1).argmin())
    return predicted[best], of_all[best]


def _covariances(columns: Tensor) -> Tensor:
    """Covariances of all rows but those of a part, for each part; the last one of all rows."""
    parts = [columns[part] for part, _ in left_out(len(columns))]
    count = columns.new_tensor([*map(len, parts), 0])
    total = torch.stack([*(part.sum(dim=0) for part in parts), columns.new_zeros(len(columns.T))])
    square = torch.stack([part.T @ part for part in parts])
    square = torch.cat([square, torch.zeros_like(square[:1])])
    # Each is that of all rows less what a part has, which is nothing for the last one.
    rows = count.sum() - count
    mean = (total.sum(dim=0) - total) / rows[:, None]
    square = square.sum(dim=0) - square
    return square / rows[:, None, None] - mean[:, :, None] * mean[:, None]


def _slopes(covariance: Tensor, dim: int) -> list[Tensor]:
    """Slopes from c to x for each share that is kept, shape (batch, columns, dim) each.

    `covariance` (batch, dim + columns, dim + columns) is that of x beside c.
    """
    spread, together = covariance[:, :dim, :dim].clone(), covariance[:, :dim, dim:]
    own = spread.diagonal(dim1=1, dim2=2)
    own += FLOOR * own.mean(dim=1, keepdim=True) + FLOOR**2
    slope = torch.linalg.solve(spread, together)
    explained = slope.mT @ together
    noise = covariance[:, dim:, dim:] - explained - explained.mT + slope.mT @ spread @ slope
    size = covariance[:, dim:, dim:].diagonal(dim1=1, dim2=2)
    own = noise.diagonal(dim1=1, dim2=2).clamp(min=0) + FLOOR * size + FLOOR**2
    found = []
    for kept in KEPT:
        told = slope.mT / own[:, :, None] if kept == 0 else _solved(kept * noise, own, slope.mT)
        found.append(told @ torch.linalg.inv(slope @ told + torch.linalg.inv(spread)))
    return found


def _solved(noise: Tensor, own: Tensor, slope: Tensor) -> Tensor:
    """Divide slopes by a covariance that is given another diagonal, which is larger."""
    noise.diagonal(dim1=1, dim2=2).copy_(own)
    root, bad = torch.linalg.cholesky_ex(noise)
    if bad.any():  # rounding
        return torch.linalg.solve(noise, slope)
    return torch.cholesky_solve(slope, root)
