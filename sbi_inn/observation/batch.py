"""Observations as plain float arrays, which networks and diagnostics work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sbi_inn.observation.description import Description
from sbi_inn.observation.image import Grid
from sbi_inn.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class PaddedSet:
    """A batch of exchangeable sets, or time series, of different sizes, padded to the largest.

    Attributes
    ----------
    values : array, shape (batch, largest size, columns)
        Entries beyond a set's size are zero; within it, NaN is a missing value.
    sizes : array of int, shape (batch,)
    """

    values: FloatArray
    sizes: IntArray

    def __getitem__(self, rows: Any) -> PaddedSet:
        sizes = self.sizes[rows]
        return PaddedSet(self.values[rows, : sizes.max(initial=0)], sizes)

    @property
    def mask(self) -> BoolArray:
        """True where there is an entry, shape (batch, largest size)."""
        return np.arange(self.values.shape[1]) < self.sizes[:, None]


@dataclass(frozen=True)
class Observations:
    """A batch of observations as arrays.

    Attributes
    ----------
    vector : array, shape (batch, features)
        The observables of fixed shape (images among them), flattened, then the givens; NaN where
        one is missing.
    sets : dict of str to PaddedSet
        One entry per exchangeable set or time series, under the name of its length.
    givens : int
        How many of the last features are givens.
    schema : Description or None
        Names, shapes and kinds of all that; None where there is nothing but a vector and sets.
    """

    vector: FloatArray
    sets: dict[str, PaddedSet]
    givens: int = 0
    schema: Description | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.vector)

    def __getitem__(self, rows: Any) -> Observations:
        """Choose rows by slice, mask or indices; always a batch."""
        sets = {n: s[rows] for n, s in self.sets.items()}
        return replace(self, vector=self.vector[rows], sets=sets)

    @property
    def series(self) -> tuple[str, ...]:
        """Which of `sets` are time series: their entries have an order."""
        return self.schema.series if self.schema else ()

    @property
    def grids(self) -> dict[str, Grid]:
        """Where the pixels of the images are, by name."""
        return self.schema.grids if self.schema else {}


def join(batches: Sequence[Observations]) -> Observations:
    """Put batches of observations one after another."""
    sets = {}
    for name in batches[0].sets:
        parts = [batch.sets[name] for batch in batches]
        width = max(part.values.shape[1] for part in parts)
        padded = [_widened(part.values, width) for part in parts]
        sets[name] = PaddedSet(np.concatenate(padded), np.concatenate([p.sizes for p in parts]))
    vector = np.concatenate([batch.vector for batch in batches])
    return replace(batches[0], vector=vector, sets=sets)


def _widened(values: FloatArray, width: int) -> FloatArray:
    """Pad sets (batch, size, columns) to a width."""
    missing = width - values.shape[1]
    return np.pad(values, ((0, 0), (0, missing), (0, 0))) if missing else values
