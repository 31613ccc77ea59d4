"""What a regression in closed form reads: never blurred, and more than networks could use.

A network that reads a hundred components of noise learns them by heart. A ridge regression does not
mind, and finds in them how large the noise is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.observation import set_moments
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.columns import Columns
from sbi_inn.summary_networks.whitening import Whitened
from sbi_inn.typing import AnyArray, FloatArray, IntArray


@dataclass(frozen=True)
class Exact:
    """Observables of fixed shape and statistics of sets: scaled, as normal scores, and whitened.

    Attributes
    ----------
    read : array of int
        Which features of `Observations.vector` are among them.
    columns : Columns
    whitened : Whitened
    """

    read: IntArray
    columns: Columns
    whitened: Whitened

    @classmethod
    def fit(cls, observations: Observations, read: IntArray) -> Exact:
        """Learn it from a batch of observations."""
        table = _table(observations, read)
        return cls(read, Columns.fit(table, scores=True), Whitened.fit(table))

    @property
    def width(self) -> int:
        """How many features it gives."""
        whitened, columns = self.whitened, self.columns
        parts = (whitened.components, whitened.scores.columns[None], whitened.sizes)
        own = (columns.scale, columns.scores.columns[None], columns.gaps[None])
        return sum(part.shape[1] for part in (*own, *parts))

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give the features, shape (batch, ...)."""
        table = _table(observations, self.read)
        return np.hstack([self.columns(table), self.whitened(table)]).astype(np.float32)


def _table(observations: Observations, read: IntArray) -> FloatArray:
    parts = [observations.vector[:, read]]
    for name, entries in observations.sets.items():
        parts += [set_moments.describe(entries), set_moments.shape(entries)]
        parts += [set_moments.together(entries), entries.sizes[:, None].astype(float)]
        if name in observations.series:
            parts.append(set_moments.order(entries))
    return np.concatenate(parts, axis=1)
