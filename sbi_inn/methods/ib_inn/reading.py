"""Inputs of the density: dequantised and scaled observables, or standardised learned features.

A density of counts is unbounded: a network may put ever narrower peaks on them. Noise within their
step prevents this (dequantisation). Constant columns say nothing and would do the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.location import LINEAR, location_scale
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

# Share of the rows that differ, below which a column may be discrete.
TIED = 0.5
# Distance from a multiple of the step, in steps, up to which it is one.
ROUNDING = 1e-4
# Numbers that an observation has at most, for their density to be learned.
MOST = 64
# Noise on learned features, in that on observables: they are not measured, and may nearly depend on
# each other.
FEATURES_NOISE = 20.0
# Variance of a principal component, as a share of the largest, below which it is left out.
FLAT = 1e-4


@dataclass(frozen=True)
class Reading:
    """Numbers that a flow reads, and how.

    Attributes
    ----------
    columns : array of int, shape (k,)
        Which of the features of `Observations.vector` (observables) or of the learned features.
    scale : array, shape (2, k)
        Median and spread of each.
    steps : array, shape (k,)
        The step of each discrete one in its spread, and 0 for the others.
    rotation : array, shape (k, d)
        Axes of the scaled numbers that are read; observables are read as they are.
    givens : array, shape (2, g)
        Median and spread of what steers the flow: givens, then log sizes of sets.
    learned : bool
        Whether the numbers are learned features.
    """

    columns: IntArray
    scale: FloatArray
    steps: FloatArray
    rotation: FloatArray
    givens: FloatArray
    learned: bool

    @classmethod
    def of_observables(cls, observations: Observations) -> Reading:
        """Learn it from training rows."""
        table = observables(observations)
        varies = np.ptp(table, axis=0) > 1e-12 * np.abs(table).max(axis=0)
        columns = np.flatnonzero(varies)
        scale = location_scale(table[:, columns])
        steps = np.array([_step(table[:, c]) for c in columns]) / scale[1]
        rotation = np.eye(len(columns))
        return cls(columns, scale, steps, rotation, _steering_scale(observations), False)

    @classmethod
    def of_features(cls, table: FloatArray, observations: Observations, most: int) -> Reading:
        """Learn it from features (rows, k) of training rows: their first principal components."""
        varies = table.std(axis=0) > 1e-6 * (1e-6 + np.abs(table).max(axis=0))
        columns = np.flatnonzero(varies)
        scale = location_scale(table[:, columns])
        scaled = np.clip((table[:, columns] - scale[0]) / scale[1], -2 * LINEAR, 2 * LINEAR)
        variance, axes = np.linalg.eigh(np.atleast_2d(np.cov(scaled, rowvar=False)))
        order = np.argsort(-variance)[:most]
        order = order[variance[order] > FLAT * variance.max()]
        rotation = axes[:, order] / np.sqrt(variance[order])
        nothing = np.zeros(len(columns))
        return cls(columns, scale, nothing, rotation, _steering_scale(observations), True)

    @property
    def dim(self) -> int:
        """How many numbers are read."""
        return self.rotation.shape[1]

    @property
    def noise(self) -> float:
        """Noise on them, in units of that on observables."""
        return FEATURES_NOISE if self.learned else 1.0

    @property
    def log_det(self) -> float:
        """Log |det| of the scaling, where observables are read: densities are in their units."""
        return 0.0 if self.learned else float(-np.log(self.scale[1]).sum())

    def numbers(self, table: FloatArray) -> npt.NDArray[np.float32]:
        """Scale and turn (rows, all columns), shape (rows, dim)."""
        scaled = (table[:, self.columns] - self.scale[0]) / self.scale[1]
        return (scaled @ self.rotation).astype(np.float32)

    def steering(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Scale givens and sizes, shape (rows, g)."""
        scaled = (_steering(observations) - self.givens[0]) / self.givens[1]
        return np.nan_to_num(np.clip(scaled, -LINEAR, LINEAR), nan=0.0).astype(np.float32)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return {**vars(self), "learned": np.array(self.learned)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Reading:
        """Read back what `to_arrays` gave."""
        return cls(**{**arrays, "learned": bool(arrays["learned"])})


def observables(observations: Observations) -> FloatArray:
    """Give the features of fixed shape that are no givens."""
    vector = observations.vector
    return vector[:, : vector.shape[1] - observations.givens]


def varies(table: FloatArray) -> bool:
    """Say whether any column of a table (rows, k) has two values that differ."""
    known = np.where(np.isnan(table), np.inf, table)
    return bool((known != known[:1]).any())


def readable(observations: Observations) -> bool:
    """Say whether observables can be read as they are: a few numbers, none of them missing."""
    if observations.sets or observations.grids:
        return False
    table = observables(observations)
    return 0 < table.shape[1] <= MOST and not np.isnan(table).any()


def _step(column: FloatArray) -> float:
    """Find the step of a discrete column; 0 for a continuous one."""
    values = np.unique(column)
    if len(values) > TIED * len(column) or len(values) < 2:
        return 0.0
    step = float(np.diff(values).min())
    places = (values - values[0]) / step
    return step if bool((np.abs(places - np.rint(places)) < ROUNDING).all()) else 0.0


def discrete(table: FloatArray) -> BoolArray:
    """Say which columns of a table (rows, k) are discrete.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> discrete(np.column_stack([rng.poisson(9, 1_000), rng.normal(size=1_000)]))
    array([ True, False])
    """
    return np.array([_step(column) > 0 for column in table.T], bool)


def _steering(observations: Observations) -> FloatArray:
    first = observations.vector.shape[1] - observations.givens
    sizes = [np.log(np.maximum(s.sizes, 1))[:, None] for s in observations.sets.values()]
    return np.hstack([observations.vector[:, first:], *sizes])


def _steering_scale(observations: Observations) -> FloatArray:
    return location_scale(_steering(observations))
