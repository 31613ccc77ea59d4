"""How a network reads the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sbi_inn.summary_networks.location import location_scale, squash, thinned
from sbi_inn.summary_networks.scores import Scores
from sbi_inn.typing import AnyArray, FloatArray, IntArray


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
    def fit(cls, table: FloatArray, *, scores: bool) -> Columns:
        """Learn it from (rows, columns), without normal scores if none are wanted."""
        chosen = thinned(table) if scores else table[:, :0]
        gaps = np.flatnonzero(np.isnan(table).any(axis=0))
        return cls(location_scale(table), Scores.fit(chosen), gaps)

    def __call__(self, table: FloatArray) -> npt.NDArray[np.float32]:
        """Give columns, normal scores and flags side by side, shape (rows, ...)."""
        read = np.hstack([squash(table, self.scale), self.scores(table)])
        flags = np.isnan(table[:, self.gaps]).astype(np.float32)
        return np.hstack([np.nan_to_num(read, copy=False, nan=0.0), flags])
