"""The entries of a set of single numbers, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks.columns import named
from sbi_inn.summary_networks.location import location_scale, squash, thinned
from sbi_inn.typing import AnyArray, FloatArray

# Names of arrays in files.
SCALE, READ = "scale:", "read"
# Entries of a set that are read; of a larger one so many, evenly spaced in their order.
MOST = 256
# Share of entries, among all of some sets, that have a value of their own, at least.
DIFFERENT = 0.99
# Sets that are looked at to see that.
LOOKED_AT = 200


@dataclass(frozen=True)
class OrderStatistics:
    """How many entries a set has, and these in their order, scaled.

    Where there is a single set of single numbers and nothing else, they are all that is known.

    Attributes
    ----------
    name : str
        Of the set.
    read : int
        How many entries are given: of a larger set those at evenly spaced places of their order.
        A smaller one has zeros after them.
    scale : array, shape (2, 1)
        Median and spread of entries.

    Examples
    --------
    >>> from sbi_inn.observation.batch import Observations, PaddedSet
    >>> from sbi_inn.summary_networks.order_statistics import OrderStatistics
    >>> two = PaddedSet(np.array([[[3.0], [1.0], [2.0]], [[1.0], [0.0], [0.0]]]), np.array([3, 1]))
    >>> seen = Observations(np.empty((2, 0)), {"n": two})
    >>> OrderStatistics("n", 3, np.array([[0.0], [1.0]]))(seen)
    array([[3., 1., 2., 3.],
           [1., 1., 0., 0.]], dtype=float32)
    """

    name: str
    read: int
    scale: FloatArray

    @classmethod
    def fit(cls, observations: Observations) -> OrderStatistics | None:
        """Learn it from a batch; None where there is anything but one set of continuous numbers."""
        beside = observations.vector.shape[1] > observations.givens or observations.grids
        if beside or observations.series or len(observations.sets) != 1:
            return None
        ((name, padded),) = observations.sets.items()
        _, largest, columns = padded.values.shape
        entries = padded.values[padded.mask]
        if columns != 1 or np.isnan(entries).any() or not _continuous(padded):
            return None
        return cls(name, min(largest, MOST), location_scale(thinned(entries)))

    @property
    def width(self) -> int:
        """How many numbers it gives."""
        return 1 + self.read

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give them, shape (batch, width)."""
        padded = observations.sets[self.name]
        known = padded.mask & ~np.isnan(padded.values[:, :, 0])
        ordered = np.where(known, padded.values[:, :, 0], np.inf)
        ordered = np.pad(ordered, ((0, 0), (0, self.read)), constant_values=np.inf)
        ordered.sort(axis=1)
        size, place = known.sum(axis=1, keepdims=True), np.arange(self.read)
        apart = ((place + 0.5) * size / self.read).astype(np.int64)
        at = np.where(size > self.read, apart, place)
        entries = np.take_along_axis(ordered, at, axis=1)
        there = np.isfinite(entries)
        scaled = squash(np.where(there, entries, 0.0)[:, :, None], self.scale)[:, :, 0]
        return np.hstack([size, np.where(there, scaled, 0.0)]).astype(np.float32)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return {SCALE + self.name: self.scale, READ: np.array(self.read)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> OrderStatistics:
        """Read back what `to_arrays` gave."""
        ((name, scale),) = named(SCALE, arrays).items()
        return cls(name, int(arrays[READ]), scale)


def _continuous(padded: PaddedSet) -> bool:
    """Whether hardly any two entries of a set are the same."""
    some = PaddedSet(padded.values[:LOOKED_AT], padded.sizes[:LOOKED_AT])
    ordered = np.sort(np.where(some.mask, some.values[:, :, 0], np.nan), axis=1)
    apart = np.diff(ordered, axis=1)
    known = apart[~np.isnan(apart)]
    return len(known) > 0 and bool((known > 0).mean() >= DIFFERENT)
