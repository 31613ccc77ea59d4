"""Find the region of several columns in which a score strays from zero: by a small tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sbi_inn.typing import BoolArray, FloatArray, IntArray

Bins: TypeAlias = npt.NDArray[np.int16]  # which of a hundred at most; of 4 million values

CUTS = 31  # of a column, at quantiles
CUTS_OF_DISTINCT = 15  # of one with ties, at quantiles of its distinct values
TOGETHER = 32  # columns that are cut together, which stay in the cache
DEPTH = 4  # cuts on the way to a region: two sides of two columns
SHARE = 0.01  # of the rows that a region holds, at least
FEWEST = 20  # the same, in rows


@dataclass(frozen=True)
class Region:
    """A box in some columns, chosen on half of the rows, and what a score is there on the others.

    Attributes
    ----------
    columns : tuple of int
        Whose values bound it.
    inside : bool array, shape (n,)
        Which rows lie in it.
    mean : float
        Of the score, over the rows of the other half.
    z : float
        That mean in standard errors: N(0, 1) for independent scores of mean 0 and variance 1.
    """

    columns: tuple[int, ...]
    inside: BoolArray
    mean: float
    z: float


def find_regions(columns: FloatArray, scores: FloatArray) -> list[Region | None]:
    """Find for each score the region where it strays furthest; None if no region has enough rows.

    Every second row grows a tree: each cut, of one column, is that which parts the score best. The
    other rows, which have not chosen it, say what the score is in the best of its nodes.

    Parameters
    ----------
    columns : array, shape (n, p)
    scores : array, shape (n, s)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(4_000, 3))
    >>> corner = (y[:, 0] > 0.8) & (y[:, 2] > 0.8)  # 4.5 % of the rows
    >>> found = find_regions(y, (corner + rng.normal(size=4_000))[:, None])[0]
    >>> found.columns, round(found.mean), bool(found.z > 5)
    ((0, 2), 1, True)
    """
    binned, bins = _binned(columns)
    n, s = scores.shape
    chooses = np.arange(n) % 2 == 0
    choosing = binned[chooses]
    least = max(FEWEST, int(np.ceil(SHARE * n / 2)))
    found: list[Region | None] = []
    for i in range(s):
        tree = _Tree(choosing, scores[chooses, i], bins, least)
        cuts = tree.best
        inside = np.ones(n, bool)
        for cut in cuts:
            inside &= cut.holds(binned)
        told = scores[inside & ~chooses, i]
        if not cuts or len(told) < FEWEST:
            found.append(None)
            continue
        names = tuple(sorted({cut.column for cut in cuts}))
        mean = float(told.mean())
        found.append(Region(names, inside, mean, mean * float(np.sqrt(len(told)))))
    return found


def _binned(columns: FloatArray) -> tuple[Bins, int]:
    """Give the values of each column numbers between quantiles, and say how many there are.

    A value that is a quantile, as one that many rows share, has a number of its own.
    """
    found = np.empty(columns.shape, np.int16)
    for i in range(columns.shape[1]):
        column = np.ascontiguousarray(columns[:, i])
        cuts = np.quantile(column, np.arange(1, CUTS + 1) / (CUTS + 1))
        if np.unique(cuts).size < CUTS:  # all values but one may lie in a tail
            more = np.quantile(
                np.unique(column), np.arange(1, CUTS_OF_DISTINCT + 1) / (CUTS_OF_DISTINCT + 1)
            )
            cuts = np.concatenate([cuts, more])
        cuts = np.unique(cuts)
        below = np.searchsorted(cuts, column)
        found[:, i] = 2 * below + (np.append(cuts, np.nan)[below] == column)
    return found, int(found.max(initial=0)) + 1


@dataclass(frozen=True)
class _Cut:
    column: int
    last: int
    above: bool

    def holds(self, binned: Bins) -> BoolArray:
        return (binned[:, self.column] > self.last) == self.above


class _Tree:
    """Cuts rows again and again where a score is parted best, and keeps the best node."""

    def __init__(self, binned: Bins, score: FloatArray, bins: int, least: int) -> None:
        self.binned, self.score, self.bins, self.least = binned, score, bins, least
        self.best: tuple[_Cut, ...] = ()
        self._best_z = 0.0
        self._grow(np.arange(len(score)), ())

    def _grow(self, rows: IntArray, cuts: tuple[_Cut, ...]) -> None:
        z = abs(float(self.score[rows].sum())) / np.sqrt(len(rows))
        if cuts and z > self._best_z:
            self.best, self._best_z = cuts, z
        if len(cuts) == DEPTH or len(rows) < 2 * self.least:
            return
        cut = self._cut(rows)
        if cut is None:
            return
        above = self.binned[rows, cut.column] > cut.last
        self._grow(rows[~above], (*cuts, cut))
        self._grow(rows[above], (*cuts, _Cut(cut.column, cut.last, True)))

    def _cut(self, rows: IntArray) -> _Cut | None:
        """Find the cut that leaves least of the score's variance; None if a part is too small."""
        score, shape = self.score[rows], (self.binned.shape[1], self.bins)
        count, total = np.empty(shape, np.int64), np.empty(shape)
        for first in range(0, len(count), TOGETHER):
            here = slice(first, first + TOGETHER)
            binned = self.binned[rows, here]
            k = binned.shape[1]
            places, weights = (binned + self.bins * np.arange(k)).ravel(), np.repeat(score, k)
            for found, by in ((count, None), (total, weights)):
                sums = np.bincount(places, by, k * self.bins).reshape(k, self.bins)
                found[here] = sums.cumsum(axis=1)
        rest, other = len(rows) - count, score.sum() - total
        allowed = (count >= self.least) & (rest >= self.least)
        if not allowed.any():
            return None
        parted = total**2 / np.maximum(count, 1) + other**2 / np.maximum(rest, 1)
        column, last = np.unravel_index(np.where(allowed, parted, -1.0).argmax(), shape)
        return _Cut(int(column), int(last), False)
