"""Find the interval of a column in which scores differ most from zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from sbi_inn.typing import BoolArray, FloatArray, IntArray

SHARES = (0.03, 0.1, 0.3)  # of the rows that a window holds
FEWEST = 20  # rows in a window
MOST_COLUMNS = 100  # that are cut into windows: of more, those that go with some score most


@dataclass(frozen=True)
class Windows:
    """For each of q columns and s scores, the window of the column where the score strays furthest.

    Attributes
    ----------
    columns : int array, shape (q,)
        Which columns were cut into windows.
    low, high : int array, shape (q, s)
        A window holds rows from low to high (exclusive) in the column's order.
    mean : array, shape (q, s)
        Of the scores in it.
    z : array, shape (q, s)
        That mean in standard errors.
    counts : bool array, shape (q, s)
        Whether the mean is both significant and large enough to matter.
    looks : int
        How many windows there are for one score, in all columns.
    """

    columns: IntArray
    low: IntArray
    high: IntArray
    mean: FloatArray
    z: FloatArray
    counts: BoolArray
    looks: int


Matters = Callable[[FloatArray], BoolArray]  # of means (windows, s): which are large enough


def nothing_matters(mean: FloatArray) -> BoolArray:
    """Say of every mean that it is too small to matter."""
    return np.zeros(mean.shape, bool)


def scan(
    columns: FloatArray,
    scores: FloatArray,
    *,
    matters: Matters = nothing_matters,
    p_value: float = 1.0,
) -> Windows:
    """Find the windows where scores stray furthest from zero.

    Windows hold 3, 10 and 30 % of the rows, at least 20, and rows with equal values together. Of
    more than 100 columns, the 100 that go with some score most are looked at; all count as looks.
    A wide window may stray by more standard errors than a narrow one inside it, where the mean is
    larger: windows whose mean matters and is significant come first.

    Parameters
    ----------
    columns : array, shape (n, p)
    scores : array, shape (n, s)
        Of mean 0 and variance 1, independent from row to row, if all is well.
    matters : callable
        Says which means (windows, s) are large enough to matter.
    p_value : float
        What a mean has to stay below for that, corrected for all windows of its score.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.sort(rng.normal(size=(1_000, 1)), axis=0)
    >>> found = scan(y, np.where(y > 1.5, 1.0, 0.0) + rng.normal(size=(1_000, 1)))
    >>> bool(found.z[0, 0] > 5), int(found.high[0, 0])
    (True, 1000)
    """
    chosen = _most_telling(columns, scores)
    orders = [np.argsort(column, kind="stable") for column in columns.T[chosen]]
    parted = [_edges(columns[order, i]) for order, i in zip(orders, chosen, strict=True)]
    looks = int(np.ceil(sum(map(len, parted)) * columns.shape[1] / len(chosen)))
    least = -special.ndtri(min(p_value / looks, 1.0) / 2)
    parts = [
        _scan(edges, scores[order], matters, least)
        for edges, order in zip(parted, orders, strict=True)
    ]
    low, high, mean, z, counts = (np.stack(column) for column in zip(*parts, strict=True))
    return Windows(chosen, low, high, mean, z, counts, looks)


def _most_telling(columns: FloatArray, scores: FloatArray) -> IntArray:
    p = columns.shape[1]
    if p <= MOST_COLUMNS:
        return np.arange(p)
    together = np.abs((columns - columns.mean(axis=0)).T @ scores).max(axis=1)
    return np.sort(np.argsort(-together, kind="stable")[:MOST_COLUMNS])


class _Best(NamedTuple):
    low: IntArray
    high: IntArray
    mean: FloatArray
    z: FloatArray
    counts: BoolArray


def _scan(edges: IntArray, scores: FloatArray, matters: Matters, least: float) -> _Best:
    """Find the best of the windows for each score, in the order of one column."""
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0)])
    low, high = edges.T
    size = (high - low)[:, None]
    total = sums[high] - sums[low]
    mean, z = total / size, total / np.sqrt(size)
    counts = matters(mean) & (np.abs(z) > least)
    first = counts | ~counts.any(axis=0)
    best, every = np.where(first, np.abs(z), -1.0).argmax(axis=0), np.arange(scores.shape[1])
    return _Best(low[best], high[best], mean[best, every], z[best, every], counts[best, every])


def _edges(ordered: FloatArray) -> IntArray:
    """List the windows of a sorted column, shape (windows, 2); all of it where it is constant."""
    n, found = len(ordered), []
    for share in SHARES:
        size = min(n, max(round(share * n), FEWEST))
        starts = np.linspace(0, n - size, max(1, 2 * (n // size) - 1)).astype(int)
        low = np.searchsorted(ordered, ordered[starts])
        high = np.searchsorted(ordered, ordered[starts + size - 1], side="right")
        found.append(np.stack([low, high], axis=1))
    return np.unique(np.concatenate(found), axis=0)


@dataclass(frozen=True)
class Quadrant:
    """Rows where two columns lie above or below their middles, and what a score is there.

    Attributes
    ----------
    columns : (int, int)
    above : (bool, bool)
        Whether each column lies above its middle.
    mean, z : float
        Of the score there; the mean in standard errors.
    looks : int
        How many quadrants there are.
    """

    columns: tuple[int, int]
    above: tuple[bool, bool]
    mean: float
    z: float
    looks: int


def best_quadrant(columns: FloatArray, score: FloatArray) -> Quadrant | None:
    """Find the quadrant of two columns where a score strays furthest; None for fewer than two.

    Parameters
    ----------
    columns : array, shape (n, p)
        With their middles at zero.
    score : array, shape (n,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(1_000, 2))
    >>> found = best_quadrant(y, np.sign(y[:, 0] * y[:, 1]))
    >>> found.columns, round(abs(found.mean), 6)
    ((0, 1), 1.0)
    """
    p = columns.shape[1]
    i, j = np.triu_indices(p, 1)
    found = []
    for first in (True, False):
        for second in (True, False):
            a, b = (columns > 0) == first, (columns > 0) == second
            counts = (a.astype(float).T @ b)[i, j]
            sums = ((a * score[:, None]).T @ b)[i, j]
            z = np.divide(sums, np.sqrt(counts), out=np.zeros(len(i)), where=counts >= FEWEST)
            for k in np.abs(z).argsort()[-1:]:
                pair = int(i[k]), int(j[k])
                mean = float(z[k] / np.sqrt(max(counts[k], 1)))
                found.append(Quadrant(pair, (first, second), mean, float(z[k]), 4 * len(i)))
    return max(found, key=lambda quadrant: abs(quadrant.z), default=None)
