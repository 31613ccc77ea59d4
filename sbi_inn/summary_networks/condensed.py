"""Large sets of single numbers as a few of their quantiles."""

from __future__ import annotations

import numpy as np

from sbi_inn.observation.batch import PaddedSet

# Entries up to which a set is read as it is.
LARGE = 128
# Quantiles that a larger one is read as: the order of entries says nothing, so that little is lost.
QUANTILES = 64


def condensed(padded: PaddedSet) -> PaddedSet:
    """Give sets of one column that are larger than `LARGE` as evenly spaced quantiles.

    A network takes as long for an entry as for any other. How many entries a set had has to be said
    beside it.

    Examples
    --------
    >>> many = PaddedSet(np.arange(640.0).reshape(1, 640, 1), np.array([640]))
    >>> condensed(many).values[0, :3, 0]
    array([ 4.5, 14.5, 24.5])
    """
    batch, largest, columns = padded.values.shape
    if columns > 1 or largest <= LARGE or np.isnan(padded.values).any():
        return padded
    values = np.zeros((batch, max(QUANTILES, min(LARGE, largest)), 1))
    small = padded.sizes <= LARGE
    values[small, :LARGE] = padded.values[small, :LARGE]
    ordered = np.sort(np.where(padded.mask, padded.values[:, :, 0], np.inf)[~small], axis=1)
    sizes = padded.sizes[~small, None]
    place = np.clip((np.arange(QUANTILES) + 0.5) / QUANTILES * sizes - 0.5, 0, sizes - 1)
    low = np.floor(place).astype(np.int64)
    below, above = (
        np.take_along_axis(ordered, np.minimum(i, sizes - 1), axis=1) for i in (low, low + 1)
    )
    values[~small, :QUANTILES, 0] = below + (place - low) * (above - below)
    return PaddedSet(values, np.where(small, padded.sizes, QUANTILES))
