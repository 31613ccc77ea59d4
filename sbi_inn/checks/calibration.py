"""Whether the posteriors are as wide as they should be: coverage of intervals (sec. 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.record import VERDICTS, FloatArray, Sampler, Verdict
from sbi_inn.diagnostics.calibration import (
    CalibrationError,
    CalibrationFloor,
    calibration_error,
    calibration_floor,
    coverage,
    ranks,
)
from sbi_inn.plots.calibration import plot_calibration

# Effects worth a word: the pooled error beyond what an exact posterior shows by chance, and the
# same of the worst single parameter, which noise alone makes about twice as large.
POOLED = (0.01, 0.03)
WORST = (0.02, 0.05)


@dataclass(frozen=True)
class Calibration:
    """How often central intervals hold the truth.

    Attributes
    ----------
    ranks : array, shape (n, dim)
        Rank of each true parameter among its posterior draws, as a fraction.
    columns : tuple of str
        Names of the parameters.
    """

    ranks: FloatArray
    columns: tuple[str, ...]

    @cached_property
    def found(self) -> CalibrationError:
        """Calibration error, pooled and of each parameter, as fractions."""
        return calibration_error(self.ranks)

    @cached_property
    def floor(self) -> CalibrationFloor:
        """What an exact posterior shows at this many test rows: median and 95th percentile."""
        n, dim = self.ranks.shape
        return calibration_floor(n, dim, (0.5, 0.95), rng=np.random.default_rng(0))

    @property
    def value(self) -> float:
        """The pooled calibration error."""
        return self.found.pooled

    @property
    def error(self) -> float:
        """How far chance alone takes it: the floor's 95th percentile minus its median."""
        return float(self.floor.pooled[1] - self.floor.pooled[0])

    @property
    def threshold(self) -> float:
        """Above this, caution."""
        return float(self.floor.pooled[1] + POOLED[0])

    @property
    def verdict(self) -> Verdict:
        """Judge by the pooled error and by the worst parameter."""
        beyond = self.value - self.floor.pooled[1]
        worst = self.found.per_parameter.max() - self.floor.worst[1]
        level = sum(beyond > p or worst > w for p, w in zip(POOLED, WORST, strict=True))
        return VERDICTS[level]

    @property
    def passed(self) -> bool:
        """Whether the verdict is "trust"."""
        return self.verdict == "trust"

    @property
    def sentence(self) -> str:
        """Say it with the parameter that is furthest off."""
        n = len(self.ranks)
        if self.passed:
            return (
                f"over {n:,} test simulations the intervals hold the truth as often as they say: "
                f"calibration error {self.value:.1%} (an exact posterior shows "
                f"{self.floor.pooled[0]:.1%} by chance)"
            )
        worst = int(self.found.per_parameter.argmax())
        said = f"calibration error {self.value:.1%} over {n:,} test simulations"
        return f"{said}; {_how(self.ranks[:, worst], self.columns[worst])}"

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: calibration error, and how often two intervals hold the truth."""
        held = coverage(self.ranks, [0.68, 0.95])
        return pd.DataFrame(
            {"calibration_error": self.found.per_parameter, "held68": held[0], "held95": held[1]},
            index=pd.Index(self.columns, name="parameter"),
        )

    def plot(self) -> Figure:
        """Coverage and ranks against nominal, with the band of an exact posterior."""
        return plot_calibration(self.ranks, self.columns, floor=self.floor)


def _how(ranks: FloatArray, name: str) -> str:
    """Say how posteriors of one parameter are wrong: what stands out most from its noise."""
    n = len(ranks)
    below, held = float((ranks < 0.5).mean()), float(coverage(ranks[:, None], [0.68])[0, 0])
    half, most = np.sqrt(0.25 / n), np.sqrt(0.68 * 0.32 / n)
    if abs(below - 0.5) / half > abs(held - 0.68) / most:
        return (
            f"the truth lies below the median of {name} in {below:.0%} +- {half:.0%} of cases, not "
            f"in 50 %: posteriors are off to one side, too {'high' if below > 0.5 else 'low'}"
        )
    how = "too narrow" if held < 0.68 else "too wide"
    return (
        f"68 % intervals of {name} hold the truth in {held:.0%} +- {most:.0%} of cases: "
        f"they are {how}"
    )


def calibrate(
    sampler: Sampler, tests: TestSet, *, draws: int, rng: np.random.Generator
) -> Calibration:
    """Rank true parameters among posterior draws.

    Parameters
    ----------
    sampler : Sampler
    tests : TestSet
        Simulations that training has never seen.
    draws : int
        Posterior draws an observation.
    rng : numpy.random.Generator
    """
    # In pieces: the draws of all observations together may not fit in memory.
    piece = max(1, 2_000_000 // (draws * tests.truth.shape[1]))
    parts = []
    for start in range(0, len(tests), piece):
        here = slice(start, start + piece)
        drawn = sampler.draw(tests.observations[here], draws, rng)
        parts.append(ranks(tests.truth[here], drawn, rng))
    return Calibration(np.concatenate(parts), sampler.prior.columns)
