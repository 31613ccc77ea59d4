"""Check the arguments of the array functions: arrays of the right shapes, or an error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray, IntArray

_ROUNDING = 1e-5  # of the sum of a row of probabilities


def truth_and_draws(
    where: str, truth: ArrayLike, draws: ArrayLike, fewest: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Give truths (n, d) and draws (n, m, d), of which there are `fewest` or more, without NaN."""
    truth, draws = np.asarray(truth, dtype=float), np.asarray(draws, dtype=float)
    fits = truth.ndim == 2 and draws.ndim == 3 and draws.shape[::2] == truth.shape
    if not fits or draws.shape[1] < fewest:
        raise ShapeError(
            f"{where}: truth must have shape (n, d) and draws (n, m, d) with m > {fewest - 1}; "
            f"got {truth.shape} and {draws.shape}"
        )
    if np.isnan(truth).any() or np.isnan(draws).any():
        raise ShapeError(
            f"{where}: every value must be finite, and NaN has no rank; got "
            f"{np.isnan(truth).sum()} NaN in truth and {np.isnan(draws).sum()} in draws"
        )
    return truth, draws


def ranks_of_columns(ranks: ArrayLike) -> FloatArray:
    """Give ranks of shape (n, d), n > 0, in [0, 1]."""
    ranks = np.asarray(ranks, dtype=float)
    if ranks.ndim != 2 or len(ranks) == 0:
        raise ShapeError(
            f"ranks must have shape (n, d), n > 0, and not be empty; got {ranks.shape}"
        )
    if not (np.all(ranks >= 0) and np.all(ranks <= 1)):
        raise ShapeError(f"ranks must lie in [0, 1]; got {ranks.min()} to {ranks.max()}")
    return ranks


def two_sets(
    where: str, reference: ArrayLike, rows: ArrayLike, *, fewest: int, fewest_rows: int
) -> tuple[FloatArray, FloatArray]:
    """Give two sets of finite rows, of shapes (n, k) and (m, k), n and m being large enough."""
    reference, rows = np.asarray(reference, dtype=float), np.asarray(rows, dtype=float)
    fits = reference.ndim == rows.ndim == 2 and reference.shape[1] == rows.shape[1]
    if not fits or len(reference) < fewest or len(rows) < fewest_rows:
        raise ShapeError(
            f"{where}: the sets must have shapes (n, k) and (m, k), n > {fewest - 1} and "
            f"m > {fewest_rows - 1}; got {reference.shape} and {rows.shape}"
        )
    finite(where, reference, rows)
    return reference, rows


def finite(where: str, *arrays: FloatArray) -> None:
    """Raise unless every value is finite."""
    if not all(np.isfinite(one).all() for one in arrays):
        raise ShapeError(f"{where}: every value must be finite; got NaN or infinite values")


def probabilities_of(where: str, probabilities: ArrayLike) -> FloatArray:
    """Give probabilities of shape (n, k), n > 0 and k > 1, whose rows sum to one exactly."""
    p = np.asarray(probabilities, dtype=float)
    if p.ndim != 2 or p.shape[0] == 0 or p.shape[1] < 2:
        raise ShapeError(
            f"{where}: probabilities must have shape (n, k), n > 0 and k > 1; got {p.shape}"
        )
    total = p.sum(axis=1)
    if not (np.all(p >= 0) and np.all(np.abs(total - 1) <= _ROUNDING)):
        raise ShapeError(
            f"{where}: every row of probabilities must sum to one, without negative ones; got "
            f"sums from {total.min()} to {total.max()}, and {p.min()} as the smallest"
        )
    return p / total[:, None]


def probabilities_and_truth(
    where: str, probabilities: ArrayLike, truth: ArrayLike
) -> tuple[FloatArray, IntArray]:
    """Give probabilities (n, k) and the true classes (n,), from 0 to k - 1."""
    p, classes = probabilities_of(where, probabilities), np.asarray(truth)
    if classes.shape != (len(p),):
        raise ShapeError(
            f"{where}: truth must have shape (n,) = ({len(p)},), one class a row of "
            f"probabilities; got {classes.shape}"
        )
    whole = classes.astype(np.int64)
    if np.any(whole != classes) or whole.min() < 0 or whole.max() >= p.shape[1]:
        raise ShapeError(
            f"{where}: truth must hold the numbers of classes, 0 to {p.shape[1] - 1}; got "
            f"{classes.min()} to {classes.max()}"
        )
    return p, whole
