"""How well a discrete parameter is known: its likeliest value, and a width that is never zero."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sbi_inn.draws import INTERVAL_68
from sbi_inn.typing import FloatArray

FEW = 4
"""Values of a parameter, up to which the probability of the likeliest says how well it is known."""


class Likeliest(NamedTuple):
    """The likeliest value of a discrete parameter.

    Attributes
    ----------
    value : float
    probability : float
        Share of the draws that have it.
    before : float
        Share of the prior's draws that have it.
    """

    value: float
    probability: float
    before: float


def narrower(draws: FloatArray, prior: FloatArray) -> float:
    """Give how many times narrower than the prior the posterior of a discrete parameter is.

    It compares widths of 68 % intervals. Each value stands for all numbers that are closer to it
    than to others: the quantiles of the values themselves may coincide, and have no width.

    Parameters
    ----------
    draws, prior : array of whole numbers, shapes (n,) and (m,)
        Of the posterior and of the prior.

    Returns
    -------
    float
        At most K for K equally likely values, of which one is left.

    Examples
    --------
    >>> prior = np.arange(60_000.0) % 6
    >>> round(narrower(np.full(1_000, 2.0), prior), 3), round(narrower(prior, prior), 3)
    (6.0, 1.0)
    """
    values = np.unique(prior)
    step = float(np.gcd.reduce(np.diff(values).astype(np.int64))) if len(values) > 1 else 1.0
    return _width(prior, step) / _width(draws, step)


def _width(draws: FloatArray, step: float) -> float:
    """Give the width of the 68 % interval of draws that are evenly spread around their values."""
    values, counts = np.unique(draws, return_counts=True)
    above = np.cumsum(counts) / len(draws)
    i = np.searchsorted(above, INTERVAL_68)
    missing = (above[i] - INTERVAL_68) * len(draws) / counts[i]  # of a value's own share
    low, high = values[i] + step * (0.5 - missing)
    return float(high - low)


def likeliest(draws: FloatArray, prior: FloatArray) -> Likeliest | None:
    """Give the likeliest value of a discrete parameter that has few.

    Parameters
    ----------
    draws, prior : array of whole numbers, shapes (n,) and (m,)
        Of the posterior and of the prior.

    Returns
    -------
    Likeliest or None
        None if the prior has more than 4 values, and none of them has a probability of 1 / 4.

    Examples
    --------
    >>> likeliest(np.array([1.0] * 96 + [0.0] * 4), np.array([0.0, 1.0] * 500))
    Likeliest(value=1.0, probability=0.96, before=0.5)
    """
    values, counts = np.unique(draws, return_counts=True)
    most = int(counts.argmax())
    if counts[most] < len(draws) / FEW and len(np.unique(prior)) > FEW:
        return None
    value = values[most]
    return Likeliest(float(value), float(counts[most] / len(draws)), float((prior == value).mean()))
