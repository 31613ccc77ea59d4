"""Pareto-smoothed importance sampling: whether a few weights dominate, and smoother ones.

The largest weights of any proposal follow a generalised Pareto distribution, whose shape k says how
many moments the weights have: below 1/2 a variance, so that errors fall as usual; above 1 no mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray

FEWEST = 5  # weights in the tail, below which it has no shape that could be told
_EXPONENTIAL = 1e-9  # |k|, below which the law is exponential, up to rounding
_PRIOR_SHAPE, _PRIOR_SIZE = 0.5, 10  # a shape of 1/2, as if ten weights of the tail had said so


def pareto_smoothed(log_weights: ArrayLike) -> tuple[FloatArray, float]:
    """Smooth the largest weights, and give the shape k of their tail.

    The largest min(m / 5, 3 sqrt(m)) weights are replaced by quantiles of the generalised Pareto
    law that is fitted to them, none above the largest that came.

    Parameters
    ----------
    log_weights : array, shape (m,)
        Up to a constant; -inf is a weight of zero.

    Returns
    -------
    log_weights : array, shape (m,)
        Normalised: the weights sum to 1.
    k : float
        Below .5 all is well. Up to .7 sums over the weighted draws are good to what the effective
        size says; above, no number of draws that one can afford makes them so. NaN where fewer than
        five weights are in the tail, which is then left as it is; -inf where all in it are equal.

    Raises
    ------
    ShapeError
        If the weights have another shape, one is NaN or +inf, or all are zero.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao & Gabry (2024), Journal of Machine Learning Research 25(72), 1;
    fit: Zhang & Stephens (2009), Technometrics 51, 316.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> even = pareto_smoothed(rng.normal(0, 0.1, 10_000))[1]
    >>> heavy = pareto_smoothed(1.5 * rng.exponential(size=10_000))[1]  # Pareto of shape 1.5
    >>> even < 0.3, 1.2 < heavy < 1.8
    (True, True)
    """
    found = np.array(log_weights, dtype=float)
    _check(found)
    found -= found.max()
    size = int(min(len(found) / 5, 3 * np.sqrt(len(found))))
    order = np.argsort(found)
    tail, start = order[len(found) - size :], found[order[-size - 1]] if size else 0.0
    excesses = np.exp(found[tail]) - np.exp(start)
    if size < FEWEST:
        return found - logsumexp(found), np.nan
    if not excesses[-1] > 0:
        return found - logsumexp(found), -np.inf
    k, scale = _fitted(excesses)
    places = (np.arange(size) + 0.5) / size
    quantiles = scale * (np.expm1(-k * np.log1p(-places)) / k if k else -np.log1p(-places))
    found[tail] = np.minimum(np.log(np.exp(start) + quantiles), 0.0)
    return found - logsumexp(found), k


def _check(log_weights: FloatArray) -> None:
    """Raise unless there are weights (m,), one of them positive, and none NaN or infinite."""
    if log_weights.ndim != 1 or not len(log_weights) or not (log_weights < np.inf).all():
        raise ShapeError(
            "pareto_smoothed: log weights must have shape (m,) with m > 0, and be finite or -inf; "
            f"got {log_weights.shape} with {np.isnan(log_weights).sum()} NaN and "
            f"{np.isposinf(log_weights).sum()} +inf"
        )
    if np.isneginf(log_weights).all():
        raise ShapeError("pareto_smoothed: at least one weight must be above zero; all are zero")


def _fitted(excesses: FloatArray) -> tuple[float, float]:
    """Fit shape and scale of a generalised Pareto law to ordered excesses, (m,).

    With b = k / scale, the likelihood has its maximum over k in closed form. b is averaged over a
    grid with the profile likelihood for weights, and k drawn towards 1/2 where the tail is short.
    """
    m = len(excesses)
    points = 30 + int(np.sqrt(m))
    quarter = excesses[max(int(m / 4 + 0.5) - 1, 0)]
    quarter = quarter if quarter > 0 else excesses[excesses > 0][0]
    spacing = 1 - np.sqrt(points / (np.arange(points) + 0.5))
    b = 1 / excesses[-1] + spacing / (3 * quarter)  # 3: the width of the prior of b
    b = np.where(np.abs(b) * excesses[-1] < _EXPONENTIAL, _EXPONENTIAL / excesses[-1], b)
    shapes = np.log1p(-b[:, None] * excesses).mean(axis=1)
    profile = m * (np.log(-b / shapes) - shapes - 1)
    best = float(np.exp(profile - logsumexp(profile)) @ b)
    shape = float(np.log1p(-best * excesses).mean())
    k = (m * shape + _PRIOR_SIZE * _PRIOR_SHAPE) / (m + _PRIOR_SIZE)
    return k, -shape / best
