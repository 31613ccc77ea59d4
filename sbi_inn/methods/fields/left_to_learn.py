"""How much a flow could still learn after a Gaussian start: nothing, if white noise is left."""

from __future__ import annotations

import numpy as np

from sbi_inn.typing import AnyArray

FEWEST = 1e-6
"""Variance below which a map says nothing."""


def left_to_learn(left: AnyArray, means: AnyArray) -> float:
    """Estimate the nats a pixel by which what is left is not white noise.

    To second order in each: a wrong variance v, (v - 1)^2 / 4; skewness s, s^2 / 12; excess
    kurtosis k, k^2 / 48; a correlation r of neighbours, r^2 / 2; of values with the square of the
    posterior mean, r^2 / 2; of squares with the mean or its square, r^2 / 4. What a flow could
    learn beyond these is not seen.

    Parameters
    ----------
    left : array, shape (n, *sides)
    means : array, shape (n, *sides)
        Posterior means of the field.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> white, means = rng.standard_normal((2, 500, 8, 8))
    >>> left_to_learn(white, means) < 1e-3, left_to_learn(np.exp(white / 2), means) > 0.1
    (True, True)
    """
    variance = float(left.var())
    z = (left - left.mean()) / np.sqrt(variance)
    found = float((variance - 1) ** 2 / 4 + left.mean() ** 2 / 2)
    found += float((z**3).mean() ** 2 / 12 + ((z**4).mean() - 3) ** 2 / 48)
    for axis in range(1, z.ndim):
        here, there = np.delete(z, -1, axis), np.delete(z, 0, axis)
        found += float((here * there).mean() ** 2 / 2)
    if means.var() < FEWEST:
        return found
    m = (means - means.mean()) / means.std()
    for one, other, weight in ((z, m**2, 2), (z**2, m, 4), (z**2, m**2, 4)):
        found += float(_correlation(one, other) ** 2 / weight)
    return found


def _correlation(one: AnyArray, other: AnyArray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])
