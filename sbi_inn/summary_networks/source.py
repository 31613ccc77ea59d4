"""What a regression in closed form reads of observations, before it is scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.columns import named, prefixed
from sbi_inn.summary_networks.curves import faint_curves
from sbi_inn.summary_networks.described import (
    crowded_sets,
    described_curves,
    described_sets,
    width_of_curves,
)
from sbi_inn.summary_networks.recurring import Recurring
from sbi_inn.summary_networks.shares import Shares
from sbi_inn.summary_networks.sufficient import Sufficient
from sbi_inn.typing import AnyArray, FloatArray, IntArray

Part = Literal["curves", "shares", "regressions"]
"""What is read besides, and may be left out; regressions, of sets of many columns on each other."""

# How the names of arrays begin in files.
READ = "read"
GIVENS = "givens"
PROFILED = "profiled:"  # of empty arrays, before the name of a set
CURVES = "curves:"  # of the places of curves
MOVING = "moving:"  # of empty arrays, before the name of a series
CROWDED = "crowded:"  # of empty arrays, before the name of a set
SHARES = "shares:"  # of the limits of shares
ENTRIES = "entries"  # of an empty array, where entries between limits are counted
SUFFICIENT = "sufficient:"  # of the arrays of `Sufficient`
STATISTICS = "statistics:"  # of those of another one
RECURRING = "recurring"  # of the limits of `Recurring`


@dataclass(frozen=True)
class Source:
    """A table of observables of fixed shape, of statistics of sets, and of what describes curves.

    Attributes
    ----------
    read : array of int
        Which features of `Observations.vector` are among them.
    givens : array of int
        Which columns of the table are givens and log sizes of sets.
    profiled : tuple of str
        Sets that are also read by the quantiles of their columns.
    curves : mapping of str to array of int, shape (length, columns)
        Places of curves, which are also read by what describes a series.
    moving : tuple of str
        Series of which it is also read how much they change; none in older files.
    crowded : tuple of str
        Sets of which correlations of columns are read in place of regressions; none in older files.
    shares : Shares
        What is read of sets where simulations are much alike.
    sufficient : Sufficient or None
        What is read in place of hundreds of observables of fixed shape.
    statistics : Sufficient or None
        What is read in place of hundreds of statistics of sets; None in older files.
    recurring : Recurring or None
        What is read of what entries of these series, and of curves, owe to those before them; None
        in older files.
    """

    read: IntArray
    givens: IntArray
    profiled: tuple[str, ...] = ()
    curves: Mapping[str, IntArray] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    crowded: tuple[str, ...] = ()
    shares: Shares = field(default_factory=Shares)
    sufficient: Sufficient | None = None
    statistics: Sufficient | None = None
    recurring: Recurring | None = None

    @classmethod
    def fit(
        cls,
        observations: Observations,
        read: IntArray,
        *,
        profiled: tuple[str, ...],
        curves: Mapping[str, IntArray] | None,
        alike: bool,
        correlated: bool,
        latents: FloatArray | None,
        recurring: bool,
    ) -> tuple[Source, FloatArray]:
        """Learn what is read of a batch of observations, as `Exact.fit` says; with its table."""
        curves = faint_curves(observations) if curves is None else curves
        moving = tuple(observations.series)
        shares = Shares.fit(observations, profiled) if alike else Shares()
        past, found = Recurring.fit(observations, moving, curves) if recurring else (None, None)
        crowded = crowded_sets(observations) if correlated else ()
        told, sizes = described_sets(observations, profiled, moving, crowded)
        sufficient = Sufficient.of(observations, read, latents)
        statistics = Sufficient.of_many(np.delete(told, sizes, axis=1), latents)
        sets = (profiled, curves, moving, crowded, shares)
        made = cls(read, sizes, *sets, sufficient, statistics, past)
        table, givens = made._joined(observations, told, sizes, found)
        return replace(made, givens=givens), table

    def reduced(self, observations: Observations, latents: FloatArray) -> Source | None:
        """Read hundreds of choices or counts, too, as what parameters change in them.

        None where these are few, or are read like that already.
        """
        if self.sufficient is not None:
            return None
        sufficient = Sufficient.of(observations, self.read, latents, discrete=0)
        if sufficient is None:
            return None
        made = replace(self, sufficient=sufficient)
        return replace(made, givens=made._read(observations)[1])

    def __call__(self, observations: Observations) -> FloatArray:
        """Give the table, shape (batch, columns)."""
        return self._read(observations)[0]

    def _read(self, observations: Observations) -> tuple[FloatArray, IntArray]:
        """Give the table, and say where givens and log sizes are."""
        told = described_sets(observations, self.profiled, self.moving, self.crowded)
        found = None if self.recurring is None else self.recurring(observations)
        return self._joined(observations, *told, found)

    def _joined(
        self,
        observations: Observations,
        told: FloatArray,
        sizes: IntArray,
        recurring: FloatArray | None,
    ) -> tuple[FloatArray, IntArray]:
        """Put the parts of the table together, and say where givens and log sizes are."""
        plain = observations.vector[:, self.read]
        known = self.read >= observations.vector.shape[1] - observations.givens
        if self.sufficient is not None:
            plain = np.hstack([self.sufficient(plain[:, ~known]), plain[:, known]])
            known = np.append(np.zeros(self.sufficient.width, bool), known[known])
        if self.statistics is not None:
            told = np.hstack([self.statistics(np.delete(told, sizes, axis=1)), told[:, sizes]])
            sizes = self.statistics.width + np.arange(len(sizes))
        drawn = described_curves(observations.vector, self.curves.values())
        past = [] if recurring is None else [recurring]
        table = np.hstack([plain, told, self.shares(observations), drawn, *past])
        return table, np.concatenate([np.flatnonzero(known), len(known) + sizes])

    def describing(self, columns: int) -> IntArray:
        """Which of so many columns describe curves: the last, but for what recurs in series."""
        places = []
        if self.recurring is not None:
            places = list(range(columns - self.recurring.of_curves, columns))
            columns -= self.recurring.limits.shape[1]
        places += range(columns - width_of_curves(self.curves.values()), columns)
        return np.array(places, dtype=np.int64)

    @property
    def drawn(self) -> IntArray:
        """Which columns are entries of curves, or stand for these and all others of fixed shape."""
        if self.sufficient is not None:
            return np.arange(self.sufficient.width)
        entries = np.concatenate([places.ravel() for places in self.curves.values()])
        return np.flatnonzero(np.isin(self.read, entries))

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        found = {READ: self.read, GIVENS: self.givens} | prefixed(CURVES, self.curves)
        found |= {PROFILED + name: np.empty(0) for name in self.profiled}
        found |= {MOVING + name: np.empty(0) for name in self.moving}
        found |= {CROWDED + name: np.empty(0) for name in self.crowded}
        found |= prefixed(SHARES, self.shares.limits)
        found |= {ENTRIES: np.empty(0)} if self.shares.counted else {}
        found |= {RECURRING: self.recurring.limits} if self.recurring else {}
        for prefix, part in {SUFFICIENT: self.sufficient, STATISTICS: self.statistics}.items():
            found |= {} if part is None else prefixed(prefix, part.to_arrays())
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Source:
        """Read back what `to_arrays` gave."""
        curves, moving = named(CURVES, arrays), tuple(named(MOVING, arrays))
        few, told = named(SUFFICIENT, arrays), named(STATISTICS, arrays)
        limits = arrays.get(RECURRING)
        return cls(
            arrays[READ],
            arrays[GIVENS],
            tuple(named(PROFILED, arrays)),
            curves,
            moving,
            tuple(named(CROWDED, arrays)),
            Shares(named(SHARES, arrays), ENTRIES in arrays),
            Sufficient.from_arrays(few) if few else None,
            Sufficient.from_arrays(told) if told else None,
            None if limits is None else Recurring(moving, curves, limits),
        )
