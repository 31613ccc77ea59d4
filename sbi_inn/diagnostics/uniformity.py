"""Are ranks uniform? Simultaneous bands, exact p-values, and the shift and width they imply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from sbi_inn.diagnostics.arguments import ranks_of_columns
from sbi_inn.diagnostics.calibration import LEVELS
from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray, IntArray

# Two counts as unlikely as each other must be told apart by their probability, not by rounding.
_ROUNDING = 1 + 1e-9
_RAREST = 1e-100  # below, Bonferroni's bound will do, and scipy finds no quantiles
# Standard deviations from the mean of a Poisson count beyond which it is rarer than that.
_BEYOND = 40
_BISECTIONS = 14  # of an interval of width log(99): the pointwise level to 3 parts in 10,000
_SMALLEST_RANK = 2.0**-50  # ranks of exactly 0 and 1 have no normal score


@dataclass(frozen=True)
class ShiftWidth:
    """What the ranks of each parameter say about the location and the width of its posteriors.

    Attributes
    ----------
    shift : float64 array, shape (d,)
        How far the draws lie above the truth, in sd of the draws: 0 if right.
    width : float64 array, shape (d,)
        Width of the posteriors relative to the right one: 1 if right, .8 if too narrow by a fifth.
    shift_error, width_error : float64 array, shape (d,)
        Standard errors.
    p_value : float64 array, shape (d,)
        Of both being right.
    """

    shift: FloatArray
    width: FloatArray
    shift_error: FloatArray
    width_error: FloatArray
    p_value: FloatArray


def simultaneous_band(
    n: int, levels: ArrayLike = LEVELS, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the band that holds the whole distribution function of n uniform ranks.

    Parameters
    ----------
    n : int
        Number of ranks.
    levels : array, shape (k,)
        Where the function is looked at: increasing, between 0 and 1.
    confidence : float
        Probability that the shares of n uniform ranks below the levels lie in the band at all the
        levels together (at least: counts are whole numbers). Computed, not simulated.

    Returns
    -------
    low, high : float64 array, shape (k,)
        Shares of the n ranks.

    Raises
    ------
    ShapeError
        If n is not positive, or the levels do not increase between 0 and 1.

    References
    ----------
    Säilynoja, Bürkner and Vehtari (2022), arXiv:2103.10522.

    Examples
    --------
    >>> low, high = simultaneous_band(1_000)
    >>> low[[0, 49]], high[[0, 49]]
    (array([0.002, 0.453]), array([0.021, 0.547]))
    """
    levels = _checked_levels(levels)
    if n < 1:
        raise ShapeError(f"simultaneous_band: there must be at least one rank; got n = {n}")
    low, high = _simultaneous_counts(n, tuple(levels.tolist()), confidence)
    return low / n, high / n


def _checked_levels(levels: ArrayLike) -> FloatArray:
    """Return levels as an array, or raise unless they increase between 0 and 1."""
    levels = np.asarray(levels, dtype=float)
    fits = levels.ndim == 1 and levels.size > 0
    if not (fits and np.all(np.diff(levels, prepend=0.0, append=1.0) > 0)):
        raise ShapeError(f"levels must have shape (k,) and increase between 0 and 1; got {levels}")
    return levels


@lru_cache(maxsize=64)
def _simultaneous_counts(
    n: int, levels: tuple[float, ...], confidence: float
) -> tuple[IntArray, IntArray]:
    """Return the narrowest band of counts, of one pointwise level, that n ranks rarely leave."""
    at, rarely = np.asarray(levels), 1 - confidence
    wide, narrow = np.log(rarely / len(levels)), np.log(rarely)  # Bonferroni never fails
    for _ in range(_BISECTIONS):
        middle = (wide + narrow) / 2
        if _escape_probability(n, at, *_counts(n, at, np.exp(middle))) <= rarely:
            wide = middle
        else:
            narrow = middle
    return _counts(n, at, np.exp(wide))


def _counts(n: int, levels: FloatArray, pointwise: float) -> tuple[IntArray, IntArray]:
    """Return the least and the greatest count at each level with both tails above pointwise / 2."""
    tail = pointwise / 2 * _ROUNDING
    low, high = stats.binom.ppf(tail, n, levels), stats.binom.isf(tail, n, levels)
    return np.asarray(low).astype(int), np.asarray(high).astype(int)


def _escape_probability(n: int, levels: FloatArray, low: IntArray, high: IntArray) -> float:
    """Return the probability that the counts of n uniform ranks leave the band at some level.

    The count at one level is a Markov chain from level to level. What leaves for the first time is
    added up: without a difference from 1, it is right however small.
    """
    if np.any(low > high):
        return 1.0
    return sum(_first_escapes(n, levels, low, high))


def _first_escapes(n: int, levels: FloatArray, low: IntArray, high: IntArray) -> Iterator[float]:
    """Yield, for each level, the probability that the counts leave the band there first.

    Uniform ranks are a Poisson process whose total is known to be n. Its increments are independent
    of the count, so that a step is a convolution. Neither edge of the band may fall.
    """
    first, weights, level = 0, np.ones(1), 0.0  # weights: of the process, inside the band so far
    for following, least, most in zip(levels, low, high, strict=True):
        counts = first + np.arange(len(weights))
        rest = _poisson(n - counts, n * (1 - level)) / _poisson(n, n)
        step = (following - level) / (1 - level)
        yield float((weights * rest) @ _tails(least - counts, most - counts, n - counts, step))
        mean = n * (following - level)
        reached = min(most - first, int(mean + _BEYOND * (np.sqrt(mean) + 1)))
        increments = _poisson(np.arange(reached + 1), mean)
        weights = np.convolve(weights, increments)[least - first : most - first + 1]
        first, level = least, following


def _poisson(count: IntArray | int, mean: float) -> FloatArray:
    """Return the Poisson probability of a count, without the checks of scipy.stats."""
    count = np.asarray(count, dtype=float)
    return np.exp(special.xlogy(count, mean) - mean - special.gammaln(count + 1))


def _tails(least: IntArray, most: IntArray, n: IntArray, p: float) -> FloatArray:
    """Return the probability of a binomial count below least or above most."""
    below = np.where(least > 0, special.bdtr(np.maximum(least - 1, 0), n, p), 0.0)
    return np.asarray(below + special.bdtrc(most, n, p), dtype=float)


def uniformity_p_value(ranks: ArrayLike, levels: ArrayLike = LEVELS) -> FloatArray:
    """Return the probability that uniform ranks stray as far as these, for each column.

    The statistic is that of `simultaneous_band`: the smallest, over the levels, of the binomial
    two-sided tail probability of the number of ranks below. Its distribution is computed.

    Parameters
    ----------
    ranks : array, shape (n, d)
        In [0, 1], independent from row to row; ties are jittered (`calibration.ranks` with an rng).
    levels : array, shape (k,)
        Where the distribution function is looked at: increasing, between 0 and 1.

    Returns
    -------
    float64 array, shape (d,)
        1 - confidence or less where the shares leave the band of that confidence.

    Raises
    ------
    ShapeError
        If `ranks` is not of shape (n, d), n > 0, with values in [0, 1], or the levels do not
        increase between 0 and 1.

    References
    ----------
    Säilynoja, Bürkner and Vehtari (2022), arXiv:2103.10522.

    Examples
    --------
    >>> even = (np.arange(1_000) + 0.5) / 1_000
    >>> uniformity_p_value(np.stack([even, even**1.2], axis=1)) < 0.001
    array([False,  True])
    """
    ranks, levels = ranks_of_columns(ranks), _checked_levels(levels)
    n = len(ranks)
    return np.array([_column_p_value(n, levels, np.sort(column)) for column in ranks.T])


def _column_p_value(n: int, levels: FloatArray, ordered: FloatArray) -> float:
    """Return the p-value of one column of ranks in increasing order."""
    counts = np.searchsorted(ordered, levels, side="right")
    below, above = stats.binom.cdf(counts, n, levels), stats.binom.sf(counts - 1, n, levels)
    rarest = min(1.0, 2 * float(np.minimum(below, above).min()))
    if rarest < _RAREST:
        return len(levels) * rarest
    return min(1.0, _escape_probability(n, levels, *_counts(n, levels, rarest)))


def shift_and_width(ranks: ArrayLike) -> ShiftWidth:
    """Return by how much posteriors are displaced and how wide they are, from ranks alone.

    Ranks are turned into normal scores, which are those of a standard normal where the posterior
    is right. The numbers are those of a Gaussian posterior; m draws show at most a displacement
    of about the normal quantile of 1 - 1/m.

    Parameters
    ----------
    ranks : array, shape (n, d)
        In [0, 1], independent from row to row, n at least 2; ties are jittered
        (`calibration.ranks` with an rng).

    Returns
    -------
    ShiftWidth
        Its p-value is the smaller one of a z-test of the mean score and a chi-square test of the
        variance, doubled. A width of equal ranks is infinite, and its error NaN.

    Raises
    ------
    ShapeError
        If `ranks` is not of shape (n, d), n > 1, with values in [0, 1].

    Examples
    --------
    >>> even = (np.arange(1_000) + 0.5) / 1_000
    >>> found = shift_and_width(stats.norm.cdf(stats.norm.ppf(even) / 0.8 - 0.3)[:, None])
    >>> found.shift.round(2), found.width.round(2)
    (array([0.3]), array([0.8]))
    """
    ranks = ranks_of_columns(ranks)
    n = len(ranks)
    if n < 2:
        raise ShapeError(f"shift_and_width: a width needs two ranks or more; got {ranks.shape}")
    scores = special.ndtri(np.clip(ranks, _SMALLEST_RANK, 1 - _SMALLEST_RANK))
    mean, variance = scores.mean(axis=0), scores.var(axis=0, ddof=1)
    fourth = np.mean((scores - mean) ** 4, axis=0)
    variance_error = np.sqrt(np.maximum(fourth - variance**2, 0) / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        width, width_error = variance**-0.5, variance_error / (2 * variance**1.5)
    p_mean = 2 * stats.norm.sf(np.abs(mean) * np.sqrt(n))
    square = stats.chi2(n - 1)
    p_variance = 2 * np.minimum(square.cdf((n - 1) * variance), square.sf((n - 1) * variance))
    p_value = np.minimum(2 * np.minimum(p_mean, p_variance), 1)
    return ShiftWidth(-mean, width, np.sqrt(variance / n), width_error, p_value)
