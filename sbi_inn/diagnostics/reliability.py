"""Reliability curves of probabilities of classes, and the band of an exact classifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.arguments import probabilities_and_truth
from sbi_inn.typing import FloatArray, IntArray

# Narrow where most probabilities lie: near 0 and near 1.
EDGES: FloatArray = np.concatenate(
    [np.arange(0, 5) / 100, np.arange(5, 95, 10) / 100, np.arange(95, 101) / 100]
)
SURE = 0.997  # probability from which on a prediction counts as sure

_CHUNK = 2_000_000  # entries of simulated truths at a time


@dataclass(frozen=True)
class Reliability:
    """How often what has a probability is true: the reliability curve, bin by bin.

    Attributes
    ----------
    edges : float64 array, shape (bins + 1,)
        Of the bins of probability.
    count : int64 array, shape (bins,)
        Entries in each bin; n rows of k classes have n k entries.
    probability : float64 array, shape (bins,)
        Their mean probability; nan in an empty bin.
    frequency : float64 array, shape (bins,)
        The share of them that belong to the true class; nan in an empty bin.
    low, high : float64 arrays, shape (bins,)
        The band of an exact classifier: its whole curve stays within with probability `level`.
    level : float
        That probability.
    """

    edges: FloatArray
    count: IntArray
    probability: FloatArray
    frequency: FloatArray
    low: FloatArray
    high: FloatArray
    level: float

    @property
    def outside(self) -> npt.NDArray[np.bool_]:
        """Which bins leave the band, shape (bins,)."""
        rounding = 1e-12
        return (self.frequency < self.low - rounding) | (self.frequency > self.high + rounding)


def reliability(
    probabilities: ArrayLike,
    truth: ArrayLike,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    repetitions: int = 2_000,
) -> Reliability:
    """Return the reliability curve, and the band of an exact classifier at as many rows.

    Parameters
    ----------
    probabilities : array, shape (n, k)
        Of k classes for n rows.
    truth : array of int, shape (n,)
        The true class of each row.
    rng : numpy.random.Generator
        For the simulated truths.
    level : float
        Share of exact curves that stay within the band in every bin at once.
    repetitions : int
        Number of exact curves that are drawn.

    Returns
    -------
    Reliability

    Raises
    ------
    ShapeError
        If the shapes do not fit, a row is no distribution, or a truth is no class.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.dirichlet([1, 1], size=2_000)
    >>> truth = (rng.random(2_000) > p[:, 0]).astype(int)
    >>> curve = reliability(p, truth, rng=rng)
    >>> curve.count.sum(), curve.outside.any()
    (np.int64(4000), np.False_)
    """
    p, truth = probabilities_and_truth("reliability", probabilities, truth)
    counts = Counts.of(p)
    right, _ = counts.right(truth[None])
    exact = np.concatenate([right for _, right, _ in exact_counts(p, repetitions, rng)])
    low, high = _band(exact, level)
    total = np.bincount(counts.bins.ravel(), p.ravel(), len(EDGES) - 1)
    with np.errstate(invalid="ignore"):  # an empty bin has no mean
        mean, frequency, low, high = np.stack([total, right[0], low, high]) / counts.entries
    return Reliability(EDGES.copy(), counts.entries, mean, frequency, low, high, level)


@dataclass(frozen=True)
class Counts:
    """What the probabilities alone decide: the bin of every entry, and which rows are sure."""

    bins: IntArray  # (n, k)
    entries: IntArray  # (bins,)
    sure: IntArray  # rows
    choice: IntArray  # of the sure rows

    @classmethod
    def of(cls, p: FloatArray) -> Counts:
        """Gather the entries of probabilities (n, k) in bins."""
        inner = EDGES[1:-1]
        bins = np.searchsorted(inner, p, side="right")
        sure = np.flatnonzero(p.max(axis=1) >= SURE)
        entries = np.bincount(bins.ravel(), minlength=len(EDGES) - 1)
        return cls(bins, entries, sure, p[sure].argmax(axis=1))

    def right(self, truths: IntArray) -> tuple[FloatArray, FloatArray]:
        """Count the entries of true classes, and sure rows that are wrong, of truths (r, n)."""
        r, n = truths.shape
        hit = self.bins[np.arange(n), truths] + np.arange(r)[:, None] * len(self.entries)
        right = np.bincount(hit.ravel(), minlength=r * len(self.entries)).reshape(r, -1)
        wrong = (truths[:, self.sure] != self.choice).sum(axis=1)
        return right.astype(float), wrong.astype(float)


def exact_counts(
    p: FloatArray, repetitions: int, rng: np.random.Generator
) -> Iterator[tuple[Counts, FloatArray, FloatArray]]:
    """Draw true classes from the probabilities, and count, some repetitions at a time."""
    counts, n = Counts.of(p), len(p)
    thresholds = p.cumsum(axis=1)[:, :-1]
    at_once = max(1, _CHUNK // n)
    for start in range(0, repetitions, at_once):
        u = rng.random((min(at_once, repetitions - start), n))
        truths = np.zeros(u.shape, np.int64)
        for column in thresholds.T:
            truths += u >= column
        yield counts, *counts.right(truths)


def _band(curves: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Give the band in which a share `level` of curves (r, bins) lies as a whole.

    The band of each bin runs from a quantile to the opposite one; the same for all bins, as far
    out as needed.
    """
    ordered, r = np.sort(curves, axis=0), len(curves)
    depth = np.empty_like(curves)
    for bin_, column in enumerate(curves.T):
        above = np.searchsorted(ordered[:, bin_], column, side="right")  # ties count as inside
        below = r - np.searchsorted(ordered[:, bin_], column, side="left")
        depth[:, bin_] = np.minimum(above, below)
    cut = int(np.quantile(depth.min(axis=1), 1 - level, method="lower"))
    cut = min(max(cut, 1), (r + 1) // 2)
    return ordered[cut - 1], ordered[r - cut]
