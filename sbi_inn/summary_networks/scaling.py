"""Robust scaling of observations, so that no unit, constant column or outlier ruins training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.image import Grid
from sbi_inn.summary_networks.scores import Scores
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# Up to here a scaled value passes unchanged; beyond, it grows like a logarithm.
LINEAR = 5.0

# Prefixes of the names in files.
SET, GAPS, SCORES, GRID = "set:", "gaps:", "scores:", "grid:"
ENTRIES = "entries:"  # of the scores of a set, with the field of `Scores` and the set

# Pixels of a channel that centre and scale are learned from, and entries of sets normal scores.
MOST_PIXELS = MOST_ENTRIES = 1_000_000


@dataclass(frozen=True)
class Scaling:
    """Centre and scale of each feature, and normal scores of some, from the training rows.

    Attributes
    ----------
    vector : array, shape (2, features)
        Median and spread of each feature of `Observations.vector`; of pixels, those of their
        channel, so that an image keeps its contrasts.
    sets : dict of str to array, shape (2, columns)
        The same for the columns of each set, pooled over all entries.
    read : array of int, shape (k,)
        Which features of `Observations.vector` a conditioning network reads as they are: no pixels.
    scores : Scores
        Of those features that it reads whose law is far from normal.
    gaps : array of int
        Features among those that are read of which training has seen missing values. A network
        reads 0 for a missing value, the centre of all others, and a flag beside it.
    set_gaps : dict of str to array of int
        The same for the columns of each set.
    set_scores : dict of str to Scores
        Of the columns of each set whose law, over all entries, is far from normal.
    grids : dict of str to Grid
        Where the pixels of the images are.

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
    sets: dict[str, FloatArray]
    read: IntArray
    scores: Scores
    gaps: IntArray
    set_gaps: dict[str, IntArray]
    set_scores: dict[str, Scores]
    grids: dict[str, Grid] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        observations: Observations,
        read: IntArray | None = None,
        *,
        scores: bool = True,
    ) -> Scaling:
        """Learn centre and scale from a batch of observations.

        Parameters
        ----------
        observations : Observations
        read : array of int, optional
            By default all features but pixels are read.
        scores : bool
            Look for features whose law is far from normal.
        """
        entries = {name: s.values[s.mask] for name, s in observations.sets.items()}
        vector, grids, plain = observations.vector, observations.grids, not_pixels(observations)
        scale = np.empty((2, vector.shape[1]))
        scale[:, plain] = _location_scale(vector[:, plain])
        for grid in grids.values():
            pixels = grid.cut(vector)
            every = -(-pixels[:, 0].size // MOST_PIXELS)
            channels = [channel.reshape(-1)[::every] for channel in pixels.swapaxes(0, 1)]
            found = np.hstack([_location_scale(channel[:, None]) for channel in channels])
            target = grid.cut(scale)  # a view: what is written to it reaches `scale`
            target[:] = found[:, :, None, None]
        read = plain if read is None else read
        table = vector[:, read] if scores else np.empty((len(vector), 0))
        return cls(
            scale,
            {name: _location_scale(values) for name, values in entries.items()},
            read,
            Scores.fit(table),
            _with_gaps(vector[:, read]),
            {name: _with_gaps(values) for name, values in entries.items()},
            {name: _entry_scores(values, scores) for name, values in entries.items()},
            grids,
        )

    def vectors(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Scale the features of fixed shape, shape (batch, features)."""
        return _squash(observations.vector, self.vector)

    def features(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give the features of fixed shape that are read: scaled, normal scores, and flags."""
        vector = observations.vector[:, self.read]
        scaled = _squash(vector, self.vector[:, self.read])
        return _flagged(np.hstack([scaled, self.scores(vector)]), vector, self.gaps)

    def unscale(self, vectors: AnyArray) -> FloatArray:
        """Undo `vectors` for its first features, shape (batch, as many as are given)."""
        center, scale = self.vector[:, : vectors.shape[1]]
        size = np.abs(vectors.astype(np.float64))
        beyond = np.expm1(np.maximum(size - LINEAR, 0))
        return center + scale * np.sign(vectors) * (np.minimum(size, LINEAR) + beyond)

    def entries(self, observations: Observations, name: str) -> npt.NDArray[np.float32]:
        """Give the entries of a set, one after another: scaled, normal scores, and flags."""
        padded = observations.sets[name]
        values = padded.values[padded.mask]
        scaled = np.hstack([_squash(values, self.sets[name]), self.set_scores[name](values)])
        return _flagged(scaled, values, self.set_gaps[name])

    def pixels(self, observations: Observations, name: str) -> npt.NDArray[np.float32]:
        """Scale an image, (batch, channels, height, width); a missing pixel is at the centre, 0."""
        grid = self.grids[name]
        scale = self.vector[:, grid.features]
        scaled = _squash(observations.vector[:, grid.features], scale)
        found = np.ascontiguousarray(replace(grid, start=0).cut(scaled))
        return np.nan_to_num(found, copy=False, nan=0.0)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        scores = {SCORES + name: value for name, value in vars(self.scores).items()}
        fixed = {"vector": self.vector, "read": self.read, "gaps": self.gaps}
        sets = {SET + name: value for name, value in self.sets.items()}
        sets |= {GAPS + name: value for name, value in self.set_gaps.items()}
        sets |= {
            f"{ENTRIES}{part}:{name}": value
            for name, found in self.set_scores.items()
            for part, value in vars(found).items()
        }
        grids = {GRID + n: np.array([g.start, *g.shape]) for n, g in self.grids.items()}
        return fixed | sets | scores | grids

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Scaling:
        """Read back what `to_arrays` gave."""
        sets, gaps, scores, grids = (
            {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
            for prefix in (SET, GAPS, SCORES, GRID)
        )
        where = {name: Grid(tuple(map(int, v[1:])), int(v[0])) for name, v in grids.items()}
        of_sets = {
            name: Scores(*(arrays[f"{ENTRIES}{f.name}:{name}"] for f in fields(Scores)))
            for name in sets
        }
        fixed, chosen = Scores(**scores), arrays["gaps"]
        return cls(arrays["vector"], sets, arrays["read"], fixed, chosen, gaps, of_sets, where)


def not_pixels(observations: Observations) -> IntArray:
    """Find the features of `Observations.vector` that are no pixels of an image."""
    plain = np.ones(observations.vector.shape[1], bool)
    for grid in observations.grids.values():
        plain[grid.features] = False
    return np.flatnonzero(plain)


def _location_scale(values: FloatArray) -> FloatArray:
    """Median and robust standard deviation of each column, shape (2, columns)."""
    if np.isnan(values).any():
        return np.stack([_location_scale(_known(c)[:, None])[:, 0] for c in values.T], axis=1)
    low, center, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / 1.349
    # Mostly constant columns have no quartile range; wholly constant ones no spread at all.
    scale = np.where(scale > 0, scale, values.std(axis=0))
    # What rounding leaves of a constant is no spread. Relative, for any unit.
    tiny = 1e-12 * np.abs(center)
    return np.stack([center, np.where(scale > tiny, scale, 1.0)])


def _entry_scores(values: FloatArray, wanted: bool) -> Scores:
    """Learn the normal scores of those columns of a set whose law is far from normal."""
    every = -(-len(values) // MOST_ENTRIES)
    return Scores.fit(values[::every] if wanted else values[:, :0])


def _known(column: FloatArray) -> FloatArray:
    """Give the values that are there; a zero where all are missing."""
    known = column[~np.isnan(column)]
    return known if len(known) else np.zeros(1)


def _with_gaps(values: FloatArray) -> IntArray:
    return np.flatnonzero(np.isnan(values).any(axis=0))


def _flagged(
    scaled: npt.NDArray[np.float32],
    values: FloatArray,
    gaps: IntArray,
) -> npt.NDArray[np.float32]:
    """Put zeros where values are missing, and flags beside the columns of which some may be."""
    flags = np.isnan(values[:, gaps]).astype(np.float32)
    return np.hstack([np.nan_to_num(scaled, copy=False, nan=0.0), flags])


def _squash(values: FloatArray, location_scale: FloatArray) -> npt.NDArray[np.float32]:
    center, scale = location_scale
    scaled = (values - center) / scale
    size = np.abs(scaled)
    beyond = np.log1p(np.maximum(size - LINEAR, 0))
    return (np.sign(scaled) * (np.minimum(size, LINEAR) + beyond)).astype(np.float32)
