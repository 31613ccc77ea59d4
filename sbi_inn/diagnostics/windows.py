"""Find the interval of a column in which scores differ most from zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbi_inn.typing import FloatArray, IntArray

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
    looks : int
        How many windows there are for one score, in all columns.
    """

    columns: IntArray
    low: IntArray
    high: IntArray
    mean: FloatArray
    z: FloatArray
    looks: int


def scan(columns: FloatArray, scores: FloatArray) -> Windows:
    """Find the windows where scores stray furthest from zero.

    Windows hold 3, 10 and 30 % of the rows, at least 20, and rows with equal values together. Of
    more than 100 columns, the 100 that go with some score most are looked at; all count as looks.

    Parameters
    ----------
    columns : array, shape (n, p)
    scores : array, shape (n, s)
        Of mean 0 and variance 1, independent from row to row, if all is well.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.sort(rng.normal(size=(1_000, 1)), axis=0)
    >>> found = scan(y, np.where(y > 1.5, 1.0, 0.0) + rng.normal(size=(1_000, 1)))
    >>> bool(found.z[0, 0] > 5), int(found.high[0, 0])
    (True, 1000)
    """
    chosen = _most_telling(columns, scores)
    parts = [_scan(column, scores) for column in columns.T[chosen]]
    low, high, mean, z = (np.stack([part[i] for part in parts]) for i in range(4))
    looks = sum(part[4] for part in parts) * columns.shape[1] / len(chosen)
    return Windows(chosen, low, high, mean, z, int(np.ceil(looks)))


def _most_telling(columns: FloatArray, scores: FloatArray) -> IntArray:
    p = columns.shape[1]
    if p <= MOST_COLUMNS:
        return np.arange(p)
    together = np.abs((columns - columns.mean(axis=0)).T @ scores).max(axis=1)
    return np.sort(np.argsort(-together, kind="stable")[:MOST_COLUMNS])


def _scan(
    column: FloatArray, scores: FloatArray
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, int]:
    order = np.argsort(column, kind="stable")
    edges = _edges(column[order])
    sums = np.concatenate([np.zeros((1, scores.shape[1])), np.cumsum(scores[order], axis=0)])
    low, high = edges.T
    size = (high - low)[:, None]
    total = sums[high] - sums[low]
    z = total / np.sqrt(size)
    best, every = np.abs(z).argmax(axis=0), np.arange(scores.shape[1])
    return low[best], high[best], (total / size)[best, every], z[best, every], len(edges)


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
