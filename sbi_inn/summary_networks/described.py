"""Sets and series as statistics that hold what averages of learned features lose."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sbi_inn.observation import set_moments
from sbi_inn.observation.batch import Observations
from sbi_inn.typing import FloatArray

# Entries of a typical set from which on its statistics say more than they add of noise.
ENOUGH = 30


def worth_describing(observations: Observations) -> tuple[str, ...]:
    """Name the sets and series that are large enough for their statistics to help a network."""
    sets = observations.sets.items()
    return tuple(name for name, entries in sets if np.median(entries.sizes) >= ENOUGH)


def described_sets(observations: Observations, names: Iterable[str]) -> FloatArray:
    """Give moments, quantiles, regressions of columns on each other, and order, (batch, k)."""
    parts = [np.empty((len(observations), 0))]
    for name in names:
        entries = observations.sets[name]
        parts += [set_moments.describe(entries), set_moments.shape(entries)]
        parts += [set_moments.together(entries), np.log(entries.sizes[:, None] + 1.0)]
        if name in observations.series:
            parts.append(set_moments.order(entries))
    return np.hstack(parts)
