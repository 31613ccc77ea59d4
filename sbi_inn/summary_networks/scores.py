"""Normal scores of observables whose law is far from normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from sbi_inn.typing import FloatArray, IntArray

KNOTS = 65  # of a map: 64 equal steps of the normal score
ALIKE = 0.97  # correlation with its normal score, below which a column is given as that too


@dataclass(frozen=True)
class Scores:
    """Maps of some columns to a standard normal law, by the quantiles of the training rows.

    Counts, populations or fluxes over decades crowd at one end of their range, where a network that
    reads them on a linear scale cannot tell them apart. Their normal scores are spread evenly.

    Attributes
    ----------
    columns : array of int, shape (k,)
        Which columns are far from normal.
    values, scores : array, shape (k, knots)
        The map of each, linear between its knots, constant beyond.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> normal, decades = rng.normal(size=1000), rng.lognormal(0, 3, size=1000)
    >>> scores = Scores.fit(np.column_stack([normal, decades]))
    >>> scores.columns, scores(np.array([[0.0, np.exp(3.0)]])).round(1)
    (array([1]), array([[1.]], dtype=float32))
    """

    columns: IntArray
    values: FloatArray
    scores: FloatArray

    @classmethod
    def fit(cls, table: FloatArray, alike: float | FloatArray = ALIKE) -> Scores:
        """Find which columns of (rows, columns) are far from normal, and their maps.

        Those whose correlation with their normal score is below `alike`, which may be a number for
        each column.
        """
        known = [column[~np.isnan(column)] for column in table.T]
        maps = [_map(column) for column in known]
        least = np.broadcast_to(alike, len(maps))
        chosen = [
            i for i, m in enumerate(maps) if m is not None and _likeness(known[i], *m) < least[i]
        ]
        knots = np.array([maps[i] for i in chosen]).reshape(len(chosen), 2, KNOTS)
        return cls(np.array(chosen, np.int64), knots[:, 0], knots[:, 1])

    def __call__(self, table: FloatArray) -> npt.NDArray[np.float32]:
        """Give the normal scores, shape (rows, k), of a table (rows, columns); NaN stays."""
        found = np.empty((len(table), len(self.columns)), np.float32)
        for k, column in enumerate(self.columns):
            found[:, k] = np.interp(table[:, column], self.values[k], self.scores[k])
        return found


def alike_normal(table: FloatArray) -> FloatArray:
    """Correlate each column of (rows, columns) with its normal scores; 1 where it has none."""
    known = [column[~np.isnan(column)] for column in table.T]
    maps = map(_map, known)
    pairs = zip(known, maps, strict=True)
    return np.array([1.0 if m is None else _likeness(column, *m) for column, m in pairs])


def _map(column: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Knots of the map of one column; ties get the middle of their quantiles."""
    if not len(column):
        return None
    largest = -ndtri(0.5 / len(column))
    levels = np.linspace(-largest, largest, KNOTS)
    quantiles = np.quantile(column, ndtr(levels))
    values, first, count = np.unique(quantiles, return_index=True, return_counts=True)
    if len(values) < 3:  # a binary column is what it is on any scale
        return None
    scores = ndtri((ndtr(levels[first]) + ndtr(levels[first + count - 1])) / 2)
    rest = (0, KNOTS - len(values))  # the last knot again: interpolation does not see it
    return np.pad(values, rest, mode="edge"), np.pad(scores, rest, mode="edge")


def _likeness(column: FloatArray, values: FloatArray, scores: FloatArray) -> float:
    """Correlate a column with its normal scores."""
    unit = column / np.abs(column).max()  # squares of what has a heavy tail would overflow
    return float(np.corrcoef(unit, np.interp(column, values, scores))[0, 1])
