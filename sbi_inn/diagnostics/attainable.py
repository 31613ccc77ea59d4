"""How much narrower a posterior could be, judged by simulations from its own draws.

Draws of a posterior are simulated again, and regressed on the results. If the posterior is wider
than what one observation tells, the regression recovers much of each draw. A posterior may be
calibrated and yet far wider than necessary; this shows it.
"""

from __future__ import annotations

import numpy as np
import torch

from sbi_inn.diagnostics.conditional_ranks import column_scores
from sbi_inn.draws import INTERVAL_68
from sbi_inn.regressions.ridge import Design
from sbi_inn.typing import FloatArray

ROWS_A_FEATURE = 5
"""Draws for each feature that the regression reads, at least."""

LEAST = 0.5
"""Precision along any direction, at least, where that of the draws is 1.

Of some a linear regression says nothing: parameters that are not linear in the data, quantities
that follow from others. By chance they seem to go a little with the rest, and must not blur it.
"""

SMALLEST = 1e-9
"""Variance that counts as none, where the largest is 1."""


def attainable(draws: FloatArray, data: FloatArray, prior: FloatArray) -> FloatArray:
    """Give how many times narrower each parameter's posterior could be; 1: it is as it should be.

    Where the draws have covariance S, and a linear regression leaves R of them, data as informative
    as these add the precision R^-1 - S^-1 to that of the prior. What is not linear adds more,
    so that this is the least that can be gained. Of an exact Gaussian posterior it gives 1. Draws
    and data are read as normal scores, so that a few that lie far away hide nothing: a width is
    that of the central 68 %.

    Parameters
    ----------
    draws : array, shape (n, dim)
        Of the posterior.
    data : array, shape (n, k)
        What each of them gave when it was simulated again; rows with NaN are left out.
    prior : array, shape (m, dim)
        Draws of the prior.

    Returns
    -------
    array, shape (dim,)

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> prior, draws, noise = 100 * rng.normal(size=(3, 4_000, 1))
    >>> draws = 0.04 * draws  # four times as wide as the data, of noise 1, tell
    >>> attainable(draws, draws + 0.01 * noise, prior).round(1)
    array([4.])
    """
    good = np.isfinite(data).all(axis=1)
    if good.sum() < ROWS_A_FEATURE * (draws.shape[1] + 1):
        return np.ones(draws.shape[1])
    draws, data = draws[good], data[good]
    low, high = np.quantile(draws, INTERVAL_68, axis=0)  # which tails do not move
    scale = (high - low) / 2
    if not (scale > np.finfo(float).eps * np.abs(draws).max(axis=0)).all():
        return np.ones(draws.shape[1])  # a point: nothing is narrower
    prior = prior / scale
    draws, data = column_scores(draws, draws), column_scores(data, data)
    own = _covariance(draws)
    root = np.linalg.cholesky(own)
    white = np.linalg.solve(root, (draws - draws.mean(axis=0)).T).T
    read = Design(torch.from_numpy(_components(data)))
    left = read.ridge(torch.from_numpy(white)).residual.numpy()
    sizes, axes = np.linalg.eigh(left.T @ left / len(left))
    added = axes * np.maximum(1 / np.maximum(sizes, SMALLEST) - 1, 0) @ axes.T
    precision = added + root.T @ np.linalg.inv(_covariance(prior)) @ root
    sizes, axes = np.linalg.eigh(precision)
    possible = root @ axes / np.maximum(sizes, LEAST) @ axes.T @ root.T
    return np.maximum(np.sqrt(np.diag(own) / np.diag(possible)), 1.0)


def _covariance(rows: FloatArray) -> FloatArray:
    """Covariance of rows, kept invertible."""
    found = np.atleast_2d(np.cov(rows, rowvar=False))
    return found + SMALLEST * np.diag(np.diag(found)) + np.finfo(float).tiny * np.eye(len(found))


def _components(data: FloatArray) -> FloatArray:
    """Scale columns, and keep the principal components that so many rows allow for."""
    spread = data.std(axis=0)
    data = (data - data.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    most = len(data) // ROWS_A_FEATURE
    if data.shape[1] <= most:
        return data
    left, sizes, _ = np.linalg.svd(data, full_matrices=False)
    return left[:, :most] * sizes[:most]
