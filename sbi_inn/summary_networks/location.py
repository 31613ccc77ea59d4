"""Median and spread of columns, and scaled values that outliers cannot stretch."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sbi_inn.typing import FloatArray

# Spreads from the median up to which a scaled value passes unchanged; beyond, it grows like a
# logarithm.
LINEAR = 5.0

# The same where nothing is bent: squares of what is further would overflow.
FURTHEST = 1e8

# Pixels of a channel, and rows of a table, that are enough to learn quantiles from.
ENOUGH = 1_000_000

# Numbers that are scaled at once: as many as stay in the cache of a processor.
PIECE = 100_000


def location_scale(values: FloatArray) -> FloatArray:
    """Median and robust standard deviation of each column, shape (2, columns)."""
    if np.isnan(values).any():
        return np.stack([location_scale(_known(c)[:, None])[:, 0] for c in values.T], axis=1)
    low, center, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / 1.349
    # Mostly constant columns have no quartile range; wholly constant ones no spread at all.
    with np.errstate(over="ignore"):  # of a heavy tail, whose deviation is not used
        scale = np.where(scale > 0, scale, values.std(axis=0))
    # What rounding leaves of a constant is no spread. Relative, for any unit.
    tiny = 1e-12 * np.abs(center)
    return np.stack([center, np.where(scale > tiny, scale, 1.0)])


def thinned(table: FloatArray) -> FloatArray:
    """Give every so manieth row, so that there are at most `ENOUGH`."""
    return table[:: max(1, -(-len(table) // ENOUGH))]


def _known(column: FloatArray) -> FloatArray:
    """Give the values that are there; a zero where all are missing."""
    known = column[~np.isnan(column)]
    return known if len(known) else np.zeros(1)


def squash(values: FloatArray, center_scale: FloatArray) -> npt.NDArray[np.float32]:
    """Scale a table by what `location_scale` gave; beyond `LINEAR` it grows like a logarithm."""
    center, scale = center_scale
    found = np.empty(values.shape, np.float32)
    rows = max(1, PIECE // max(math.prod(values.shape[1:]), 1))
    for first in range(0, len(values), rows):
        scaled = (values[first : first + rows] - center) / scale
        size = np.abs(scaled)
        beyond = np.log1p(np.maximum(size - LINEAR, 0))
        found[first : first + rows] = np.sign(scaled) * (np.minimum(size, LINEAR) + beyond)
    return found


def standardised(table: FloatArray, center_scale: FloatArray) -> FloatArray:
    """Scale columns (rows, k), without the bend of `squash`; a missing value is 0, the centre."""
    scaled = np.nan_to_num((table - center_scale[0]) / center_scale[1], nan=0.0)
    return np.clip(scaled, -FURTHEST, FURTHEST)
