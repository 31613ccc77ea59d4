"""Robust scaling of observations, so that no unit, constant column or outlier ruins training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.image import Grid
from sbi_inn.summary_networks.columns import SCORES, Columns, named, prefixed
from sbi_inn.summary_networks.condensed import condensable, condensed, single
from sbi_inn.summary_networks.curves import Curves, places_of_curves
from sbi_inn.summary_networks.decades import Decades
from sbi_inn.summary_networks.described import profiled_sets
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.summary_networks.location import LINEAR, location_scale, squash, thinned
from sbi_inn.summary_networks.ordered import Ordered
from sbi_inn.summary_networks.reduced import Reduced
from sbi_inn.summary_networks.scores import ALIKE, Scores
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# Prefixes of the names in files.
SET = "set:"
GAPS = "gaps:"
GRID = "grid:"
AXIS = "channels last:"
IMAGE_GAPS = "image gaps:"
CONDENSED = "condensed:"
SIZES = "log sizes:"
STATISTICS = "statistics:"
EXACT = "exact:"
PLACES = "places"
DECADES = "decades:"
AS_THEY_ARE = "as they are:"
ORDERED = "ordered:"
REDUCED = "reduced:"
CURVES = "curves:"  # with the name of the first, and what is kept of them
ENTRIES = "entries:"  # of the scores of a set, with the field of `Scores` and the set

# Large sets that are looked at to learn how their groups are read.
GROUPED = 2_000


@dataclass(frozen=True)
class Scaling:
    """How conditioning networks read observations, learned from the training rows.

    Attributes
    ----------
    vector : array, shape (2, features)
        Median and spread of each feature of `Observations.vector`; of pixels, those of their
        channel, so that an image keeps its contrasts.
    read : array of int, shape (k,)
        Which features of `Observations.vector` a conditioning network reads as they are: no pixels,
        and no entries of curves.
    fixed : Columns
        How it reads these.
    sets : dict of str to Columns
        How it reads the entries of each set or series, all entries of all sets being one table.
    grids : dict of str to Grid
        Where the pixels of the images are.
    image_gaps : tuple of str
        Images of which training has seen missing pixels. Each channel of theirs has a second plane,
        of flags.
    condensed : tuple of str
        Large sets, which are read as quantiles or groups of neighbours, or by statistics alone.
    sizes, statistics : Columns or None
        How it reads their log sizes beside quantiles and groups; and the statistics
        (`profiled_sets`) of those of single numbers that are read by these alone.
    exact : Exact or None
        What a regression in closed form reads, if there is one.
    curves : dict of str to Curves
        Those that are read as series, by the name of the first of each length.
    decades : Decades
        What is read by its logarithm. All of the above is about what that gives.
    as_they_are : Columns or None
        How it reads these besides, without a logarithm, if it does.
    ordered : Ordered or None
        What it is told of curves beside their entries, if it is.
    reduced : Reduced or None
        How it reads hundreds of features, in place of `fixed`; None in older files.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.observation.batch import Observations
    >>> from sbi_inn.summary_networks import Scaling
    >>> metres = np.array([[0.0], [1e-9], [2e-9], [3e-9], [1e6]])
    >>> observations = Observations(metres, {})
    >>> Scaling.fit(observations).vectors(observations).T.round(1)
    array([[-1.3, -0.7,  0. ,  0.7, 39.1]], dtype=float32)
    """

    vector: FloatArray
    read: IntArray
    fixed: Columns
    sets: dict[str, Columns]
    grids: dict[str, Grid] = field(default_factory=dict)
    image_gaps: tuple[str, ...] = ()
    condensed: tuple[str, ...] = ()
    sizes: Columns | None = None
    statistics: Columns | None = None
    exact: Exact | None = None
    curves: dict[str, Curves] = field(default_factory=dict)
    decades: Decades = field(default_factory=Decades.none)
    as_they_are: Columns | None = None
    ordered: Ordered | None = None
    reduced: Reduced | None = None

    @classmethod
    def fit(
        cls,
        observations: Observations,
        read: IntArray | None = None,
        *,
        scores: bool = True,
        exact: bool = False,
        likelihood: bool = False,
        alike: bool = False,
        statistics: bool = False,
        curves: bool = False,
        ordered: bool = False,
        decades: Decades | None = None,
        latents: FloatArray | None = None,
    ) -> Scaling:
        """Learn centre and scale from a batch of observations.

        Parameters
        ----------
        observations : Observations
        read : array of int, optional
            By default all features but pixels are read.
        scores : bool
            Look for features whose law is far from normal, and condense large sets.
        exact : bool
            Prepare also what a `GaussianStart` reads.
        likelihood : bool
            Let that read what a likelihood is learned of: quantiles of large sets, and counts.
        alike : bool
            Let it read shares of these sets below fixed limits besides: simulations are much alike.
        statistics : bool
            Read large sets of single numbers by their statistics alone, not as quantiles.
        curves : bool
            Read curves as series alone, not as features of fixed shape.
        ordered : bool
            Tell what describes curves, too.
        decades : Decades, optional
            By default nothing is read by its logarithm.
        latents : array, shape (batch, dim), optional
            Parameters: of hundreds of observables it reads then what these change.
        """
        decades = decades or Decades.none()
        observations = decades(observations)
        vector, grids = observations.vector, observations.grids
        read = not_pixels(observations) if read is None else read
        drawn = places_of_curves(observations) if curves else {}
        for places in drawn.values():
            read = np.setdiff1d(read, places)
        large = condensable(observations) if scores else ()
        singles = single(observations, large) if statistics else ()
        entrywise = tuple(name for name in large if name not in singles)
        # Of decades the logarithm follows the noise, and the normal score resolves the crowd.
        usual = np.where(np.isin(read, decades.features), 1.0, ALIKE)
        reduced = Reduced.fit(observations, read, latents) if scores else None
        fixed = Columns.fit(vector[:, read], scores=scores and not reduced, alike=usual)
        return cls(
            _scale(observations, read, fixed.scale),
            read,
            fixed,
            _read_sets(observations, large, scores=scores),
            grids,
            tuple(n for n, grid in grids.items() if np.isnan(vector[:, grid.features]).any()),
            large,
            Columns.fit(_log_sizes(observations, entrywise), scores=False) if entrywise else None,
            Columns.fit(profiled_sets(observations, singles), scores=True) if singles else None,
            Exact.fit(observations, read, likelihood=likelihood, alike=alike, latents=latents)
            if exact
            else None,
            {name: Curves.fit(observations, places) for name, places in drawn.items()},
            decades,
            ordered=Ordered.fit(observations) if ordered else None,
            reduced=reduced,
        )

    def with_what_is_logged(self, observations: Observations) -> Scaling | None:
        """Read as it is, too, what is read by its logarithm; None where nothing is."""
        places = self._logged
        if self.reduced is not None or not len(places):
            return None
        columns = Columns.fit(observations.vector[:, places], scores=False)
        return replace(self, as_they_are=columns)

    @property
    def _logged(self) -> IntArray:
        """Which of the features that are read, are so by their logarithms."""
        return np.intersect1d(self.read, self.decades.features)

    def vectors(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Scale the features of fixed shape, shape (batch, features)."""
        return squash(observations.vector, self.vector)

    def features(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give the features of fixed shape that are read: scaled, normal scores, and flags.

        Then, in the same way, what is told of large sets.
        """
        logged = self.decades(observations)
        read = self.reduced or self.fixed
        parts = [read(logged.vector[:, self.read])]
        if self.as_they_are is not None:
            parts.append(self.as_they_are(observations.vector[:, self._logged]))
        if self.ordered is not None:
            parts.append(self.ordered(logged))
        if self.sizes is not None:
            sized = [name for name in self.condensed if name in self.entrywise]
            parts.append(self.sizes(_log_sizes(observations, sized)))
        if self.statistics is not None:
            told = [name for name in self.condensed if name not in self.entrywise]
            parts.append(self.statistics(profiled_sets(observations, told)))
        return np.hstack(parts)

    @property
    def entrywise(self) -> tuple[str, ...]:
        """Sets and series whose entries, quantiles or groups are read one by one.

        Not those of a single column whose statistics are read.
        """
        told = () if self.statistics is None else self.condensed
        left_out = [name for name in told if self.sets[name].scale.shape[1] == 1]
        return tuple(name for name in self.sets if name not in left_out)

    def unscale(self, vectors: AnyArray) -> FloatArray:
        """Undo `vectors` for its first features, shape (batch, as many as are given)."""
        center, scale = self.vector[:, : vectors.shape[1]]
        size = np.abs(vectors.astype(np.float64))
        beyond = np.expm1(np.maximum(size - LINEAR, 0))
        return center + scale * np.sign(vectors) * (np.minimum(size, LINEAR) + beyond)

    def entries(self, padded: PaddedSet, name: str) -> npt.NDArray[np.float32]:
        """Give the entries of a set, one after another: scaled, normal scores, and flags."""
        return self.sets[name](padded.values[padded.mask])

    def pixels(self, observations: Observations, name: str) -> npt.NDArray[np.float32]:
        """Scale an image, shape (batch, planes, height, width); a missing pixel is 0, the centre.

        The planes are the channels; then, for one of `image_gaps`, as many of flags, which are 1
        where a pixel is missing.
        """
        grid = self.grids[name]
        scale = self.vector[:, grid.features]
        scaled = squash(observations.vector[:, grid.features], scale)
        found = np.ascontiguousarray(replace(grid, start=0).cut(scaled))
        if name in self.image_gaps:
            found = np.concatenate([found, np.isnan(found)], axis=1, dtype=np.float32)
        return np.nan_to_num(found, copy=False, nan=0.0)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        found = {"vector": self.vector, "read": self.read, "gaps": self.fixed.gaps}
        found |= prefixed(SCORES, vars(self.fixed.scores))
        for name, columns in self.sets.items():
            found |= {SET + name: columns.scale, GAPS + name: columns.gaps}
            parts = vars(columns.scores).items()
            found |= {f"{ENTRIES}{part}:{name}": value for part, value in parts}
        found |= {GRID + n: np.array([g.start, *g.shape]) for n, g in self.grids.items()}
        found |= {AXIS + n: np.array(g.last) for n, g in self.grids.items() if g.axis}
        parts = {SIZES: self.sizes, STATISTICS: self.statistics, EXACT: self.exact}
        parts |= {AS_THEY_ARE: self.as_they_are, ORDERED: self.ordered, REDUCED: self.reduced}
        for prefix, part in parts.items():
            if part is not None:
                found |= prefixed(prefix, part.to_arrays())
        if len(self.decades.features):
            found |= prefixed(DECADES, self.decades.to_arrays())
        for name, curves in self.curves.items():
            kept = {PLACES: curves.places} | curves.entries.to_arrays()
            found |= prefixed(f"{CURVES}{name}:", kept)
        found |= {CONDENSED + name: np.array(True) for name in self.condensed}
        return found | {IMAGE_GAPS + name: np.array(True) for name in self.image_gaps}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Scaling:
        """Read back what `to_arrays` gave; older files hold less."""

        def scores(name: str) -> Scores:
            return Scores(*(arrays[f"{ENTRIES}{f.name}:{name}"] for f in fields(Scores)))

        vector, read = arrays["vector"], arrays["read"]
        sizes, statistics = named(SIZES, arrays), named(STATISTICS, arrays)
        exact, as_they_are = named(EXACT, arrays), named(AS_THEY_ARE, arrays)
        ordered, reduced = named(ORDERED, arrays), named(REDUCED, arrays)
        return cls(
            vector,
            read,
            Columns(vector[:, read], Scores(**named(SCORES, arrays)), arrays["gaps"]),
            {n: Columns(v, scores(n), arrays[GAPS + n]) for n, v in named(SET, arrays).items()},
            _grids(arrays),
            tuple(named(IMAGE_GAPS, arrays)),
            tuple(named(CONDENSED, arrays)),
            Columns.from_arrays(sizes) if sizes else None,
            Columns.from_arrays(statistics) if statistics else None,
            Exact.from_arrays(exact) if exact else None,
            _curves(named(CURVES, arrays)),
            Decades.from_arrays(named(DECADES, arrays)),
            Columns.from_arrays(as_they_are) if as_they_are else None,
            Ordered.from_arrays(ordered) if ordered else None,
            Reduced.from_arrays(reduced) if reduced else None,
        )


def _read_sets(
    observations: Observations, large: tuple[str, ...], *, scores: bool
) -> dict[str, Columns]:
    """Learn how the entries of each set are read, or the groups of a large one."""
    found = {}
    for name, padded in observations.sets.items():
        if name in large and padded.values.shape[2] > 1:
            padded = condensed(observations[:GROUPED].sets[name])
        found[name] = Columns.fit(padded.values[padded.mask], scores=scores)
    return found


def _curves(arrays: Mapping[str, AnyArray]) -> dict[str, Curves]:
    """Read back how curves are read, by name."""
    found = {}
    for key, places in arrays.items():
        name, _, part = key.rpartition(":")
        if part == PLACES:
            found[name] = Curves(places, Columns.from_arrays(named(f"{name}:", arrays)))
    return found


def _grids(arrays: Mapping[str, AnyArray]) -> dict[str, Grid]:
    """Read back where images are, and which axis holds the channels where that was stated."""
    found, last = {}, named(AXIS, arrays)
    for name, numbers in named(GRID, arrays).items():
        start, *shape = map(int, numbers)
        axis = ("last" if last[name] else "first") if name in last else None
        found[name] = Grid(tuple(shape), start, axis)
    return found


def _scale(observations: Observations, read: IntArray, known: FloatArray) -> FloatArray:
    """Give the median and spread of each feature, those of some being known."""
    vector, others = observations.vector, np.setdiff1d(not_pixels(observations), read)
    scale = np.empty((2, vector.shape[1]))
    scale[:, read], scale[:, others] = known, location_scale(vector[:, others])
    for grid in observations.grids.values():
        _scale_channels(grid, vector, scale)
    return scale


def _scale_channels(grid: Grid, vector: FloatArray, scale: FloatArray) -> None:
    """Write the median and spread of each channel of an image into `scale`, at all its pixels."""
    channels = [thinned(c.reshape(-1, 1)) for c in grid.cut(vector).swapaxes(0, 1)]
    found = np.hstack([location_scale(channel) for channel in channels])
    target = grid.cut(scale)  # a view: what is written to it reaches `scale`
    target[:] = found[:, :, None, None]


def _log_sizes(observations: Observations, names: Sequence[str]) -> FloatArray:
    return np.log1p(np.stack([observations.sets[name].sizes for name in names], axis=1))


def not_pixels(observations: Observations) -> IntArray:
    """Find the features of `Observations.vector` that are no pixels of an image."""
    plain = np.ones(observations.vector.shape[1], bool)
    for grid in observations.grids.values():
        plain[grid.features] = False
    return np.flatnonzero(plain)
