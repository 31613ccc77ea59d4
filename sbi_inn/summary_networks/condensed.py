"""Large sets as a few of their quantiles, or as groups of neighbours.

A network takes as long for an entry as for any other. A thousand of them say little more, one by
one, than where groups of them lie and how these scatter.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.typing import FloatArray, IntArray

# Entries up to which a set is read as it is.
LARGE = 256
# Quantiles that a larger one is read as, or groups at most.
QUANTILES, GROUPS = 128, 64
# Columns up to which a set is read as groups: of each two of them there is a covariance.
MOST_COLUMNS = 8
# Sets that are looked at at once.
AT_ONCE = 500


def condensable(observations: Observations) -> tuple[str, ...]:
    """Name the sets to read so: large ones of a few columns of which nothing is missing.

    The order of their entries says nothing.
    """
    found = []
    for name, padded in observations.sets.items():
        _, largest, columns = padded.values.shape
        large = largest > LARGE and columns <= MOST_COLUMNS and name not in observations.series
        if large and not np.isnan(padded.values).any():
            found.append(name)
    return tuple(found)


def single(observations: Observations, names: tuple[str, ...]) -> tuple[str, ...]:
    """Give those of some sets that have one column."""
    return tuple(name for name in names if observations.sets[name].values.shape[2] == 1)


def condensed(padded: PaddedSet) -> PaddedSet:
    """Give sets that are larger than `LARGE` as evenly spaced quantiles, or groups of neighbours.

    Quantiles of single numbers, groups where there are several columns. How many entries a set had
    has to be said beside it.

    Examples
    --------
    >>> many = PaddedSet(np.arange(636.0).reshape(1, 636, 1), np.array([636]))
    >>> condensed(many).values[0, :3, 0]
    array([ 0.,  5., 10.])
    >>> pairs = PaddedSet(np.arange(1280.0).reshape(1, 640, 2), np.array([640]))
    >>> condensed(pairs).values[0, :2].round(1)  # means, scatter, and how much columns share of it
    array([[ 9. , 10. ,  6.1,  6.1,  6.1],
           [29. , 30. ,  6.1,  6.1,  6.1]])
    """
    if padded.values.shape[2] == 1:
        return _quantiles(padded)
    parts = [
        _groups(padded.values[first : first + AT_ONCE], padded.sizes[first : first + AT_ONCE])
        for first in range(0, len(padded.sizes), AT_ONCE)
    ]
    values, sizes = (np.concatenate(each) for each in zip(*parts, strict=True))
    return PaddedSet(values, sizes)


def _groups(values: FloatArray, sizes: IntArray) -> tuple[FloatArray, IntArray]:
    """Give groups of neighbours of sets (batch, largest, columns), and how many there are.

    Of each group the means of the columns, their standard deviations, and the root of the
    covariance of each two. Entries are neighbours in the first column, or the next where they are
    alike there. A set that is not large has a group for each entry.
    """
    batch, largest, columns = values.shape
    each = np.where(sizes > LARGE, -(-sizes // GROUPS), 1)
    groups = -(-sizes // each)
    width = min(LARGE, largest)
    place = np.arange(largest)
    there = place < sizes[:, None]
    order = np.lexsort([*values.transpose(2, 0, 1)[::-1], ~there], axis=1)
    values = np.take_along_axis(values, order[:, :, None], axis=1)
    at = (np.arange(batch)[:, None] * width + place // each[:, None])[there]
    values, total = values[there], batch * width
    count = np.bincount(at, minlength=total)

    def summed(column: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(at, column, minlength=total), dtype=float)

    mean = np.stack([summed(c) for c in values.T]) / np.maximum(count, 1)
    left = values.T - mean[:, at]
    of = [(i, i) for i in range(columns)] + list(combinations(range(columns), 2))
    shared = np.stack([summed(left[i] * left[j]) for i, j in of]) / np.maximum(count - 1, 1)
    found = np.concatenate([mean, np.sign(shared) * np.sqrt(np.abs(shared))])
    return np.ascontiguousarray(found.T.reshape(batch, width, -1)), groups


def _quantiles(padded: PaddedSet) -> PaddedSet:
    """Give them of sets of one column."""
    batch, largest, _ = padded.values.shape
    values = np.zeros((batch, max(QUANTILES, min(LARGE, largest)), 1))
    small = padded.sizes <= LARGE
    values[small, : min(LARGE, largest)] = padded.values[small, :LARGE]
    ordered = np.sort(np.where(padded.mask, padded.values[:, :, 0], np.inf)[~small], axis=1)
    sizes = padded.sizes[~small, None]
    place = np.linspace(0, 1, QUANTILES) * (sizes - 1)  # the extremes among them: tails may count
    low = np.floor(place).astype(np.int64)
    below, above = (
        np.take_along_axis(ordered, np.minimum(i, sizes - 1), axis=1) for i in (low, low + 1)
    )
    values[~small, :QUANTILES, 0] = below + (place - low) * (above - below)
    return PaddedSet(values, np.where(small, padded.sizes, QUANTILES))
