"""Are probabilities of classes calibrated? Calibration errors, and those of exact probabilities.

The reference is an exact classifier with the same probabilities: its true classes are drawn from
them. Its errors with as many rows are the floor; errors below it are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.arguments import probabilities_and_truth, probabilities_of
from sbi_inn.diagnostics.reliability import EDGES, SURE, Counts, exact_counts
from sbi_inn.typing import FloatArray, IntArray


@dataclass(frozen=True)
class ClassCalibration:
    """How far probabilities of classes are from the frequencies, as fractions (.01 is 1 %).

    Attributes
    ----------
    expected : float
        Expected calibration error, ECE: the mean over all entries (eq. 5.24).
    maximum : float
        Maximum calibration error, MCE: of the worst bin (eq. 5.25).
    integrated : float
        Integrated calibration error, ICE: the area between the curves (eq. 5.26).
    geometric_mean : float
        Of these three (eq. 5.27).
    overconfidence : float
        Share of errors among the predictions with a probability of 99.7 % or more, over .3 %
        (sec. 5.4.2): above 1 where such predictions are wrong more often than they may be. nan
        where there are no such predictions.

    References
    ----------
    Ardizzone, dissertation (Heidelberg), sections 5.3.2 and 5.4.2.
    """

    expected: float
    maximum: float
    integrated: float
    geometric_mean: float
    overconfidence: float


@dataclass(frozen=True)
class ClassCalibrationFloor:
    """The calibration errors that an exact classifier would show with the same probabilities.

    Attributes
    ----------
    quantiles : tuple of float
        Which quantiles over repeated truths are given below.
    expected, maximum, integrated, geometric_mean, overconfidence : float64 arrays
        Of shape (len(quantiles),): of the errors of `ClassCalibration`.
    """

    quantiles: tuple[float, ...]
    expected: FloatArray
    maximum: FloatArray
    integrated: FloatArray
    geometric_mean: FloatArray
    overconfidence: FloatArray


@dataclass(frozen=True)
class LogScore:
    """The mean log probability of the true class, and what it would be if it were exact.

    Attributes
    ----------
    mean : float
        Mean of ln p(true class), at most 0; -inf where a true class had probability 0.
    expected : float
        Its expectation if the probabilities are exact: minus their mean entropy.
    error : float
        Standard error of the mean under exact probabilities.
    z : float
        (mean - expected) / error: far below 0 where the probabilities are too sure of
        themselves, far above where they are too timid. 0 where every probability is 0 or 1 and
        all are right.
    """

    mean: float
    expected: float
    error: float
    z: float


@dataclass(frozen=True)
class ClassShares:
    """How often each class is true, beside the mean of its probabilities.

    Attributes
    ----------
    probability : float64 array, shape (k,)
        Mean probability of each class.
    frequency : float64 array, shape (k,)
        Share of the rows that belong to it.
    z : float64 array, shape (k,)
        Their difference in standard errors of an exact classifier; 0 where both agree without
        any noise.
    """

    probability: FloatArray
    frequency: FloatArray
    z: FloatArray


def class_calibration(probabilities: ArrayLike, truth: ArrayLike) -> ClassCalibration:
    """Return the calibration errors of probabilities of classes.

    Every entry counts, of the true class and of the others: entries are gathered in the bins
    0 to .05 and .95 to 1 in steps of .01, and .05 to .95 in steps of .1. Of a bin, the middle is
    compared with the share of its entries that belong to the true class. (As printed, eq. 5.21
    counts whether the row's most probable class is true, which no exact classifier satisfies.)
    Empty bins count nowhere.

    Parameters
    ----------
    probabilities : array, shape (n, k)
        Of k classes for n rows; each row sums to one.
    truth : array of int, shape (n,)
        The true class of each row, from 0 to k - 1.

    Returns
    -------
    ClassCalibration
        Never zero, since bins have a width and rows are few: compare it with
        `class_calibration_floor`.

    Raises
    ------
    ShapeError
        If the shapes do not fit, a row is no distribution, or a truth is no class.

    References
    ----------
    Ardizzone, dissertation (Heidelberg), equations 5.20 to 5.27.

    Examples
    --------
    >>> always_half = np.full((100, 2), 0.5)
    >>> class_calibration(always_half, np.repeat([0, 1], 50)).expected
    0.0
    >>> class_calibration(always_half, np.zeros(100, int)).expected
    0.0
    >>> round(class_calibration([[0.8, 0.2]] * 100, np.repeat([0, 1], 50)).expected, 3)
    0.3
    """
    p, truth = probabilities_and_truth("class_calibration", probabilities, truth)
    counts = Counts.of(p)
    right, wrong = counts.right(truth[None])
    return ClassCalibration(*(float(one[0]) for one in _errors(counts, right, wrong)))


def class_calibration_floor(
    probabilities: ArrayLike,
    quantiles: Sequence[float] = (0.5, 0.95),
    *,
    rng: np.random.Generator,
    repetitions: int = 1_000,
) -> ClassCalibrationFloor:
    """Return the calibration errors that exact probabilities show at as many rows.

    True classes are drawn from the probabilities themselves, again and again.

    Parameters
    ----------
    probabilities : array, shape (n, k)
        As in `class_calibration`.
    quantiles : sequence of float
        Which quantiles of the errors over repeated truths.
    rng : numpy.random.Generator
        For the simulated truths.
    repetitions : int
        Number of times that truths are drawn.

    Returns
    -------
    ClassCalibrationFloor
        An error above the .95 quantile is a miscalibration, not noise, in 19 of 20 cases.

    Raises
    ------
    ShapeError
        As `class_calibration`.

    Examples
    --------
    >>> p = np.random.default_rng(0).dirichlet([0.5, 0.5], size=5_000)
    >>> floor = class_calibration_floor(p, rng=np.random.default_rng(1))
    >>> [f"{error:.1%}" for error in floor.expected]
    ['0.9%', '1.5%']
    """
    p = probabilities_of("class_calibration_floor", probabilities)
    found = [_errors(*one) for one in exact_counts(p, repetitions, rng)]
    errors = (np.concatenate(one) for one in zip(*found, strict=True))
    return ClassCalibrationFloor(tuple(quantiles), *(_quantiles(e, quantiles) for e in errors))


def class_calibration_p_value(
    probabilities: ArrayLike,
    truth: ArrayLike,
    *,
    rng: np.random.Generator,
    repetitions: int = 1_000,
) -> ClassCalibration:
    """Return how often exact probabilities show errors as large as those found.

    Parameters
    ----------
    probabilities, truth : arrays, shapes (n, k) and (n,)
        As in `class_calibration`.
    rng : numpy.random.Generator
    repetitions : int
        As in `class_calibration_floor`; no p-value is below 1 / (repetitions + 1).

    Returns
    -------
    ClassCalibration
        A p-value in the place of each error: uniform, but for ties, if the probabilities are exact.
        nan where an error is nan.

    Raises
    ------
    ShapeError
        As `class_calibration`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = np.tile([0.7, 0.3], (1_000, 1))
    >>> class_calibration_p_value(p, np.zeros(1_000, int), rng=rng).expected < 0.01
    True
    """
    p, truth = probabilities_and_truth("class_calibration_p_value", probabilities, truth)
    found = astuple(class_calibration(p, truth))
    larger, drawn = np.zeros(len(found)), 0
    for one in exact_counts(p, repetitions, rng):
        errors = np.stack(_errors(*one))
        larger += (errors >= np.array(found)[:, None] - 1e-12).sum(axis=1)
        drawn += errors.shape[1]
    values = np.where(np.isnan(found), np.nan, (larger + 1) / (drawn + 1))
    return ClassCalibration(*(float(value) for value in values))


def class_shares(probabilities: ArrayLike, truth: ArrayLike) -> ClassShares:
    """Return how often each class is true, beside how often the probabilities say so.

    What favours one class, whatever the row, shows here. The bins of `class_calibration` are shared
    by all classes, and where there are two, they cannot see it: what one gains the other loses.

    Parameters
    ----------
    probabilities, truth : arrays, shapes (n, k) and (n,)
        As in `class_calibration`.

    Returns
    -------
    ClassShares

    Raises
    ------
    ShapeError
        As `class_calibration`.

    Examples
    --------
    >>> class_shares([[0.8, 0.2]] * 100, [0] * 76 + [1] * 24).z.round(6)
    array([-1.,  1.])
    """
    p, truth = probabilities_and_truth("class_shares", probabilities, truth)
    mean, frequency = p.mean(axis=0), np.bincount(truth, minlength=p.shape[1]) / len(p)
    error = np.sqrt((p * (1 - p)).sum(axis=0)) / len(p)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(frequency == mean, 0, (frequency - mean) / error)
    return ClassShares(mean, frequency, z)


def confusion_matrix(probabilities: ArrayLike, truth: ArrayLike) -> IntArray:
    """Count how often each class is taken for each.

    Parameters
    ----------
    probabilities, truth : arrays, shapes (n, k) and (n,)
        As in `class_calibration`; the most probable class is chosen, the first of equals.

    Returns
    -------
    int64 array, shape (k, k)
        Rows are true classes, columns the chosen ones.

    Raises
    ------
    ShapeError
        As `class_calibration`.

    Examples
    --------
    >>> confusion_matrix([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1])
    array([[1, 0],
           [1, 1]])
    """
    p, truth = probabilities_and_truth("confusion_matrix", probabilities, truth)
    k = p.shape[1]
    return np.bincount(truth * k + p.argmax(axis=1), minlength=k * k).reshape(k, k)


def log_score(probabilities: ArrayLike, truth: ArrayLike) -> LogScore:
    """Return the mean log probability of the true class, beside what exact ones would give.

    Parameters
    ----------
    probabilities, truth : arrays, shapes (n, k) and (n,)
        As in `class_calibration`.

    Returns
    -------
    LogScore

    Raises
    ------
    ShapeError
        As `class_calibration`.

    References
    ----------
    Gneiting & Raftery (2007), J. Am. Stat. Assoc. 102, 359; Spiegelhalter (1986), Statistics in
    Medicine 5, 421, for the test against its own expectation.

    Examples
    --------
    >>> score = log_score([[0.8, 0.2]] * 10, [0] * 8 + [1] * 2)
    >>> round(score.mean, 3), round(score.z, 3)
    (-0.5, 0.0)
    """
    p, truth = probabilities_and_truth("log_score", probabilities, truth)
    own, log_p = p[np.arange(len(p)), truth], np.log(np.where(p > 0, p, 1))  # 0 ln 0 is 0
    entropy = -(p * log_p).sum(axis=1)
    variance = (p * log_p**2).sum(axis=1) - entropy**2
    with np.errstate(divide="ignore"):
        mean, expected = np.log(own).mean(), -entropy.mean()
    error = np.sqrt(np.clip(variance, 0, None).sum()) / len(p)
    difference = mean - expected
    z = np.copysign(np.inf, difference) if error == 0 and difference else difference / (error or 1)
    return LogScore(float(mean), float(expected), float(error), float(z))


def _errors(counts: Counts, right: FloatArray, wrong: FloatArray) -> tuple[FloatArray, ...]:
    """Give the five errors, each of shape (r,), of counts right (r, bins) and wrong (r,)."""
    there = counts.entries > 0
    middle, width = (EDGES[1:] + EDGES[:-1])[there] / 2, np.diff(EDGES)[there]
    entries = counts.entries[there]
    distance = np.abs(right[:, there] / entries - middle)
    expected = distance @ (entries / entries.sum())
    maximum, integrated = distance.max(axis=1), distance @ width
    with np.errstate(invalid="ignore"):  # no sure rows: no share of them
        overconfidence = wrong / np.float64(len(counts.sure)) / (1 - SURE)
    mean = np.cbrt(expected * maximum * integrated)
    return expected, maximum, integrated, mean, overconfidence


def _quantiles(values: FloatArray, quantiles: Sequence[float]) -> FloatArray:
    """Give quantiles of values, which are all nan where one is."""
    if np.isnan(values).any():
        return np.full(len(quantiles), np.nan)
    return np.quantile(values, quantiles)
