"""Sets and series as statistics that hold what averages of learned features lose."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sbi_inn.observation import set_moments
from sbi_inn.observation.batch import Observations
from sbi_inn.typing import FloatArray


def described_sets(observations: Observations) -> FloatArray:
    """Give moments, quantiles, regressions of columns on each other, and order, (batch, k)."""
    parts = [np.empty((len(observations), 0))]
    for name, entries in observations.sets.items():
        parts += [set_moments.describe(entries), set_moments.shape(entries)]
        parts += [set_moments.together(entries), np.log1p(entries.sizes)[:, None]]
        if name in observations.series:
            parts.append(set_moments.order(entries))
    return np.hstack(parts)


def profiled_sets(observations: Observations, names: Iterable[str]) -> FloatArray:
    """Give all that tells the law of a column: its place, its width and its shape, (batch, k)."""
    parts = []
    for name in names:
        entries = observations.sets[name]
        parts += [set_moments.describe(entries), set_moments.shape(entries)]
        parts += [set_moments.profile(entries), np.log1p(entries.sizes)[:, None]]
    return np.hstack(parts)
