"""How series and curves go on from entry to entry, within what training has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sbi_inn.observation import roughness
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.recurrences import WIDTH, recurrences
from sbi_inn.typing import BoolArray, FloatArray, IntArray

# Numbers that `recurrences` gives of a column.
EACH = 2 * WIDTH
# Share of the entries of a column that may be negative, for its noise to be looked at by its level.
NEGATIVE = 0.01


@dataclass(frozen=True)
class Recurring:
    """Recurrences of series and curves, and how rough they are for their level, bounded.

    A curve without any noise, as a model gives it, follows from its own past to the last digit: the
    log of what is left is far from all that training has seen. It is read as the least of these.

    Attributes
    ----------
    series : tuple of str
    curves : mapping of str to array of int, shape (length, columns)
        Places of the curves in `Observations.vector`.
    limits : array, shape (2, k)
        The least and the largest of each number.
    levels : mapping of str to array of bool, shape (columns,)
        Which columns of a series, or of curves, have a level: they are hardly ever negative. None
        in older files.
    """

    series: tuple[str, ...]
    curves: Mapping[str, IntArray]
    limits: FloatArray
    levels: Mapping[str, BoolArray] = field(default_factory=dict)

    @classmethod
    def fit(
        cls, observations: Observations, series: tuple[str, ...], curves: Mapping[str, IntArray]
    ) -> tuple[Recurring | None, FloatArray]:
        """Learn limits from training rows; None where there is nothing to read.

        Beside it stands what it gives of these rows, which lie within their own limits.
        """
        levels = {
            name: _have_level(entries)
            for name, entries in _each(observations, series, curves).items()
        }
        found = _told(observations, series, curves, levels)
        if not found.shape[1]:
            return None, found
        limits = np.stack([found.min(axis=0), found.max(axis=0)])
        return cls(series, curves, limits, levels), found

    def __call__(self, observations: Observations) -> FloatArray:
        """Give them, those of curves last, (batch, k)."""
        found = _told(observations, self.series, self.curves, self.levels)
        return np.clip(found, *self.limits)

    @property
    def of_curves(self) -> int:
        """How many numbers, the last ones, are about curves."""
        levels = sum(int(self.levels[name].sum()) for name in self.curves if name in self.levels)
        columns = sum(places.shape[1] for places in self.curves.values())
        return EACH * columns + roughness.EACH * levels


def _told(
    observations: Observations,
    series: tuple[str, ...],
    curves: Mapping[str, IntArray],
    levels: Mapping[str, BoolArray],
) -> FloatArray:
    parts = [np.empty((len(observations), 0))]
    for name, entries in _each(observations, series, curves).items():
        parts.append(recurrences(entries))
        if name in levels:
            of_level = PaddedSet(entries.values[:, :, levels[name]], entries.sizes)
            parts.append(roughness.roughness(of_level))
    return np.hstack(parts)


def _each(
    observations: Observations, series: tuple[str, ...], curves: Mapping[str, IntArray]
) -> dict[str, PaddedSet]:
    """Give the entries of series, then of curves."""
    found = {name: observations.sets[name] for name in series}
    for name, places in curves.items():
        entries = observations.vector[:, places]
        found[name] = PaddedSet(entries, np.full(len(entries), len(places)))
    return found


def _have_level(entries: PaddedSet) -> BoolArray:
    """Say which columns are hardly ever negative, and not always zero."""
    there = entries.mask[:, :, None] & ~np.isnan(entries.values)
    values = np.where(there, entries.values, 0.0)
    negative = (values < 0).sum(axis=(0, 1)) <= NEGATIVE * there.sum(axis=(0, 1))
    return np.asarray(negative & (values > 0).any(axis=(0, 1)))
