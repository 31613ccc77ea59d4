"""Hundreds of choices, as a likelihood reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# Share of simulations that each of the two values of a choice has, at least: a few rows have to
# show both.
RARE = 0.005


@dataclass(frozen=True)
class Choices:
    """Columns of two values each, as 0 and 1.

    Attributes
    ----------
    columns : array of int, shape (k,)
        Where they are in `Observations.vector`.
    limits : array, shape (k,)
        Between no and yes.

    Examples
    --------
    >>> from sbi_inn.observation.batch import Observations
    >>> votes = np.array([[1.0, 2.0, 0.3], [0.0, 2.0, 0.1], [1.0, 4.0, 0.2]])
    >>> Choices.fit(Observations(votes, {}), np.arange(3)) is None
    True
    >>> Choices.fit(Observations(votes, {}), np.arange(2))(Observations(votes, {}))
    array([[1., 0.],
           [0., 0.],
           [1., 1.]], dtype=float32)
    """

    columns: IntArray
    limits: FloatArray

    @classmethod
    def fit(cls, observations: Observations, read: IntArray) -> Choices | None:
        """Take those of fixed shape that are `read`, but for givens; None if any is no choice.

        Without those that are always or nearly always the same.
        """
        columns = read[read < observations.vector.shape[1] - observations.givens]
        table = observations.vector[:, columns]
        low, high = table.min(axis=0), table.max(axis=0)
        yes = (table == high).mean(axis=0)
        varies = (yes >= RARE) & (yes <= 1 - RARE)
        if not varies.any() or not ((table == low) | (table == high)).all():
            return None  # what is missing equals nothing
        return cls(columns[varies], 0.5 * (low + high)[varies])

    @property
    def width(self) -> int:
        """How many there are."""
        return len(self.columns)

    @property
    def n_columns(self) -> int:
        """They are no entries of a set."""
        return 0

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give 1 for yes and 0 for no, shape (batch, k)."""
        return (observations.vector[:, self.columns] > self.limits).astype(np.float32)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return vars(self).copy()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Choices:
        """Read back what `to_arrays` gave."""
        return cls(**arrays)
