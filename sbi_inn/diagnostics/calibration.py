"""Is a posterior calibrated? Ranks of the truth, coverage of central intervals, and their noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.arguments import ranks_of_columns, truth_and_draws
from sbi_inn.typing import FloatArray

LEVELS: FloatArray = np.arange(1, 100) / 100

AT_ONCE = 100  # test sets that are simulated together, which stay in the cache

# Levels and ranks are multiples of 1/100 and 1/m: without this, rounding decides on the boundary.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class CalibrationError:
    """How far the coverage of central intervals is from nominal, as fractions (.01 is 1 %).

    Attributes
    ----------
    pooled : float
        Median of |coverage - level| over the 99 levels and all parameters.
    per_parameter : float64 array, shape (d,)
        The same median for each parameter alone.
    """

    pooled: float
    per_parameter: FloatArray


@dataclass(frozen=True)
class CalibrationFloor:
    """The calibration error that an exact posterior would show, as fractions.

    Attributes
    ----------
    quantiles : tuple of float
        Which quantiles over repeated test sets are given below.
    pooled : float64 array, shape (len(quantiles),)
        Of the pooled error.
    worst : float64 array, shape (len(quantiles),)
        Of the largest error among the parameters.
    """

    quantiles: tuple[float, ...]
    pooled: FloatArray
    worst: FloatArray


def ranks(truth: ArrayLike, draws: ArrayLike, rng: np.random.Generator | None = None) -> FloatArray:
    """Return the rank of each true parameter among its posterior draws, as a fraction.

    Parameters
    ----------
    truth : array, shape (n, d)
        True parameters of n observations.
    draws : array, shape (n, m, d)
        m draws from the posterior of each observation.
    rng : numpy.random.Generator, optional
        With it, a rank is drawn uniformly between the draws that neighbour the truth, ties with
        the truth included: an exact posterior then has ranks uniform on [0, 1], however few
        the draws and however many the ties (discrete parameters). Without it, the share of draws
        below the truth, a tie counting one half.

    Returns
    -------
    float64 array, shape (n, d)
        In [0, 1]: near 0 where the truth lies below the draws, near 1 where it lies above.

    Raises
    ------
    ShapeError
        If the shapes do not fit, there are no draws, or a value is NaN.

    References
    ----------
    Talts et al. (2018), arXiv:1804.06788, algorithm 1.

    Examples
    --------
    >>> ranks([[2.5]], [[[1.0], [2.0], [3.0], [4.0]]])
    array([[0.5]])
    """
    truth, draws = truth_and_draws("ranks", truth, draws)
    below = np.count_nonzero(draws < truth[:, None, :], axis=1)
    ties = np.count_nonzero(draws == truth[:, None, :], axis=1)
    m = draws.shape[1]
    if rng is None:
        return (below + ties / 2) / m
    return (below + rng.random(truth.shape) * (ties + 1)) / (m + 1)


def coverage(ranks: ArrayLike, levels: ArrayLike = LEVELS) -> FloatArray:
    """Return the share of truths inside the central interval of each level.

    Parameters
    ----------
    ranks : array, shape (n, d)
        Ranks in [0, 1], from `ranks`.
    levels : array, shape (k,)
        Nominal probabilities of the intervals, in [0, 1]; .01 to .99 by default.

    Returns
    -------
    float64 array, shape (k, d)
        Equal to `levels`, but for sampling noise, where the posterior is calibrated; smaller
        where it is too narrow, larger where it is too wide.

    Raises
    ------
    ShapeError
        If `ranks` is not of shape (n, d), n > 0, with values in [0, 1].

    Examples
    --------
    >>> coverage([[0.4], [0.6], [0.9]], [0.5, 0.9])[:, 0].round(2)
    array([0.67, 1.  ])
    """
    ranks = ranks_of_columns(ranks)
    levels = np.asarray(levels, dtype=float)
    # A truth of rank r lies inside every central interval of level 2 |r - 1/2| or more.
    entered = np.sort(np.abs(2 * ranks - 1), axis=0)
    inside = [np.searchsorted(column, levels + _ROUNDING, side="right") for column in entered.T]
    return np.stack(inside, axis=1) / len(ranks)


def calibration_error(ranks: ArrayLike) -> CalibrationError:
    """Return the calibration error: the median distance of coverage from nominal.

    Parameters
    ----------
    ranks : array, shape (n, d)
        Ranks in [0, 1], from `ranks`; give that function an rng where draws are few.

    Returns
    -------
    CalibrationError
        Over the levels .01 to .99, pooled over the parameters and for each of them. It is never
        zero: compare it with `calibration_floor`.

    Raises
    ------
    ShapeError
        If `ranks` is not of shape (n, d), n > 0, with values in [0, 1].

    References
    ----------
    Ardizzone, dissertation (Heidelberg), section 4.2.

    Examples
    --------
    >>> too_wide = np.full((100, 2), 0.5)
    >>> calibration_error(too_wide).pooled
    0.5
    """
    distance = np.abs(coverage(ranks, LEVELS) - LEVELS[:, None])
    return CalibrationError(float(np.median(distance)), np.median(distance, axis=0))


def calibration_floor(
    n: int,
    d: int,
    quantiles: Sequence[float] = (0.5, 0.95),
    *,
    rng: np.random.Generator,
    repetitions: int = 4_000,
) -> CalibrationFloor:
    """Return the calibration error of an exact posterior, by simulation.

    Parameters
    ----------
    n, d : int
        Number of test observations and of parameters, taken as independent.
    quantiles : sequence of float
        Which quantiles of the error over repeated test sets.
    rng : numpy.random.Generator
        For the simulated test sets.
    repetitions : int
        Number of simulated test sets.

    Returns
    -------
    CalibrationFloor
        An error above the .95 quantile is a miscalibration, not noise.

    Examples
    --------
    >>> floor = calibration_floor(5_000, 4, rng=np.random.default_rng(0))
    >>> [f"{error:.1%}" for error in floor.pooled]
    ['0.4%', '0.5%']
    """
    pooled, worst = np.empty((2, repetitions))
    for first in range(0, repetitions, AT_ONCE):
        here = slice(first, min(first + AT_ONCE, repetitions))
        # The levels cut uniform ranks into 100 equally likely cells: all that matters is counts.
        counts = rng.multinomial(n, np.full(100, 0.01), size=(here.stop - first, d))
        covered = np.cumsum(counts, axis=-1)[..., :-1] / n
        distance = np.abs(covered - LEVELS)
        pooled[here] = np.median(distance, axis=(1, 2))
        worst[here] = np.median(distance, axis=2).max(axis=1)
    return CalibrationFloor(
        tuple(quantiles), np.quantile(pooled, quantiles), np.quantile(worst, quantiles)
    )
