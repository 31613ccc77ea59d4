"""Hundreds of observables as a network reads them: as what parameters change in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.columns import Columns, named, prefixed
from sbi_inn.summary_networks.sufficient import Sufficient
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

# Observables up to which a network reads each as it is: of fewer this may lose something.
MANY = 100
SUFFICIENT, COLUMNS, KNOWN = "sufficient:", "columns:", "known"  # in files


@dataclass(frozen=True)
class Reduced:
    """Projections of hundreds of observables; givens as they are; and how many are missing.

    Of each observable by itself a network would learn mostly its noise, and every step would take
    as much longer.

    Attributes
    ----------
    sufficient : Sufficient
        Of all that are read, but for givens.
    known : array of bool, shape (k,)
        Which of those that are read are givens.
    columns : Columns
        How a network reads what comes of it.
    """

    sufficient: Sufficient
    known: BoolArray
    columns: Columns

    @classmethod
    def fit(
        cls, observations: Observations, read: IntArray, latents: FloatArray | None
    ) -> Reduced | None:
        """Learn it from the features that are `read`; None where they are few, or no latents are.

        Parameters
        ----------
        observations : Observations
        read : array of int, shape (k,)
            Places in `Observations.vector`.
        latents : array, shape (rows, dim), optional
        """
        known = read >= observations.vector.shape[1] - observations.givens
        table = observations.vector[:, read]
        sufficient = Sufficient.of_many(table[:, ~known], latents, MANY)
        if sufficient is None:
            return None
        told = _told(sufficient, known, table)
        return cls(sufficient, known, Columns.fit(told, scores=True))

    def __call__(self, table: FloatArray) -> npt.NDArray[np.float32]:
        """Read the features that are read (rows, k)."""
        return self.columns(_told(self.sufficient, self.known, table))

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        found = prefixed(SUFFICIENT, self.sufficient.to_arrays())
        return found | prefixed(COLUMNS, self.columns.to_arrays()) | {KNOWN: self.known}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Reduced:
        """Read back what `to_arrays` gave."""
        sufficient = Sufficient.from_arrays(named(SUFFICIENT, arrays))
        return cls(sufficient, arrays[KNOWN], Columns.from_arrays(named(COLUMNS, arrays)))


def _told(sufficient: Sufficient, known: BoolArray, table: FloatArray) -> FloatArray:
    missing = np.isnan(table).mean(axis=1, keepdims=True)
    return np.hstack([sufficient(table[:, ~known]), table[:, known], missing])
