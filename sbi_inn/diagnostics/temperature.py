"""The temperature of probabilities of classes: how overconfident or underconfident they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import gammaincinv

from sbi_inn.diagnostics.arguments import probabilities_and_truth, probabilities_of
from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray, IntArray

_COLDEST, _HOTTEST = 1e-3, 1e3  # temperatures that are looked at


@dataclass(frozen=True)
class Temperature:
    """The temperature that suits the truth best, with an interval.

    Probabilities p are mended by p^(1/T), normalised: T > 1 where they were too sure of
    themselves, T < 1 where they were too timid.

    Attributes
    ----------
    value : float
        Of the largest likelihood; within .001 and 1000.
    low, high : float
        The interval of temperatures that a likelihood-ratio test does not refuse.
    level : float
        Its confidence level.
    """

    value: float
    low: float
    high: float
    level: float


def tempered(probabilities: ArrayLike, temperature: float) -> FloatArray:
    """Return probabilities at another temperature: p^(1 / T), normalised.

    Parameters
    ----------
    probabilities : array, shape (n, k)
        Of k classes for n rows.
    temperature : float
        Below 1 they become more sure, above 1 less.

    Returns
    -------
    float64 array, shape (n, k)

    Raises
    ------
    ShapeError
        If a row is no distribution, or the temperature not positive.

    Examples
    --------
    >>> tempered([[0.8, 0.2]], 0.5).round(3)
    array([[0.941, 0.059]])
    """
    p = probabilities_of("tempered", probabilities)
    if not temperature > 0:
        raise ShapeError(f"tempered: expected a temperature above 0; got {temperature}")
    with np.errstate(divide="ignore"):
        return _softmax(np.log(p) / temperature)


def fitted_temperature(
    probabilities: ArrayLike, truth: ArrayLike, level: float = 0.99
) -> Temperature:
    """Return the temperature at which the probabilities suit the truth best.

    Parameters
    ----------
    probabilities : array, shape (n, k)
        Of k classes for n rows.
    truth : array of int, shape (n,)
        The true class of each row.
    level : float
        Of the interval.

    Returns
    -------
    Temperature
        1 lies in the interval, with probability `level`, if the probabilities are exact.

    Raises
    ------
    ShapeError
        If the shapes do not fit, a row is no distribution, or a truth is no class.

    References
    ----------
    Guo et al. (2017), arXiv:1706.04599, section 4.2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.dirichlet([1, 1], size=5_000)
    >>> truth = (rng.random(5_000) > p[:, 0]).astype(int)
    >>> found = fitted_temperature(tempered(p, 0.5), truth)
    >>> round(found.value, 1), found.low < 2 < found.high
    (1.9, True)
    """
    p, truth = probabilities_and_truth("fitted_temperature", probabilities, truth)
    logits = np.log(np.clip(p, np.finfo(float).tiny, None))
    drop = float(gammaincinv(0.5, level))  # half a chi-squared of one degree of freedom
    ends = -math.log(_HOTTEST), -math.log(_COLDEST)  # of the logarithm of 1 / T

    def slope(log_power: float) -> float:
        return _likelihood(logits, truth, math.exp(log_power))[1]

    best = _root(slope, *ends)
    most = _likelihood(logits, truth, math.exp(best))[0]

    def below(log_power: float) -> float:
        return _likelihood(logits, truth, math.exp(log_power))[0] - most + drop

    coldest, hottest = _root(below, best, ends[1]), _root(lambda a: -below(a), ends[0], best)
    return Temperature(math.exp(-best), math.exp(-coldest), math.exp(-hottest), level)


def _softmax(logits: FloatArray) -> FloatArray:
    """Give probabilities in proportion to exp(logits), row by row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _likelihood(logits: FloatArray, truth: IntArray, power: float) -> tuple[float, float]:
    """Give the log-likelihood of logits times a power, and its derivative by the power."""
    p = _softmax(power * logits)
    own = logits[np.arange(len(logits)), truth]
    scaled = power * logits
    top = scaled.max(axis=1)
    total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float((power * own - total).sum()), float((own - (p * logits).sum(axis=1)).sum())


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function crosses from above to below; an end, if it does not."""
    if function(low) <= 0:
        return low
    if function(high) >= 0:
        return high
    return float(brentq(function, low, high, xtol=1e-6))
