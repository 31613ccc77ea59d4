"""How a network reads the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.summary_networks.location import location_scale, squash, thinned
from sbi_inn.summary_networks.scores import ALIKE, Scores
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# How the names of the arrays of `Scores` begin in files.
SCORES = "scores:"


@dataclass(frozen=True)
class Columns:
    """How a network reads a table: every column scaled, normal scores of some, and flags.

    Attributes
    ----------
    scale : array, shape (2, columns)
        Median and spread of each column.
    scores : Scores
        Of the columns whose law is far from normal.
    gaps : array of int
        Columns of which training has seen missing values. A network reads 0 for a missing value,
        the centre of all others, and a flag beside it.
    """

    scale: FloatArray
    scores: Scores
    gaps: IntArray

    @classmethod
    def fit(cls, table: FloatArray, *, scores: bool, alike: float | FloatArray = ALIKE) -> Columns:
        """Learn it from (rows, columns), without normal scores if none are wanted.

        `alike` is that of `Scores.fit`.
        """
        found = Scores.fit(thinned(table), alike) if scores else Scores.fit(table[:, :0])
        gaps = np.flatnonzero(np.isnan(table).any(axis=0))
        return cls(location_scale(table), found, gaps)

    def __call__(self, table: FloatArray) -> npt.NDArray[np.float32]:
        """Give columns, normal scores and flags side by side, shape (rows, ...)."""
        read = np.hstack([squash(table, self.scale), self.scores(table)])
        flags = np.isnan(table[:, self.gaps]).astype(np.float32)
        return np.hstack([np.nan_to_num(read, copy=False, nan=0.0), flags])

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return {"scale": self.scale, "gaps": self.gaps} | prefixed(SCORES, vars(self.scores))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Columns:
        """Read back what `to_arrays` gave."""
        return cls(arrays["scale"], Scores(**named(SCORES, arrays)), arrays["gaps"])


def prefixed(prefix: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Put a prefix before the name of each array."""
    return {prefix + name: array for name, array in arrays.items()}


def named(prefix: str, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
    """Find the arrays whose names begin with a prefix, and take it away."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
