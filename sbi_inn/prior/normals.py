"""Mixtures of normals in one dimension, a mixture a row, in terms of a standard normal latent.

Within the limit on latents every probability is a normal float64. Sums of them, from the nearer
tail, keep their relative accuracy, so that no logarithms are needed.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from sbi_inn.prior.component import LATENT_MAX
from sbi_inn.typing import FloatArray

CLOSE = 1e-13
"""A quantile is found when its latent misses by no more than this."""

MOST_STEPS = 200
"""Ten are usual; bisection at every other step comes to the last bit in about 120."""


def latent(weights: FloatArray, standard: FloatArray) -> FloatArray:
    """Return the latents z with Phi(z) = sum_k weights_k Phi(standard_k), within the limit.

    Parameters
    ----------
    weights : array (n, K)
        Of each row's K normals, with sum 1.
    standard : array (n, K)
        The row's value in units of each normal: (value - mean) / standard deviation.

    Returns
    -------
    array (n,)
    """
    below, above = (weights * ndtr(standard)).sum(1), (weights * ndtr(-standard)).sum(1)
    z = np.where(below < above, ndtri(below), -ndtri(above))
    return np.clip(z, -LATENT_MAX, LATENT_MAX)


def quantile(
    weights: FloatArray, location: FloatArray, scale: FloatArray, z: FloatArray
) -> FloatArray:
    """Return the values x with P(<= x) = Phi(z), by Newton's method on the latent of x.

    The mixture's quantile lies between the least and the greatest of its normals'. A step that
    would leave this bracket, or does not halve the one before it, is a bisection instead.

    Parameters
    ----------
    weights, location : array (n, K)
        With sums 1, and means.
    scale : array (K,)
        Standard deviations, the same in every row.
    z : array (n,)
        Within the limit.

    Returns
    -------
    array (n,)
    """
    single = location + scale * z[:, None]
    low, high = single.min(1), single.max(1)
    values = np.clip((weights * single).sum(1), low, high)
    step = high - low
    rows = np.arange(len(z))
    for _ in range(MOST_STEPS):
        if not len(rows):
            break
        x = values[rows]
        miss, slope = _miss(weights[rows], location[rows], scale, z[rows], x)
        low[rows] = np.where(miss < 0, x, low[rows])
        high[rows] = np.where(miss < 0, high[rows], x)
        new = x - miss / slope
        fine = (low[rows] < new) & (new < high[rows]) & (np.abs(new - x) <= step[rows] / 2)
        new = np.where(fine, new, low[rows] / 2 + high[rows] / 2)
        found = np.abs(miss) <= CLOSE
        values[rows] = np.where(found, x, new)
        step[rows] = np.abs(new - x)
        rows = rows[~found & (new != x)]
    return values


def _miss(
    weights: FloatArray, location: FloatArray, scale: FloatArray, z: FloatArray, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """By how much the latents of x exceed z, and their derivatives with respect to x."""
    side = np.where(z > 0, -1.0, 1.0)
    standard = (x[:, None] - location) / scale
    reached = ndtri((weights * ndtr(side[:, None] * standard)).sum(1))
    # Densities relative to that of a standard normal at the latent, whose own may underflow.
    density = weights / scale * np.exp((reached[:, None] ** 2 - standard**2) / 2)
    return side * reached - z, density.sum(1)
