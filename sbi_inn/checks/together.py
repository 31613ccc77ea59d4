"""Test whether many observations come from the simulator: the MMD test of Schmitt et al."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.goodness import LEARNED, OBSERVED
from sbi_inn.checks.record import Finding, Limits, Record, Sampler, corrected
from sbi_inn.checks.resimulation import EXPLAIN
from sbi_inn.diagnostics.mmd_test import MMDTest, mmd_test
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import described_with_givens, filled, spread
from sbi_inn.plots.novelty import plot_novelty
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

# Relative to what as many simulations stay below in 99 % of cases.
BEYOND_USUAL = Limits("discrepancy", caution=1.0, distrust=3.0)

# Sets drawn for each null distribution: of 500, no p-value of two looks could pass its limit.
REPETITIONS = 1_500


@dataclass(frozen=True, repr=False)
class Together(Record):
    """Maximum mean discrepancy between many observations and the simulations.

    Attributes
    ----------
    tests : dict of str to MMDTest
        One test of the scaled statistics, and one of the learned summaries.
    n : int
        Number of observations.

    References
    ----------
    Schmitt et al. (2021), arXiv:2112.08866.
    """

    tests: dict[str, MMDTest]
    n: int

    remedy = EXPLAIN

    @property
    def p_value(self) -> float:
        """Of both tests together, corrected for two looks."""
        return corrected(self.tests[self.strangest].p_value, len(self.tests))

    @property
    def strangest(self) -> str:
        """Which of the two is further from the simulations."""
        return min(self.tests, key=lambda name: self.tests[name].p_value)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The discrepancy beside that of as many simulations."""
        test = self.tests[self.strangest]
        usual, far = (float(q) for q in np.quantile(test.null, [0.5, 0.99]))
        are = f"are unlike {self.n:,} simulated ones" if self.n > 1 else "is unlike a simulated one"
        words = (
            f"{self._these} {are}: discrepancy {test.value:.2g}, where simulations show "
            f"{usual:.2g} (p = {self.p_value:.2g})"
        )
        limits = BEYOND_USUAL.scaled(far)
        return (Finding(test.value, float(test.null.std()), limits, self.p_value, words),)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        look = "look like simulated ones" if self.n > 1 else "looks like a simulated one"
        return f"{self._these} {look} (p = {self.p_value:.2g})"

    @property
    def table(self) -> pd.DataFrame:
        """One row a test: the discrepancy, that of simulations, the p-value."""
        return pd.DataFrame(
            {
                "discrepancy": [test.value for test in self.tests.values()],
                "usual": [float(np.median(test.null)) for test in self.tests.values()],
                "p_value": [test.p_value for test in self.tests.values()],
            },
            index=pd.Index(list(self.tests), name="of"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the discrepancy among those of as many simulations."""
        test = self.tests[self.strangest]
        return plot_novelty(
            test.null,
            np.array([test.value]),
            np.array([test.p_value]),
            label="maximum mean discrepancy from the simulations",
            usual_name=f"sets of {self.n:,} simulations",
            here_name=f"these {self.n:,} observations",
            two_tailed=False,
            width_mm=width_mm,
            fig=fig,
        )

    @property
    def _these(self) -> str:
        return f"the {self.n:,} observations together" if self.n > 1 else "the one observation"


def look_together(
    sampler: Sampler, held_out: Observations, observations: Observations, rng: np.random.Generator
) -> Together:
    """Compare many observations with held-out simulations."""
    pairs = {
        OBSERVED: tuple(
            described_with_givens(seen, sampler.schema) for seen in (held_out, observations)
        )
    }
    features = sampler.features(held_out)
    if features.shape[1]:
        pairs[LEARNED] = (features, sampler.features(observations))
    tests = {name: _test(usual, rows, rng) for name, (usual, rows) in pairs.items()}
    return Together(tests, len(observations))


def _test(usual: FloatArray, rows: FloatArray, rng: np.random.Generator) -> MMDTest:
    scale = spread(usual)
    usual, rows = filled(usual, usual) / scale, filled(rows, usual) / scale
    return mmd_test(usual, rows, rng=rng, repetitions=REPETITIONS)
