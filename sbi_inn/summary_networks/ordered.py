"""Observables of fixed length whose order says something, as numbers that describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.observation import set_moments
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks.columns import Columns, named, prefixed
from sbi_inn.summary_networks.curves import FEWEST, SHORTEST, places_of_curves
from sbi_inn.summary_networks.described import described_curves
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# How the names of their places begin in files.
PLACES = "places:"
# How far from 0 a number that describes a curve is read as, at most, in spreads. Under a vague
# prior almost all curves may have the same shape, and a flat one, which is noise, another. It would
# be so far out that a network errs by what it learned elsewhere. Normal scores still tell it apart.
FARTHEST = 4.0


@dataclass(frozen=True)
class Ordered:
    """What a network is told of curves beside their entries.

    How rough a curve is, or whether large values come together, is the same wherever it happens: of
    many entries a network learns it last. Of short observables it is told how much they change; of
    curves all that describes a series.

    Attributes
    ----------
    curves : mapping of str to array of int, shape (length, columns)
        Their places in `Observations.vector`.
    columns : Columns
        How what describes them is read.
    farthest : float
        Scaled numbers are no further from 0 than this; infinite in old files.
    """

    curves: Mapping[str, IntArray]
    columns: Columns
    farthest: float = FARTHEST

    @classmethod
    def fit(cls, observations: Observations) -> Ordered | None:
        """Look for curves among the training rows; None if there are none."""
        curves = places_of_curves(observations, FEWEST)
        if not curves:
            return None
        return cls(curves, Columns.fit(_told(observations.vector, curves), scores=True))

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Describe the curves, shape (batch, ...)."""
        read = self.columns(_told(observations.vector, self.curves))
        return np.clip(read, -self.farthest, self.farthest)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        places = prefixed(PLACES, self.curves)
        return self.columns.to_arrays() | places | {"farthest": np.array(self.farthest)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Ordered:
        """Read back what `to_arrays` gave; older files bound nothing."""
        farthest = float(arrays.get("farthest", np.inf))
        return cls(named(PLACES, arrays), Columns.from_arrays(arrays), farthest)


def _told(vector: FloatArray, curves: Mapping[str, IntArray]) -> FloatArray:
    long = [places for places in curves.values() if len(places) >= SHORTEST]
    parts = [described_curves(vector, long)]
    for places in curves.values():
        if len(places) < SHORTEST:
            entries = PaddedSet(vector[:, places], np.full(len(vector), len(places)))
            parts.append(set_moments.in_pieces(entries, set_moments.changes))
    return np.nan_to_num(np.hstack(parts))
