"""Hundreds of observables as the few numbers that tell what parameters change in them.

Where observables are a function of the parameters and noise, their projections on the directions in
which parameters move them, in units of the noise, tell all about the parameters but for the size of
the noise; the size of what these leave tells that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import mostly_two_valued
from sbi_inn.regressions.prediction import n_products, powers
from sbi_inn.shared_work.remembered import remembered
from sbi_inn.summary_networks.counted import Counted
from sbi_inn.summary_networks.location import location_scale, standardised
from sbi_inn.summary_networks.shrunk_covariance import Shrunk
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# Observables from which on it is done: fewer are read one by one.
MANY = 200
# The same of choices and counts, of each of which a likelihood is learned.
MANY_DISCRETE = 1_000
# The same of statistics of sets, whose errors are of many sizes: it loses more there.
MANY_STATISTICS = 400
# Rows that show which these are.
LOOKED_AT = 1_000
# Rows that are looked at, at most and at least, and numbers in them: several copies of these are in
# memory.
ROWS, FEWEST_ROWS, NUMBERS = 20_000, 1_000, 60_000_000
# Directions in which parameters move observables, and in which observables vary most; of each.
TOLD, WIDEST = 60, 20
# The widest are found by iteration: of so many directions more, in so many sweeps.
SPARE, SWEEPS = 10, 4
# Features of parameters: up to so many also their squares and products.
MOST_FEATURES = 150
# How often the size of what each row leaves is found again, and the least, in that of the median.
PASSES, LEAST = 2, 0.1
# Strength of the penalty on squared slopes: that of so many rows.
RIDGE = 1.0
# A direction is one of noise up to so many times what noise alone gives.
CHANCE = 1.2
# Length of a direction, beside the first ones, of which these leave nothing; smallest size.
NOTHING, SMALLEST = 1e-6, 1e-12


@dataclass(frozen=True)
class Sufficient:
    """Projections of many observables, and the log of the size of what these leave.

    Attributes
    ----------
    scale : array, shape (2, columns)
        Median of each column, and the size of its noise.
    rotation : array, shape (columns, k)
        Orthonormal directions.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.summary_networks.sufficient import Sufficient
    >>> rng = np.random.default_rng(1)
    >>> slope, noise = rng.normal(size=(2_000, 2)).T
    >>> spread = np.exp(noise)[:, None] * rng.normal(size=(2_000, 300))
    >>> table = slope[:, None] * np.linspace(-1, 1, 300) + spread
    >>> few = Sufficient.fit(np.stack([slope, noise], axis=1), table)(table)
    >>> few.shape[1] < 30, np.corrcoef(few[:, 0], slope)[0, 1].round(1) ** 2
    (True, np.float64(1.0))
    >>> np.corrcoef(few[:, -1], noise)[0, 1].round(2)
    np.float64(1.0)
    """

    scale: FloatArray
    rotation: FloatArray

    @classmethod
    def of(
        cls,
        observations: Observations,
        read: IntArray,
        latents: FloatArray | None,
        discrete: int = MANY_DISCRETE,
    ) -> Sufficient | None:
        """Learn it from those of fixed shape that are `read`, but for givens.

        None where these are few, where they are choices or counts, `discrete` at most, or without
        latents.
        """
        first = observations.vector.shape[1] - observations.givens
        table = observations.vector[:, read[read < first]]
        if MANY < table.shape[1] <= discrete and (
            mostly_two_valued(table[:LOOKED_AT]) or Counted.fit(table[:LOOKED_AT])
        ):
            return None
        return cls.of_many(table, latents, MANY)

    @classmethod
    def of_many(
        cls, table: FloatArray, latents: FloatArray | None, many: int = MANY_STATISTICS
    ) -> Sufficient | None:
        """Learn it from a table (rows, columns); None up to so `many` columns, or without latents.

        By default the table is one of statistics of sets.
        """
        if latents is None or table.shape[1] <= many:
            return None
        return cls.fit(latents, table)

    @classmethod
    def fit(cls, latents: FloatArray, table: FloatArray) -> Sufficient:
        """Learn it from parameters (rows, dim) and observables (rows, columns)."""
        rows = min(ROWS, max(FEWEST_ROWS, NUMBERS // table.shape[1]))
        return _fitted(latents[:rows], table[:rows])

    def __call__(self, table: FloatArray) -> FloatArray:
        """Give projections, then the log size of the rest; shape (rows, k + 1)."""
        scaled = standardised(table, self.scale)
        found = scaled @ self.rotation
        rest = scaled - found @ self.rotation.T
        size = np.sqrt(np.square(rest).mean(axis=1, keepdims=True))
        return np.hstack([found, np.log(np.maximum(size, SMALLEST))])

    @property
    def width(self) -> int:
        """How many numbers it gives."""
        return self.rotation.shape[1] + 1

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return vars(self).copy()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Sufficient:
        """Read back what `to_arrays` gave."""
        return cls(**arrays)


@remembered
def _fitted(latents: FloatArray, table: FloatArray) -> Sufficient:
    """Learn it from all rows: once for a start in closed form and what is beside it."""
    centre, spread = location_scale(table)
    scaled = standardised(table, np.stack([centre, spread]))
    left = _Left.of(_features(latents), scaled)
    most = max(1, len(table) // 20)
    directions = np.hstack([left.told()[:, :TOLD], left.widest(scaled)[:, :WIDEST]])
    scale = np.stack([centre, spread * left.noise])
    return Sufficient(scale, _orthonormal(directions)[:, :most])


@dataclass(frozen=True)
class _Left:
    """What a regression on the parameters leaves of observables, every row by its own size.

    Attributes
    ----------
    x : array, shape (rows, features)
        Centred; each row in units of its size, as all others.
    slope : array, shape (features, columns)
    left : array, shape (rows, columns)
        In units of `noise`.
    noise : array, shape (columns,)
    weights : array, shape (rows, 1)
    """

    x: FloatArray
    slope: FloatArray
    left: FloatArray
    noise: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray) -> _Left:
        """Regress y (rows, columns) on x (rows, features), and find the sizes of rows in turn."""
        found = cls._weighed(x, y, np.ones((len(x), 1)))
        for _ in range(PASSES):
            size = np.sqrt(np.square(found.left / found.weights).mean(axis=1, keepdims=True))
            usual = np.median(size) or 1.0
            found = cls._weighed(x, y, usual / np.maximum(size, LEAST * usual))
        return found

    @classmethod
    def _weighed(cls, x: FloatArray, y: FloatArray, weights: FloatArray) -> _Left:
        x, y = (part - np.average(part, axis=0, weights=weights[:, 0] ** 2) for part in (x, y))
        x, y = weights * x, weights * y
        slope = np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y), float)
        left = y - x @ slope
        noise = np.maximum(np.sqrt(np.square(left).mean(axis=0)), SMALLEST)
        return cls(x, slope, left / noise, noise, weights)

    def told(self) -> FloatArray:
        """Give directions in which parameters move observables, in units of noise; (columns, k).

        The largest signal, beside the noise and how it goes together, comes first.
        """
        noise = Shrunk(self.left)
        moved = noise.solve((self.slope / self.noise).T)
        spread = np.linalg.cholesky(
            self.x.T @ self.x / len(self.x) + NOTHING * np.eye(len(self.slope))
        )
        axes, sizes, _ = np.linalg.svd(moved @ spread, full_matrices=False)
        weights = self.weights[:, 0] ** 2
        rows = weights.sum() ** 2 / np.square(weights).sum()
        by_chance = sum(np.sqrt(n / rows) for n in moved.shape)
        kept = sizes > CHANCE * by_chance
        kept[0] = True
        return noise.solve(axes[:, kept], transposed=True)

    def widest(self, scaled: FloatArray) -> FloatArray:
        """Give the directions in which observables vary most, in units of noise; (columns, k)."""
        rows = torch.from_numpy(self.weights * scaled / self.noise)
        asked = min(WIDEST + SPARE, *rows.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            axes = torch.svd_lowrank(rows, asked, niter=SWEEPS)[2]
        return axes.numpy()


def _features(latents: FloatArray) -> FloatArray:
    """Give parameters, with squares and products of few."""
    centre, spread = location_scale(latents)
    x = (latents - centre) / spread
    dim = x.shape[1]
    if dim + n_products(dim, 2) > MOST_FEATURES:
        return x
    return powers(torch.from_numpy(x), 2).numpy()


def _orthonormal(directions: FloatArray) -> FloatArray:
    """Make each direction orthogonal to all before it; without those of which nothing is left."""
    directions = directions / np.linalg.norm(directions, axis=0)
    axes, left = np.linalg.qr(directions)
    return axes[:, np.abs(left.diagonal()) > NOTHING]
