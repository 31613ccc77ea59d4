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

from sbi_inn.flows.left_out import left_out

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
    predicted = torch.stack([torch.zeros_like(x) for _ in KEPT])
    for part, others in left_out(len(x)):
        predicted[:, part] = c[part] @ _slopes(x[others], c[others])
    error = (predicted - x).sub((predicted - x).mean(dim=1, keepdim=True)).square().mean(dim=1)
    best = int(error.log().sum(dim=1).argmin())
    return predicted[best], _slopes(x, c)[best]


def _slopes(x: Tensor, c: Tensor) -> Tensor:
    """Slopes from c to x for each share that is kept, shape (shares, columns, dim)."""
    x, c = x - x.mean(dim=0), c - c.mean(dim=0)
    spread = x.T @ x / len(x)
    spread.diagonal().add_(FLOOR * spread.diagonal().mean() + FLOOR**2)
    slope = torch.linalg.solve(spread, x.T @ c / len(x))
    left = c - x @ slope
    noise = left.T @ left / len(x)
    own = noise.diagonal() + FLOOR * c.square().mean(dim=0) + FLOOR**2
    found = []
    for kept in KEPT:
        covariance = kept * noise
        covariance.diagonal().copy_(own)
        told = torch.linalg.solve(covariance, slope.T)
        found.append(told @ torch.linalg.inv(slope @ told + torch.linalg.inv(spread)))
    return torch.stack(found)
