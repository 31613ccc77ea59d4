"""Sets and series as statistics that hold what averages of learned features lose."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from sbi_inn.observation import set_moments
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.set_moments import in_pieces
from sbi_inn.typing import FloatArray, IntArray

# Entries of a set from which on the quantiles of its columns tell their law.
LARGE = 50
# What describes a curve.
OF_CURVES = (
    set_moments.describe,
    set_moments.shape,
    set_moments.order,
    set_moments.changes,
    set_moments.profile,
)
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
        pairs = set_moments.correlations if name in crowded else set_moments.together
        told = [in_pieces(entries, set_moments.describe, set_moments.shape, pairs)]
        sizes.append(width + told[0].shape[1])
        told.append(np.log1p(entries.sizes)[:, None])
        further = [set_moments.order] if name in observations.series else []
        further += [set_moments.changes] if name in moving else []
        further += [set_moments.profile] if name in profiled else []
        told += [in_pieces(entries, *further)] if further else []
        parts += told
        width += sum(part.shape[1] for part in told)
    return np.hstack(parts), np.array(sizes, dtype=np.int64)


def described_curves(vector: FloatArray, curves: Iterable[IntArray]) -> FloatArray:
    """Describe curves, at places (length, columns) of a vector, as series are, (batch, k)."""
    parts = [np.empty((len(vector), 0))]
    for places in curves:
        entries = PaddedSet(vector[:, places], np.full(len(vector), len(places)))
        parts.append(in_pieces(entries, *OF_CURVES))
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
        told = (set_moments.describe, set_moments.shape, set_moments.profile)
        parts += [in_pieces(entries, *told), np.log1p(entries.sizes)[:, None]]
    return np.hstack(parts)
