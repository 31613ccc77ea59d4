"""Large sets of single numbers as a few of their quantiles, or by their statistics alone."""

from __future__ import annotations

import numpy as np

from sbi_inn.observation.batch import Observations, PaddedSet

# Entries up to which a set is read as it is.
LARGE = 256
# Quantiles that a larger one is read as.
QUANTILES = 128


def condensable(observations: Observations) -> tuple[str, ...]:
    """Name the sets to read so: large ones of one column of which nothing is missing.

    The order of entries says nothing, and a network takes as long for an entry as for any other.
    """
    found = []
    for name, padded in observations.sets.items():
        _, largest, columns = padded.values.shape
        single = columns == 1 and name not in observations.series
        if single and largest > LARGE and not np.isnan(padded.values).any():
            found.append(name)
    return tuple(found)


def condensed(padded: PaddedSet) -> PaddedSet:
    """Give sets of one column that are larger than `LARGE` as evenly spaced quantiles.

    How many entries a set had has to be said beside it.

    Examples
    --------
    >>> many = PaddedSet(np.arange(636.0).reshape(1, 636, 1), np.array([636]))
    >>> condensed(many).values[0, :3, 0]
    array([ 0.,  5., 10.])
    """
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
