"""What entries of series and curves owe to those before them, within what training has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.recurrences import WIDTH, recurrences
from sbi_inn.typing import FloatArray, IntArray

# Numbers that `recurrences` gives of a column.
EACH = 2 * WIDTH


@dataclass(frozen=True)
class Recurring:
    """Recurrences of series and curves, bounded.

    A curve without any noise, as a model gives it, follows from its own past to the last digit: the
    log of what is left is far from all that training has seen. It is read as the least of these.

    Attributes
    ----------
    series : tuple of str
    curves : mapping of str to array of int, shape (length, columns)
        Places of the curves in `Observations.vector`.
    limits : array, shape (2, k)
        The least and the largest of each number.
    """

    series: tuple[str, ...]
    curves: Mapping[str, IntArray]
    limits: FloatArray

    @classmethod
    def fit(
        cls, observations: Observations, series: tuple[str, ...], curves: Mapping[str, IntArray]
    ) -> tuple[Recurring | None, FloatArray]:
        """Learn limits from training rows; None where there is nothing to read.

        Beside it stands what it gives of these rows, which lie within their own limits.
        """
        found = _told(observations, series, curves)
        if not found.shape[1]:
            return None, found
        return cls(series, curves, np.stack([found.min(axis=0), found.max(axis=0)])), found

    def __call__(self, observations: Observations) -> FloatArray:
        """Give them, those of curves last, (batch, k)."""
        return np.clip(_told(observations, self.series, self.curves), *self.limits)

    @property
    def of_curves(self) -> int:
        """How many numbers, the last ones, are about curves."""
        return EACH * sum(places.shape[1] for places in self.curves.values())


def _told(
    observations: Observations, series: tuple[str, ...], curves: Mapping[str, IntArray]
) -> FloatArray:
    parts = [np.empty((len(observations), 0))]
    parts += [recurrences(observations.sets[name]) for name in series]
    for places in curves.values():
        entries = observations.vector[:, places]
        parts.append(recurrences(PaddedSet(entries, np.full(len(entries), len(places)))))
    return np.hstack(parts)
