"""Normal scores of values among a sample, that go on beyond it."""

from __future__ import annotations

import numpy as np
from scipy import special

from sbi_inn.typing import FloatArray

BETWEEN = 15  # values of the sample between two quantiles, by which normal scores are told


def normal_scores(usual: FloatArray, rows: FloatArray) -> FloatArray:
    """Give normal scores of rows (m, k) among usual ones (n, k); beyond all of these, they go on.

    Examples
    --------
    >>> usual = np.random.default_rng(0).exponential(size=(5_000, 1))
    >>> normal_scores(usual, np.log([[2.0], [6.3]])).round(1).ravel()  # where .5 and .84 lie below
    array([0., 1.])
    """
    pairs = zip(usual.T, rows.T, strict=True)
    return np.stack([_scores(column, values) for column, values in pairs], axis=1)


def _scores(usual: FloatArray, values: FloatArray) -> FloatArray:
    """Give normal scores of values by their level between quantiles of the usual ones.

    By their ranks, the usual ones would lie more evenly than any new value does: there are many of
    them between two quantiles.
    """
    n = len(usual)
    levels = np.linspace(0, 1, max(3, n // BETWEEN))
    distinct, which, counts = np.unique(
        np.quantile(usual, levels), return_inverse=True, return_counts=True
    )
    middle = np.clip(np.bincount(which, levels) / counts, 0.5 / n, 1 - 0.5 / n)
    inside = np.asarray(special.ndtri(np.interp(values, distinct, middle)), np.float64)
    low, high, ends = distinct[0], distinct[-1], np.quantile(usual, [0.01, 0.99])
    below = np.maximum(low - values, 0) / (ends[0] - low if ends[0] > low else 1.0)
    above = np.maximum(values - high, 0) / (high - ends[1] if high > ends[1] else 1.0)
    return inside + np.log1p(above) - np.log1p(below)
