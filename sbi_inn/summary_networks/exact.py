"""What a regression in closed form reads: never blurred, and more than networks could use.

A network that reads a hundred components of noise learns them by heart. A ridge regression does not
mind, and finds in them how large the noise is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.choices import Choices
from sbi_inn.summary_networks.columns import Columns, named, prefixed
from sbi_inn.summary_networks.counted import Counted
from sbi_inn.summary_networks.described import crowded_sets, large_sets
from sbi_inn.summary_networks.entries import Entries
from sbi_inn.summary_networks.neighbours import Neighbours
from sbi_inn.summary_networks.patterns import Patterns
from sbi_inn.summary_networks.source import Part, Source
from sbi_inn.summary_networks.whitening import Whitened
from sbi_inn.typing import AnyArray, FloatArray, IntArray

Way = Literal["observables", "laws", "counts", "entries"]
"""A likelihood reads observables; of curves what describes them; counts; or how many entries of
sets lie between limits: see `Exact.ways`."""

# Observables up to which a likelihood is learned; binary ones and counts need no correlations.
MOST_OBSERVABLES, MOST_BINARY = 200, 1_000
# How the names of the arrays of `Whitened` begin in files.
WHITENED = "whitened:"
NEIGHBOURS = "neighbours:"  # those of `Neighbours`
PATTERNS = "patterns:"  # those of `Patterns`
LISTED = "ordered:"  # those of `Entries`
CHOICES = "choices:"  # those of `Choices`
COUNTED = "counted:"  # of the arrays of `Counted`


@dataclass(frozen=True)
class Exact:
    """Observables of fixed shape and statistics of sets: scaled, as normal scores, and whitened.

    Attributes
    ----------
    source : Source
        What is read of observations.
    columns : Columns
    whitened : Whitened
    counted : Counted
        Which of the columns are counts; these are also read as log(1 + n).
    neighbours : Neighbours or None
        What they say comes after all that.
    patterns : Patterns or None
        What they say comes after that.
    listed : Entries or Choices or None
        They come last. A likelihood reads them, and nobody else.
    """

    source: Source
    columns: Columns
    whitened: Whitened
    counted: Counted = field(default_factory=Counted)
    neighbours: Neighbours | None = None
    patterns: Patterns | None = None
    listed: Entries | Choices | None = None

    @classmethod
    def fit(
        cls,
        observations: Observations,
        read: IntArray,
        *,
        likelihood: bool = False,
        curves: Mapping[str, IntArray] | None = None,
        alike: bool = False,
        correlated: bool = False,
        latents: FloatArray | None = None,
        recurring: bool = True,
    ) -> Exact:
        """Learn it from a batch of observations.

        For a `likelihood`, with profiles of their large sets and with counts as such. With shares
        of these sets where simulations are much `alike`, and with what describes curves: by
        default those among them. With what is `recurring` in curves and series. Sets of many
        columns and few entries may be read by how these are `correlated`, in place of regressions.
        Given `latents` (rows, dim), hundreds of observables of fixed shape, and hundreds of
        statistics of sets, are read as what these parameters change in them.
        """
        source, table = Source.fit(
            observations,
            read,
            profiled=large_sets(observations) if likelihood else (),
            curves=curves,
            alike=alike,
            correlated=correlated,
            latents=latents,
            recurring=recurring,
        )
        found = cls(source, Columns.fit(table, scores=True), Whitened.fit(table))
        if not likelihood or source.sufficient is not None:
            return found
        first = observations.vector.shape[1] - observations.givens
        return replace(found, counted=Counted.fit(table[:, : (read < first).sum()]))

    def reduced(self, latents: FloatArray, observations: Observations) -> Exact | None:
        """Read hundreds of choices or counts as what parameters change in them; None if few."""
        source = self.source.reduced(observations, latents)
        if source is None:
            return None
        table = source(observations)
        return Exact(source, Columns.fit(table, scores=True), Whitened.fit(table))

    def without(self, part: Part, latents: FloatArray, observations: Observations) -> Exact:
        """Learn it anew without what describes curves, without shares, or without regressions.

        Of sets of many columns and few entries, correlations take the place of regressions. What is
        reduced stays so.
        """
        source = self.source
        found = Exact.fit(
            observations,
            source.read,
            likelihood=bool(source.profiled or self.counted),
            curves={} if part == "curves" else source.curves,
            alike=bool(source.shares) and part != "shares",
            correlated=bool(source.crowded) or part == "regressions",
            latents=latents,
        )
        return self._alike(found, latents, observations)

    def plainest(self, latents: FloatArray, observations: Observations) -> Exact:
        """Learn it anew without what describes curves, profiles of sets, and counts as such."""
        found = Exact.fit(observations, self.source.read, curves={}, latents=latents)
        return self._alike(found, latents, observations)

    def _alike(self, other: Exact, latents: FloatArray, observations: Observations) -> Exact:
        """Reduce another one if this is reduced."""
        few = None if self.source.sufficient is None else other.reduced(latents, observations)
        return few or other

    def parts(self, observations: Observations) -> list[Part]:
        """List what may be left out."""
        curves, shares = bool(self.source.curves), bool(self.source.shares)
        may = {"curves": curves, "shares": shares, "regressions": bool(crowded_sets(observations))}
        return [part for part in get_args(Part) if may[part]]

    def with_neighbours(self, latents: FloatArray, observations: Observations) -> Exact:
        """Add what neighbours say, among rows of latents (rows, dim) and observations."""
        first, whitened, _ = self._parts(observations)
        neighbours = Neighbours.of(first, self._components(whitened), latents)
        return replace(self, neighbours=neighbours)

    def with_patterns(self, latents: FloatArray, observations: Observations) -> Exact | None:
        """Add what is known of simulations with the same patterns; None where nothing has one."""
        patterns = Patterns.fit(observations, latents)
        return None if patterns is None else replace(self, patterns=patterns)

    def with_entries(self, observations: Observations) -> Exact | None:
        """Add the entries of a set; None where there is anything but one."""
        listed = Entries.fit(observations)
        return None if listed is None else replace(self, listed=listed)

    def with_choices(self, observations: Observations) -> Exact | None:
        """Add each of many choices that are read as a few numbers; None where there are none."""
        if self.source.sufficient is None:
            return None
        listed = Choices.fit(observations, self.source.read)
        return None if listed is None else replace(self, listed=listed)

    @property
    def last(self) -> tuple[int, ...]:
        """Which features are the size of a set and its entries, or choices."""
        width = 0 if self.listed is None else self.listed.width
        return tuple(range(self.width - width, self.width))

    @property
    def n_columns(self) -> int:
        """How many of these an entry has; 0 where entries are not read."""
        return 0 if self.listed is None else self.listed.n_columns

    @property
    def width(self) -> int:
        """How many features it gives."""
        others = (self.neighbours, self.patterns, self.listed)
        heard = sum(one.width for one in others if one is not None)
        return self._read + len(self.counted.columns) + self.source.shares.width + heard

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
        return self._of_observables(self.source.describing(self.columns.scale.shape[1]))

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
        source = self.source
        if not source.shares.counted or source.sufficient is not None:
            return ()
        first = self._read + len(self.counted.columns)
        others = self._of_observables(np.arange(len(source.read), self.columns.scale.shape[1]))
        return others + tuple(range(first, first + source.shares.width))

    @property
    def laws(self) -> tuple[int, ...]:
        """The same with what describes curves, without their entries; none without curves."""
        return self._of_observables(self.source.drawn) if self.source.curves else ()

    @property
    def givens(self) -> IntArray:
        """Which of the columns are givens, and log sizes of sets unless their entries are read."""
        return self.source.givens[: -1 if self.n_columns else None]

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
        if self.listed is not None:
            parts.append(self.listed(observations))
        return np.hstack(parts)

    def with_givens(
        self, observations: Observations, columns: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        """Give some features, and the givens, in double precision; shape (batch, ...) each."""
        features = torch.from_numpy(self(observations).astype(float))
        return features[:, list(columns)], features[:, self.givens]

    def _parts(self, observations: Observations) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Give columns as they are, what was made of them by whitening, and counts."""
        table = self.source(observations)
        whitened, counts = self.whitened(table), self.counted(table)
        counts = np.hstack([counts, self.source.shares.counts(observations)])
        return self.columns(table), whitened.astype(np.float32), counts.astype(np.float32)

    def _components(self, whitened: AnyArray) -> AnyArray:
        return whitened[:, : self.whitened.components.shape[1]]

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        found = self.source.to_arrays() | self.columns.to_arrays()
        found |= prefixed(WHITENED, self.whitened.to_arrays())
        found |= prefixed(COUNTED, self.counted.to_arrays())
        listed = CHOICES if isinstance(self.listed, Choices) else LISTED
        more = {NEIGHBOURS: self.neighbours, PATTERNS: self.patterns, listed: self.listed}
        for prefix, part in more.items():
            found |= {} if part is None else prefixed(prefix, part.to_arrays())
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Exact:
        """Read back what `to_arrays` gave."""
        kept, alike = named(NEIGHBOURS, arrays), named(PATTERNS, arrays)
        listed, choices = named(LISTED, arrays), named(CHOICES, arrays)
        return cls(
            Source.from_arrays(arrays),
            Columns.from_arrays(arrays),
            Whitened.from_arrays(named(WHITENED, arrays)),
            Counted.from_arrays(named(COUNTED, arrays)),
            Neighbours.from_arrays(kept) if kept else None,
            Patterns.from_arrays(alike) if alike else None,
            Entries.from_arrays(listed)
            if listed
            else Choices.from_arrays(choices)
            if choices
            else None,
        )
