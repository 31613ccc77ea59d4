"""What a regression in closed form reads: never blurred, and more than networks could use.

A network that reads a hundred components of noise learns them by heart. A ridge regression does not
mind, and finds in them how large the noise is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.columns import Columns, named, prefixed
from sbi_inn.summary_networks.counted import Counted
from sbi_inn.summary_networks.curves import faint_curves
from sbi_inn.summary_networks.described import (
    described_curves,
    described_sets,
    large_sets,
    width_of_curves,
)
from sbi_inn.summary_networks.neighbours import Neighbours
from sbi_inn.summary_networks.patterns import Patterns
from sbi_inn.summary_networks.recurring import Recurring
from sbi_inn.summary_networks.shares import Shares
from sbi_inn.summary_networks.sufficient import Sufficient
from sbi_inn.summary_networks.whitening import Whitened
from sbi_inn.typing import AnyArray, FloatArray, IntArray

Part = Literal["curves", "shares"]
"""What is read besides, and may be left out."""

Way = Literal["observables", "laws", "counts", "entries"]
"""A likelihood reads observables; of curves what describes them; counts; or how many entries of
sets lie between limits: see `Exact.ways`."""

# Observables up to which a likelihood is learned; binary ones and counts need no correlations.
MOST_OBSERVABLES, MOST_BINARY = 200, 1_000
# How the names of the arrays of `Whitened` begin in files.
WHITENED = "whitened:"
NEIGHBOURS = "neighbours:"  # those of `Neighbours`
PATTERNS = "patterns:"  # those of `Patterns`
PROFILED = "profiled:"  # of empty arrays, before the name of a set
CURVES = "curves:"  # of the places of curves
SHARES = "shares:"  # of the limits of shares
COUNTED = "counted:"  # of the arrays of `Counted`
ENTRIES = "entries"  # of an empty array, where entries between limits are counted
MOVING = "moving:"  # of empty arrays, before the name of a series
RECURRING = "recurring"  # of the limits of `Recurring`
SUFFICIENT = "sufficient:"  # of the arrays of `Sufficient`


@dataclass(frozen=True)
class Exact:
    """Observables of fixed shape and statistics of sets: scaled, as normal scores, and whitened.

    Attributes
    ----------
    read : array of int
        Which features of `Observations.vector` are among them.
    columns : Columns
    whitened : Whitened
    givens : array of int
        Which of the columns are givens and log sizes of sets.
    neighbours : Neighbours or None
        What they say comes after all that.
    patterns : Patterns or None
        What they say comes last.
    profiled : tuple of str
        Sets that are also read by the quantiles of their columns.
    curves : mapping of str to array of int, shape (length, columns)
        Places of curves, which are also read by what describes a series.
    moving : tuple of str
        Series of which it is also read how much they change; none in older files.
    shares : Shares
        What is read of sets where simulations are much alike.
    counted : Counted
        Which of the columns are counts; these are also read as log(1 + n).
    sufficient : Sufficient or None
        What is read in place of hundreds of observables of fixed shape.
    recurring : Recurring or None
        What is read of what entries of these series, and of curves, owe to those before them; None
        in older files.
    """

    read: IntArray
    columns: Columns
    whitened: Whitened
    givens: IntArray
    neighbours: Neighbours | None = None
    profiled: tuple[str, ...] = ()
    curves: Mapping[str, IntArray] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    shares: Shares = field(default_factory=Shares)
    patterns: Patterns | None = None
    counted: Counted = field(default_factory=Counted)
    sufficient: Sufficient | None = None
    recurring: Recurring | None = None

    @classmethod
    def fit(
        cls,
        observations: Observations,
        read: IntArray,
        *,
        likelihood: bool = False,
        curves: Mapping[str, IntArray] | None = None,
        alike: bool = False,
        sufficient: Sufficient | None = None,
        recurring: bool = True,
    ) -> Exact:
        """Learn it from a batch of observations.

        For a `likelihood`, with profiles of their large sets and with counts as such. With shares
        of these sets where simulations are much `alike`, and with what describes curves: by
        default those among them. With what is `sufficient` in place of those of fixed shape. With
        what is `recurring` in curves and series.
        """
        profiled = large_sets(observations) if likelihood else ()
        shares = Shares.fit(observations, profiled) if alike else Shares()
        curves = faint_curves(observations) if curves is None else curves
        moving = tuple(observations.series)
        past, told = Recurring.fit(observations, moving, curves) if recurring else (None, None)
        table, givens = _table(
            observations, read, profiled, shares, curves, moving, sufficient, told
        )
        columns, whitened = Columns.fit(table, scores=True), Whitened.fit(table)
        first, counted = observations.vector.shape[1] - observations.givens, Counted()
        if likelihood and sufficient is None:
            counted = Counted.fit(table[:, : (read < first).sum()])
        found = cls(read, columns, whitened, givens, None, profiled, curves, moving, shares)
        return replace(found, counted=counted, sufficient=sufficient, recurring=past)

    def without(self, part: Part, observations: Observations) -> Exact:
        """Learn it anew without what describes curves, or without shares."""
        return Exact.fit(
            observations,
            self.read,
            likelihood=bool(self.profiled or self.counted),
            curves={} if part == "curves" else self.curves,
            alike=bool(self.shares) and part != "shares",
            sufficient=self.sufficient,
        )

    def with_neighbours(self, latents: FloatArray, observations: Observations) -> Exact:
        """Add what neighbours say, among rows of latents (rows, dim) and observations."""
        first, whitened, _ = self._parts(observations)
        neighbours = Neighbours.of(first, self._components(whitened), latents)
        return replace(self, neighbours=neighbours)

    def with_patterns(self, latents: FloatArray, observations: Observations) -> Exact | None:
        """Add what is known of simulations with the same patterns; None where nothing has one."""
        patterns = Patterns.fit(observations, latents)
        return None if patterns is None else replace(self, patterns=patterns)

    @property
    def width(self) -> int:
        """How many features it gives."""
        heard = sum(one.width for one in (self.neighbours, self.patterns) if one is not None)
        return self._read + len(self.counted.columns) + self.shares.width + heard

    @property
    def _read(self) -> int:
        """How many there are before what is said of counts."""
        whitened = self.whitened
        parts = (whitened.components, whitened.scores.columns[None], whitened.sizes)
        parts += (whitened.size_scores.columns[None],)
        return self.own + sum(part.shape[1] for part in parts)

    @property
    def own(self) -> int:
        """How many of them, the first ones, are of the columns themselves."""
        columns = self.columns
        parts = (columns.scale, columns.scores.columns[None], columns.gaps[None])
        return sum(part.shape[1] for part in parts)

    @property
    def observables(self) -> tuple[int, ...]:
        """Which of them are of observables, each once: the normal score of those that have one.

        Without what describes curves.
        """
        return self._of_observables(self._describing)

    def ways(self, most: int = MOST_OBSERVABLES) -> dict[Way, tuple[int, ...]]:
        """Each way to choose features of which a likelihood is learned: so many at most."""
        every: dict[Way, tuple[int, ...]] = {"observables": self.observables, "laws": self.laws}
        found: dict[Way, tuple[int, ...]] = {}
        found |= {way: c for way, c in every.items() if 0 < len(c) <= most}
        fit = self.counted and len(self.observables) <= MOST_BINARY
        if fit:
            found["counts"] = self.counts
        if entries := self.entries:
            found["entries"] = entries
        return found

    def unscored(self, features: tuple[int, ...]) -> tuple[int, ...]:
        """Give the same columns as they are, scaled, in place of their normal scores.

        What is linear in the parameters is so no longer by its normal score.
        """
        first = self.columns.scale.shape[1]
        back = dict(enumerate(self.columns.scores.columns.tolist(), first))
        return tuple(back.get(feature, feature) for feature in features)

    @property
    def counts(self) -> tuple[int, ...]:
        """The same as `observables`, with log(1 + n) of counts."""
        where = self._named(self.counted.columns).tolist()
        told = {column: self._read + place for place, column in enumerate(where)}
        return tuple(told.get(column, column) for column in self.observables)

    @property
    def entries(self) -> tuple[int, ...]:
        """How many entries of sets lie between limits, in place of what describes the sets.

        None beside hundreds of observables of fixed shape.
        """
        if not self.shares.counted or self.sufficient is not None:
            return ()
        first = self._read + len(self.counted.columns)
        others = self._of_observables(np.arange(len(self.read), self.columns.scale.shape[1]))
        return others + tuple(range(first, first + self.shares.width))

    @property
    def laws(self) -> tuple[int, ...]:
        """The same with what describes curves, without their entries; none without curves."""
        if not self.curves:
            return ()
        if self.sufficient is not None:
            return self._of_observables(np.arange(self.sufficient.width))
        entries = np.concatenate([places.ravel() for places in self.curves.values()])
        return self._of_observables(np.flatnonzero(np.isin(self.read, entries)))

    @property
    def _describing(self) -> IntArray:
        """Which columns describe curves: the last ones, but for what is recurring of series."""
        n, places = self.columns.scale.shape[1], []
        if self.recurring is not None:
            places = list(range(n - self.recurring.of_curves, n))
            n -= self.recurring.limits.shape[1]
        places += range(n - width_of_curves(self.curves.values()), n)
        return np.array(places, dtype=np.int64)

    def _of_observables(self, without: IntArray) -> tuple[int, ...]:
        kept = np.delete(np.arange(self.columns.scale.shape[1]), np.union1d(self.givens, without))
        return tuple(self._named(kept).tolist())

    def _named(self, chosen: IntArray) -> IntArray:
        """Give the features of some columns: the normal score of those that have one."""
        columns = self.columns
        found = np.arange(columns.scale.shape[1])
        found[columns.scores.columns] = len(found) + np.arange(len(columns.scores.columns))
        return found[chosen]

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give the features, shape (batch, ...)."""
        first, whitened, counts = self._parts(observations)
        parts = [first, whitened, counts]
        if self.neighbours is not None:
            parts.append(self.neighbours(first, self._components(whitened)))
        if self.patterns is not None:
            parts.append(self.patterns(observations))
        return np.hstack(parts)

    def with_givens(
        self, observations: Observations, columns: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        """Give some features, and the givens, in double precision; shape (batch, ...) each."""
        features = torch.from_numpy(self(observations).astype(float))
        return features[:, list(columns)], features[:, self.givens]

    def _parts(self, observations: Observations) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Give columns as they are, what was made of them by whitening, and counts."""
        table, _ = _table(
            observations,
            self.read,
            self.profiled,
            self.shares,
            self.curves,
            self.moving,
            self.sufficient,
            None if self.recurring is None else self.recurring(observations),
        )
        whitened, counts = self.whitened(table), self.counted(table)
        counts = np.hstack([counts, self.shares.counts(observations)])
        return self.columns(table), whitened.astype(np.float32), counts.astype(np.float32)

    def _components(self, whitened: AnyArray) -> AnyArray:
        return whitened[:, : self.whitened.components.shape[1]]

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        whitened = prefixed(WHITENED, self.whitened.to_arrays())
        found = {"read": self.read, "givens": self.givens} | self.columns.to_arrays() | whitened
        found |= {PROFILED + name: np.empty(0) for name in self.profiled}
        found |= prefixed(SHARES, self.shares.limits) | prefixed(COUNTED, self.counted.to_arrays())
        found |= prefixed(CURVES, self.curves) | {MOVING + n: np.empty(0) for n in self.moving}
        if self.neighbours is not None:
            found |= prefixed(NEIGHBOURS, self.neighbours.to_arrays())
        found |= {ENTRIES: np.empty(0)} if self.shares.counted else {}
        found |= {RECURRING: self.recurring.limits} if self.recurring else {}
        parts = {PATTERNS: self.patterns, SUFFICIENT: self.sufficient}
        for prefix, part in parts.items():
            if part is not None:
                found |= prefixed(prefix, part.to_arrays())
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Exact:
        """Read back what `to_arrays` gave."""
        whitened = Whitened.from_arrays(named(WHITENED, arrays))
        kept, alike = named(NEIGHBOURS, arrays), named(PATTERNS, arrays)
        few = named(SUFFICIENT, arrays)
        neighbours = Neighbours.from_arrays(kept) if kept else None
        curves, moving = named(CURVES, arrays), tuple(named(MOVING, arrays))
        limits = arrays.get(RECURRING)
        return cls(
            arrays["read"],
            Columns.from_arrays(arrays),
            whitened,
            arrays["givens"],
            neighbours,
            tuple(named(PROFILED, arrays)),
            curves,
            moving,
            Shares(named(SHARES, arrays), ENTRIES in arrays),
            Patterns.from_arrays(alike) if alike else None,
            Counted.from_arrays(named(COUNTED, arrays)),
            Sufficient.from_arrays(few) if few else None,
            None if limits is None else Recurring(moving, curves, limits),
        )


def _table(
    observations: Observations,
    read: IntArray,
    profiled: tuple[str, ...],
    shares: Shares,
    curves: Mapping[str, IntArray],
    moving: tuple[str, ...],
    sufficient: Sufficient | None,
    recurring: FloatArray | None,
) -> tuple[FloatArray, IntArray]:
    """Give the columns, and the places of givens and log sizes among them."""
    told, sizes = described_sets(observations, profiled, moving)
    first = observations.vector.shape[1] - observations.givens
    drawn = described_curves(observations.vector, curves.values())
    plain = observations.vector[:, read]
    known = read >= first
    if sufficient is not None:
        plain = np.hstack([sufficient(plain[:, ~known]), plain[:, known]])
        known = np.append(np.zeros(sufficient.width, bool), known[known])
    past = [] if recurring is None else [recurring]
    table = np.hstack([plain, told, shares(observations), drawn, *past])
    return table, np.concatenate([np.flatnonzero(known), len(known) + sizes])
