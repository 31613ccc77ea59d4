"""Rows that columns with ties set apart, and what is predicted of scores within them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from sbi_inn.diagnostics.conditional_ranks import ROWS_A_FEATURE, Features, column_scores
from sbi_inn.typing import BoolArray, FloatArray

USUAL = 0.5  # share of the rows from which on one value is the usual one
FEW_VALUES = 8  # distinct ones, each of which sets its rows apart
FEWEST = 20  # rows in a part
MOST_PARTS = 20  # parts that are looked at closely
SCREENING = 30  # features by which these are chosen


@dataclass(frozen=True)
class Part:
    """Rows in which one column has a value, or has another value than its usual one.

    Attributes
    ----------
    column : int
    value : float
    unusual : bool
        Whether it is the rows without this value.
    rows : bool array, shape (n,)
    """

    column: int
    value: float
    unusual: bool
    rows: BoolArray


def parts_by_ties(columns: FloatArray) -> list[Part]:
    """List the parts of rows that columns with ties set apart, each once.

    Parameters
    ----------
    columns : array, shape (n, p)

    Examples
    --------
    >>> rarely = np.where(np.arange(400) % 10 == 0, np.arange(400.0), 0.0)
    >>> part = parts_by_ties(rarely[:, None])[0]
    >>> part.value, part.unusual, int(part.rows.sum())
    (0.0, True, 39)
    """
    found: dict[bytes, Part] = {}
    for i, column in enumerate(columns.T):
        values, counts = np.unique(column, return_counts=True)
        usual = int(counts.argmax())
        if counts[usual] >= USUAL * len(column):
            parts = [Part(i, float(values[usual]), True, column != values[usual])]
        elif len(values) <= FEW_VALUES:
            parts = [Part(i, float(value), False, column == value) for value in values]
        else:
            continue
        for part in parts:
            if part.rows.sum() >= FEWEST:
                found.setdefault(np.packbits(part.rows).tobytes(), part)
    return list(found.values())


def likeliest(parts: list[Part], columns: FloatArray, scores: FloatArray) -> list[Part]:
    """Choose the parts, at most `MOST_PARTS`, in which columns seem to predict most of some score.

    By the column that sets a part apart and by the leading features of all rows, which take no
    time; hundreds of columns, each ranked anew in hundreds of parts, take minutes.

    Parameters
    ----------
    parts : list of Part
    columns : array, shape (n, p)
    scores : array, shape (n, s)
    """
    if len(parts) <= MOST_PARTS:
        return parts
    shared = Features.of(column_scores(columns, columns), SCREENING).basis

    def chance(part: Part) -> float:
        inside, m = scores[part.rows], int(part.rows.sum())
        own = columns[part.rows, part.column][:, None]
        here = shared[part.rows][:, : max(1, m // ROWS_A_FEATURE - 1)]
        basis, _ = np.linalg.qr(np.column_stack([np.ones(m), column_scores(own, own), here]))
        length = ((basis.T @ inside) ** 2).sum(axis=0)
        return float(stats.chi2.logsf(length, basis.shape[1]).min())

    return sorted(parts, key=chance)[:MOST_PARTS]


def explained_within(
    part: Part, columns: FloatArray, scores: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how much of scores the columns predict within a part, and how often chance does so.

    By their mean there, and by linear features, one for ten rows at most.

    Parameters
    ----------
    part : Part
    columns : array, shape (n, p)
    scores : array, shape (n, s)

    Returns
    -------
    rms : array, shape (s,)
        Root-mean-square of what is predicted there, without what chance predicts.
    p_value : array, shape (s,)
    """
    inside = scores[part.rows]
    m = len(inside)
    here = columns[part.rows]  # ranked among themselves: they may all lie in one tail of all rows
    basis = Features.of(column_scores(here, here), max(1, m // ROWS_A_FEATURE)).basis
    length = ((basis.T @ inside) ** 2).sum(axis=0) + m * inside.mean(axis=0) ** 2
    k = basis.shape[1] + 1
    return np.sqrt(np.maximum(length - k, 0) / m), stats.chi2.sf(length, k)
