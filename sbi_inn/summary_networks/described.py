"""Sets and series as statistics that hold what averages of learned features lose."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from sbi_inn.observation import set_moments
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.typing import FloatArray, IntArray

# Entries of a set from which on the quantiles of its columns tell their law.
LARGE = 50
# From so many columns on, regressions on all others take so many entries for each column.
MANY_COLUMNS, ENTRIES_A_COLUMN = 10, 5


def described_sets(
    observations: Observations,
    profiled: Iterable[str] = (),
    moving: Iterable[str] = (),
    crowded: Iterable[str] = (),
) -> tuple[FloatArray, IntArray]:
    """Give moments, quantiles, regressions of columns on each other, and order, (batch, k).

    Of the sets that are `profiled`, place, width and shape of the law of each column, too; of the
    series that are `moving`, how much they change; of those that are `crowded`, correlations of
    columns in place of regressions. The second array says which columns are log sizes.
    """
    parts, sizes, width = [np.empty((len(observations), 0))], [], 0
    for name, entries in observations.sets.items():
        told = [set_moments.describe(entries), set_moments.shape(entries)]
        pairs = set_moments.correlations if name in crowded else set_moments.together
        told.append(pairs(entries))
        sizes.append(width + sum(part.shape[1] for part in told))
        told.append(np.log1p(entries.sizes)[:, None])
        if name in observations.series:
            told.append(set_moments.order(entries))
        if name in moving:
            told.append(set_moments.changes(entries))
        if name in profiled:
            told.append(set_moments.profile(entries))
        parts += told
        width += sum(part.shape[1] for part in told)
    return np.hstack(parts), np.array(sizes, dtype=np.int64)


def described_curves(vector: FloatArray, curves: Iterable[IntArray]) -> FloatArray:
    """Describe curves, at places (length, columns) of a vector, as series are, (batch, k)."""
    parts = [np.empty((len(vector), 0))]
    for places in curves:
        entries = PaddedSet(vector[:, places], np.full(len(vector), len(places)))
        parts += [set_moments.describe(entries), set_moments.shape(entries)]
        parts += [set_moments.order(entries), set_moments.changes(entries)]
        parts.append(set_moments.profile(entries))
    return np.nan_to_num(np.hstack(parts))


def width_of_curves(curves: Collection[IntArray]) -> int:
    """Count the numbers that describe curves."""
    last = max((int(places.max()) for places in curves), default=0)
    return described_curves(np.zeros((1, last + 1)), curves).shape[1]


def large_sets(observations: Observations) -> tuple[str, ...]:
    """Name the sets that never have few entries."""
    sets = observations.sets.items()
    return tuple(name for name, entries in sets if (entries.sizes >= LARGE).all())


def crowded_sets(observations: Observations) -> tuple[str, ...]:
    """Name the sets of many columns that mostly have few entries to regress each on all others."""

    def crowded(entries: PaddedSet) -> bool:
        columns = entries.values.shape[2]
        few = np.median(entries.sizes) < ENTRIES_A_COLUMN * columns
        return bool(columns >= MANY_COLUMNS and few)

    return tuple(name for name, entries in observations.sets.items() if crowded(entries))


def profiled_sets(observations: Observations, names: Iterable[str]) -> FloatArray:
    """Give all that tells the law of a column: its place, its width and its shape, (batch, k)."""
    parts = []
    for name in names:
        entries = observations.sets[name]
        parts += [set_moments.describe(entries), set_moments.shape(entries)]
        parts += [set_moments.profile(entries), np.log1p(entries.sizes)[:, None]]
    return np.hstack(parts)
