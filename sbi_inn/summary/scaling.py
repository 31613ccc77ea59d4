"""Robust scaling of observations, so that no unit, constant column or outlier ruins training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.grid import Grid
from sbi_inn.schema import Observations
from sbi_inn.summary.scores import Scores

# Up to here a scaled value passes unchanged; beyond, it grows like a logarithm.
LINEAR = 5.0

# Prefixes of the names in files.
SET, SCORES, GRID = "set:", "scores:", "grid:"

# Pixels of a channel that centre and scale are learned from.
MOST_PIXELS = 1_000_000


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
    grids : dict of str to Grid
        Where the pixels of the images are.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.schema import Observations
    >>> from sbi_inn.summary import Scaling
    >>> metres = np.array([[0.0], [1e-9], [2e-9], [3e-9], [1e6]])
    >>> observations = Observations(metres, {})
    >>> Scaling.fit(observations).vectors(observations).T.round(1)
    array([[-1.3, -0.7,  0. ,  0.7, 39.1]], dtype=float32)
    """

    vector: npt.NDArray[np.float64]
    sets: dict[str, npt.NDArray[np.float64]]
    read: npt.NDArray[np.int64]
    scores: Scores
    grids: dict[str, Grid] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        observations: Observations,
        read: npt.NDArray[np.int64] | None = None,
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
        sets = {name: _location_scale(s.values[s.mask]) for name, s in observations.sets.items()}
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
        return cls(scale, sets, read, Scores.fit(table), grids)

    def vectors(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Scale the features of fixed shape, shape (batch, features)."""
        return _squash(observations.vector, self.vector)

    def features(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give the features of fixed shape that are read: scaled, and their normal scores."""
        vector = observations.vector[:, self.read]
        return np.hstack([_squash(vector, self.vector[:, self.read]), self.scores(vector)])

    def unscale(self, vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Undo `vectors` for its first features, shape (batch, as many as are given)."""
        center, scale = self.vector[:, : vectors.shape[1]]
        size = np.abs(vectors.astype(np.float64))
        beyond = np.expm1(np.maximum(size - LINEAR, 0))
        return center + scale * np.sign(vectors) * (np.minimum(size, LINEAR) + beyond)

    def entries(self, observations: Observations, name: str) -> npt.NDArray[np.float32]:
        """Scale the entries of a set, one after another, shape (sum of sizes, columns)."""
        padded = observations.sets[name]
        return _squash(padded.values[padded.mask], self.sets[name])

    def pixels(self, observations: Observations, name: str) -> npt.NDArray[np.float32]:
        """Scale an image, shape (batch, channels, height, width)."""
        grid = self.grids[name]
        scale = self.vector[:, grid.features]
        scaled = _squash(observations.vector[:, grid.features], scale)
        return np.ascontiguousarray(replace(grid, start=0).cut(scaled))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give everything as named arrays."""
        scores = {SCORES + name: value for name, value in vars(self.scores).items()}
        fixed = {"vector": self.vector, "read": self.read}
        grids = {GRID + n: np.array([g.start, *g.shape]) for n, g in self.grids.items()}
        return fixed | {SET + n: v for n, v in self.sets.items()} | scores | grids

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Scaling:
        """Read back what `to_arrays` gave."""
        sets, scores, grids = (
            {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
            for prefix in (SET, SCORES, GRID)
        )
        where = {name: Grid(tuple(map(int, v[1:])), int(v[0])) for name, v in grids.items()}
        return cls(arrays["vector"], sets, arrays["read"], Scores(**scores), where)


def not_pixels(observations: Observations) -> npt.NDArray[np.int64]:
    """Find the features of `Observations.vector` that are no pixels of an image."""
    plain = np.ones(observations.vector.shape[1], bool)
    for grid in observations.grids.values():
        plain[grid.features] = False
    return np.flatnonzero(plain)


def _location_scale(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Median and robust standard deviation of each column, shape (2, columns)."""
    low, center, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / 1.349
    # Mostly constant columns have no quartile range; wholly constant ones no spread at all.
    scale = np.where(scale > 0, scale, values.std(axis=0))
    # What rounding leaves of a constant is no spread. Relative, for any unit.
    tiny = 1e-12 * np.abs(center)
    return np.stack([center, np.where(scale > tiny, scale, 1.0)])


def _squash(
    values: npt.NDArray[np.float64], location_scale: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    center, scale = location_scale
    scaled = (values - center) / scale
    size = np.abs(scaled)
    beyond = np.log1p(np.maximum(size - LINEAR, 0))
    return (np.sign(scaled) * (np.minimum(size, LINEAR) + beyond)).astype(np.float32)
