"""Linear regressions of observables on a field, in closed form.

A regression of the field on the observables would have as many slopes, each learned from rows
alone. This one is sparse if an instrument is local, and the same everywhere if it is stationary.
What it does not know of the field, the prior knows exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sbi_inn.methods.fields.windows import patches, spread_out, widest, windows
from sbi_inn.typing import AnyArray, IntArray

HALVES = (1, 2, 3, 4, 6)
"""Half widths of windows that are tried."""

LOCAL = 3
"""Half width of the windows in which each observable may differ from the stationary kernel."""

PATCHES = 120_000
"""Windows that a stationary kernel is learned from."""

RIDGES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""Strengths of the ridge that are tried, in units of the field's variance."""

TURNS = 4
"""How often gaps are filled anew."""

GAIN = 1e-3
"""Share by which a larger window must lower the variance that is left."""

Folds = tuple[IntArray, IntArray]


@dataclass(frozen=True, eq=False)
class Rows:
    """Centred fields and observables, and which rows are for what.

    Attributes
    ----------
    fields : float32 array, shape (n, pixels)
    observed : float32 array, shape (n, m)
        NaN where one is missing.
    train, validation : array of int
    """

    fields: AnyArray
    observed: AnyArray
    train: IntArray
    validation: IntArray

    def of(self, outputs: IntArray) -> Rows:
        """Choose observables."""
        return Rows(self.fields, self.observed[:, outputs], self.train, self.validation)

    def less(self, slopes: AnyArray) -> Rows:
        """Subtract a prediction."""
        left = self.observed - self.fields @ slopes.T
        return Rows(self.fields, left, self.train, self.validation)


def left_over(rows: Rows, slopes: AnyArray) -> float:
    """Mean log variance of the observables that slopes (m, pixels) leave on validation rows."""
    gap = rows.observed[rows.validation] - rows.fields[rows.validation] @ slopes.T
    variance = np.nanmean(np.square(gap, dtype=np.float64), axis=0)
    return float(np.log(variance + 1e-12).mean())


def stationary(rows: Rows, sides: tuple[int, ...], places: IntArray, *, circular: bool) -> AnyArray:
    """Learn one kernel for all observables, each of which looks at its own pixel.

    Parameters
    ----------
    rows : Rows
    sides : tuple of int
        Of the field.
    places : array of int, shape (m,)
        The pixel that each observable looks at.
    circular : bool

    Returns
    -------
    array, shape (m, pixels)
    """
    rng = np.random.default_rng(0)
    best, found = np.inf, np.zeros((len(places), rows.fields.shape[1]), np.float32)
    for half in sorted({widest(sides, half) for half in HALVES}):
        around = windows(sides, half, circular=circular)[places]
        x, y = _sampled(rows, rows.train, around, PATCHES, rng)
        kernel = _ridge(x.T @ x, x.T @ y[:, None], 1e-6)[:, 0]
        x, y = _sampled(rows, rows.validation, around, PATCHES // 4, rng)
        left = float(np.square(y - x @ kernel).mean())
        if left < (1 - GAIN) * best:
            best, found = left, spread_out(kernel[None], around, rows.fields.shape[1])
    return found


def local(rows: Rows, sides: tuple[int, ...], places: IntArray, *, circular: bool) -> AnyArray:
    """Learn what each observable sees otherwise than by the stationary kernel.

    Parameters are those of `stationary`, whose prediction has been subtracted; the ridge towards
    it is the one that predicts validation rows best.
    """
    around = windows(sides, widest(sides, LOCAL), circular=circular)[places]
    x = rows.fields[rows.train]
    gram, moments = x.T @ x, x.T @ rows.observed[rows.train]
    unit = np.diagonal(gram).mean()
    gram, moments = np.pad(gram, (0, 1)), np.pad(moments, ((0, 1), (0, 0)))
    gram[-1, -1] = unit
    blocks = gram[around[:, :, None], around[:, None, :]]
    right = moments[around, np.arange(len(places))[:, None]]
    candidates = (
        spread_out(_ridge(blocks, right[..., None], ridge)[..., 0], around, x.shape[1])
        for ridge in RIDGES
    )
    return best_of(rows, candidates)


def dense(rows: Rows) -> AnyArray:
    """Learn slopes on all pixels of white noise (Rows.fields), shape (m, pixels)."""
    x = rows.fields[rows.train]
    gram, moments = x.T @ x, x.T @ rows.observed[rows.train]
    return best_of(rows, (_ridge(gram, moments, ridge).T for ridge in RIDGES))


def best_of(rows: Rows, candidates: Iterator[AnyArray]) -> AnyArray:
    """Choose the slopes that predict validation rows best; none at all are among them."""
    best = np.zeros((rows.observed.shape[1], rows.fields.shape[1]), np.float32)
    least = left_over(rows, best)
    for slopes in candidates:
        left = left_over(rows, slopes)
        if left < least:
            best, least = slopes.astype(np.float32), left
    return best


def _sampled(
    rows: Rows, which: IntArray, around: IntArray, n: int, rng: np.random.Generator
) -> tuple[AnyArray, AnyArray]:
    """Draw windows of random rows, and what was observed there."""
    row, output = which[rng.integers(len(which), size=n)], rng.integers(len(around), size=n)
    y = rows.observed[row, output]
    seen = ~np.isnan(y)
    return patches(rows.fields, row[seen], around[output[seen]]), y[seen]


def _ridge(gram: AnyArray, right: AnyArray, ridge: float) -> AnyArray:
    """Solve (gram + ridge * its mean diagonal) x = right."""
    size = gram.shape[-1]
    unit = np.trace(gram, axis1=-2, axis2=-1) / size
    diagonal = (ridge * unit)[..., None, None] * np.eye(size, dtype=gram.dtype)
    return np.linalg.solve(gram + diagonal, right)


def filled(learn: Callable[[Rows], AnyArray], rows: Rows) -> AnyArray:
    """Learn slopes where observables are missing: gaps are filled by what is predicted, in turn.

    That is expectation-maximisation, and ends at the slopes of the rows that are there.
    """
    gaps = np.isnan(rows.observed)
    if not gaps.any():
        return learn(rows)
    slopes = np.zeros((rows.observed.shape[1], rows.fields.shape[1]), np.float32)
    for _ in range(TURNS):
        guess = np.where(gaps, rows.fields @ slopes.T, rows.observed)
        slopes = learn(Rows(rows.fields, guess, rows.train, rows.validation))
    return slopes
