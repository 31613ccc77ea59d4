"""What each entry of a series owes to those before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from sbi_inn.observation.batch import PaddedSet
from sbi_inn.typing import BoolArray, FloatArray

ORDER = 6
"""Entries before it, which each entry is regressed on."""

WIDTH = ORDER + 2 + 3 + 4
"""Numbers that each of the two parts of `recurrences` gives."""

AT_ONCE = 2_000
"""Series that are regressed at once: each takes many arrays of its own length."""

_ROUNDING = 1e-12
"""Of the size of the entries: what is left below it is what rounding leaves."""

_RIDGE = 1e-9
"""Added to each mean square, as a share: a constant series has slopes of zero."""


def recurrences(padded: PaddedSet) -> FloatArray:
    """Regress each column of series on its own past, shape (batch, 30 * columns).

    On its last six entries, on the last one, and on the last one and the last shock, which is what
    the six entries had left (an ARMA(1, 1) law; Hannan and Rissanen 1982,
    doi:10.1093/biomet/69.1.81). Each gives an offset, slopes, and the log root mean square of what
    is left. Then the same for the distances from the mean of the series, by which volatile times
    follow each other. Zero where a series is too short.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.observation.batch import PaddedSet
    >>> shocks = np.random.default_rng(1).normal(size=(1, 2_000))
    >>> series = np.zeros((1, 2_000))
    >>> for i in range(3, 2_000):
    ...     series[:, i] = 1 + 0.5 * series[:, i - 1] - 0.3 * series[:, i - 3] + shocks[:, i]
    >>> recurrences(PaddedSet(series[:, :, None], np.array([2_000])))[0, :4].round(1) + 0.0
    array([ 1. ,  0.5,  0. , -0.3])
    """
    parts = [
        _both(padded.values[rows : rows + AT_ONCE], padded.mask[rows : rows + AT_ONCE])
        for rows in range(0, len(padded.sizes), AT_ONCE)
    ]
    columns = padded.values.shape[2]
    return np.concatenate([np.empty((0, 2 * WIDTH * columns)), *parts])


def _both(values: FloatArray, mask: BoolArray) -> FloatArray:
    """Regress entries (batch, longest, columns), and their distances from the mean."""
    there = (mask[:, :, None] & ~np.isnan(values)).swapaxes(1, 2)
    values = np.where(there, values.swapaxes(1, 2), 0.0)
    away = np.where(there, np.abs(values - _mean(values, there)), 0.0)
    found = np.concatenate([_regressed(values, there), _regressed(away, there)], axis=2)
    return found.reshape(len(values), -1)


def _mean(values: FloatArray, there: BoolArray) -> FloatArray:
    """Give the mean of entries (batch, columns, longest), shape (batch, columns, 1)."""
    count = np.maximum(there.sum(axis=2, keepdims=True), 1)
    return np.asarray(values.sum(axis=2, keepdims=True) / count)


def _regressed(values: FloatArray, there: BoolArray) -> FloatArray:
    """Give the numbers of the three regressions, shape (batch, columns, WIDTH)."""
    mean = _mean(values, there)
    centred = np.where(there, values - mean, 0.0)
    size = np.sqrt(_mean(centred**2, there))
    floor = _ROUNDING * np.abs(mean) + np.finfo(float).tiny
    varies = size > floor
    unit = np.where(varies, size, 1.0)
    z = np.where(varies, centred / unit, 0.0)
    past = [_before(z, lag) for lag in range(1, ORDER + 1)]
    known = there & _before(there, 1)
    all_known = np.all([there, *(_before(there, lag) for lag in range(1, ORDER + 1))], axis=0)
    long, shock = _least_squares(z, past, all_known)
    short, _ = _least_squares(z, past[:1], known)
    last_known = all_known & _before(all_known, 1)
    echo, _ = _least_squares(z, [past[0], _before(shock, 1)], last_known)
    parts = []
    for found, memories in ((long, ORDER), (short, 1), (echo, 1)):
        kept = 1 - found[:, :, 1 : 1 + memories].sum(axis=2, keepdims=True)
        offset = found[:, :, :1] * unit + mean * kept
        parts += [offset, found[:, :, 1:-1], np.log(found[:, :, -1:] * unit + floor)]
    return np.concatenate(parts, axis=2)


def _before(values: Any, lag: int) -> Any:
    """Move entries (batch, columns, longest) on by a lag; zero, or False, comes in."""
    moved = np.zeros_like(values)
    moved[:, :, lag:] = values[:, :, : max(values.shape[2] - lag, 0)]
    return moved


def _least_squares(
    target: FloatArray, past: list[FloatArray], known: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Regress entries where all is known.

    Returns
    -------
    array, shape (batch, columns, 2 + len(past))
        Offset, slopes, and the root mean square of what is left.
    array, shape (batch, columns, longest)
        What is left; zero elsewhere.
    """
    read = np.stack([known.astype(float), *past], axis=2) * known[:, :, None]
    target = np.where(known, target, 0.0)
    count = np.maximum(known.sum(axis=2), 1)
    square = read @ read.swapaxes(2, 3) / count[:, :, None, None]
    right = read @ target[..., None] / count[:, :, None, None]
    slope = np.asarray(np.linalg.solve(square + _RIDGE * np.eye(read.shape[2]), right), float)
    left = target - (slope.swapaxes(2, 3) @ read)[:, :, 0]
    size = np.sqrt((left**2).sum(axis=2) / count)
    return np.concatenate([slope[..., 0], size[:, :, None]], axis=2), left
