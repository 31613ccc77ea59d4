"""The numbers that draws are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.set_moments import profile
from sbi_inn.observation.statistics import SHORT, described
from sbi_inn.posterior.core import Core
from sbi_inn.summary_networks.curves import places_of_curves
from sbi_inn.summary_networks.described import described_curves, width_of_curves
from sbi_inn.typing import BoolArray, FloatArray, IntArray

LOOKED_AT = 2_000
"""Simulations that say which observables are curves."""

NOISE = 0.5
"""Share of the variance of the entries of curves that is noise, above which they tell little."""


@dataclass(frozen=True)
class Reading:
    """Statistics, and of sets and long series the shape of their law.

    Curves are described as series are, too: where their entries are mostly noise, what the noise
    looks like tells more than they do.

    Attributes
    ----------
    schema : Schema
    curves : mapping of str to array of int, shape (length, columns)
        Their places in `Observations.vector`.
    kept : array of bool, or None
        Which of the columns are given; None for all.
    """

    schema: Schema
    curves: Mapping[str, IntArray] = field(default_factory=dict)
    kept: BoolArray | None = None

    @classmethod
    def of(cls, core: Core) -> Reading:
        """Look for curves among the simulations that a posterior has learned from."""
        simulations = core.simulations
        seen = simulations.observations(simulations.ok[:LOOKED_AT])
        return cls(core.schema, {} if seen.grids else places_of_curves(seen))

    def __call__(self, observations: Observations) -> FloatArray:
        """Give them, shape (batch, k)."""
        lengths = self.schema.lengths
        sets = [observations.sets[n] for n in self.schema.sets if lengths.get(n, SHORT + 1) > SHORT]
        parts = [described(observations, self.schema), *(profile(padded) for padded in sets)]
        parts.append(described_curves(observations.vector, self.curves.values()))
        table = np.concatenate(parts, axis=1)
        return table if self.kept is None else table[:, self.kept]

    def judged_by(self, first: FloatArray, second: FloatArray) -> Reading:
        """Decide which to keep, the entries of curves or what describes them.

        By `first` and `second`, all that is read of two simulations at each draw, (n, k).
        """
        if not self.curves:
            return self
        # Where there is no image, observables of fixed shape come first, each at its own place.
        entries = np.concatenate([places.ravel() for places in self.curves.values()])
        noise = np.mean((first - second)[:, entries] ** 2, axis=0) / 2
        spread = np.concatenate([first, second])[:, entries].var(axis=0)
        varies = spread > 0
        kept = np.ones(first.shape[1], bool)
        if np.mean(noise[varies] / spread[varies]) > NOISE:
            kept[entries] = False
        else:
            kept[-width_of_curves(self.curves.values()) :] = False
        return replace(self, kept=kept)
