"""Joint coverage: is the truth where the posterior says it is, for all parameters together.

Ranks here are levels of regions with the truth on their edge, uniform if the posterior is exact.
Neither kind detects every error: wrong correlations are found by `dependence.product_ranks`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.arguments import truth_and_draws
from sbi_inn.diagnostics.calibration import ranks
from sbi_inn.errors import ShapeError
from sbi_inn.observation.statistics import spread, squarable
from sbi_inn.typing import FloatArray


def density_ranks(
    log_truth: ArrayLike, log_draws: ArrayLike, rng: np.random.Generator
) -> FloatArray:
    """Return the level of the highest-density region on whose edge the truth lies.

    Parameters
    ----------
    log_truth : array, shape (n,)
        Log posterior density at the true parameters of n observations; -inf where it is 0.
    log_draws : array, shape (n, m)
        The same at m draws from the posterior of each observation.
    rng : numpy.random.Generator
        Jitters the ranks between the draws that neighbour the truth, and within ties.

    Returns
    -------
    float64 array, shape (n,)
        The share of draws of higher density than the truth.

    Raises
    ------
    ShapeError
        If the shapes do not fit, there are no draws, or a value is NaN.

    References
    ----------
    Hyndman (1996), The American Statistician 50, 120.

    Examples
    --------
    >>> at_the_mode = density_ranks([0.0], -np.arange(1.0, 100.0)[None], np.random.default_rng(0))
    >>> bool(at_the_mode < 0.01)
    True
    """
    log_truth, log_draws = np.asarray(log_truth, dtype=float), np.asarray(log_draws, dtype=float)
    fits = log_truth.ndim == 1 and log_draws.ndim == 2 and len(log_draws) == len(log_truth)
    if not fits or log_draws.shape[1] == 0:
        raise ShapeError(
            "density_ranks: log_truth must have shape (n,) and log_draws (n, m) with m > 0; "
            f"got {log_truth.shape} and {log_draws.shape}"
        )
    return ranks(-log_truth[:, None], -log_draws[..., None], rng)[:, 0]


def tarp_ranks(
    truth: ArrayLike,
    draws: ArrayLike,
    references: ArrayLike,
    rng: np.random.Generator,
    *,
    scale: ArrayLike | None = None,
) -> FloatArray:
    """Return the level of the ball around a reference point on whose edge the truth lies.

    Parameters
    ----------
    truth : array, shape (n, d)
        True parameters of n observations.
    draws : array, shape (n, m, d)
        m draws from the posterior of each observation.
    references : array, shape (n, d)
        One point for each observation, chosen without looking at the truth; it may depend on the
        observation. Points that do not cannot tell a posterior from the prior.
    rng : numpy.random.Generator
        Jitters the ranks between the draws that neighbour the truth, and within ties.
    scale : array, shape (d,), optional
        What parameters are divided by: the spread of the truths, unless it is given. Where these
        are a few of many, give that of all: the spread of few knows too much of each.

    Returns
    -------
    float64 array, shape (n,)
        The share of draws that lie closer to the reference than the truth does, by Euclidean
        distance.

    Raises
    ------
    ShapeError
        If the shapes do not fit, there are no draws, or a value is NaN.

    References
    ----------
    Lemos et al. (2023), arXiv:2302.03026.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> far = tarp_ranks([[9.0, 0.0]], rng.normal(size=(1, 99, 2)), [[0.0, 0.0]], rng)
    >>> bool(far > 0.99)
    True
    """
    truth, draws = truth_and_draws("tarp_ranks", truth, draws)
    references = np.asarray(references, dtype=float)
    if references.shape != truth.shape:
        raise ShapeError(
            f"tarp_ranks: references must have the shape {truth.shape} of truth; "
            f"got {references.shape}"
        )
    # Robust: one truth far from all others would take a parameter out.
    unit = spread(truth) if scale is None else np.asarray(scale, dtype=float)
    distance = np.linalg.norm(squarable((truth - references) / unit), axis=1)
    distances = np.linalg.norm(squarable((draws - references[:, None]) / unit), axis=2)
    return ranks(distance[:, None], distances[..., None], rng)[:, 0]
