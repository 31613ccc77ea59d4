"""Check joint coverage: by regions of highest density, and by TARP."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.calibration import WIDTH
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import percent, wrong_width
from sbi_inn.checks.record import Finding, Limits, Record, Sight, corrected, deviation
from sbi_inn.checks.subject import Subject
from sbi_inn.diagnostics.calibration import LEVELS
from sbi_inn.diagnostics.uniformity import simultaneous_band, uniformity_p_value
from sbi_inn.plots.ranks import plot_ranks
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

HIGHEST = "highest density"
TARP = "TARP"
# Fractions, as of one parameter's calibration error: which way TARP's coverage is off says nothing.
DISTANCE = Limits("distance from nominal", caution=0.02, distrust=0.05)
_EDGE = 1e-4  # level, nearest to 0 and 1, that stands for a finite radius


@dataclass(frozen=True, repr=False)
class JointCoverage(Record):
    """How often regions of all parameters together hold the truth.

    Attributes
    ----------
    levels : dict of str to array, shape (n,)
        The smallest region that holds the truth, as a probability: "highest density" (where there
        is a density) and "TARP". The first may be of fewer test simulations.
    dim : int
        Number of parameters.

    References
    ----------
    Lemos et al. (2023), arXiv:2302.03026 (TARP), with references drawn from the prior.
    """

    levels: dict[str, FloatArray]
    dim: int

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One for each kind of region."""
        return tuple(
            (self._highest if name == HIGHEST else self._tarp)(
                self.levels[name], corrected(p_value, len(self.levels))
            )
            for name, p_value in self.p_values.items()
        )

    @cached_property
    def p_values(self) -> dict[str, float]:
        """How often an exact posterior shows as much, for each kind of region, not corrected."""
        return {name: float(uniformity_p_value(v[:, None])[0]) for name, v in self.levels.items()}

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest effects that would have been seen; other checks tell the same earlier."""
        looks = deviation(len(self.levels))
        sizes = {found.limits: looks * found.error for found in self.findings}
        n = min(map(len, self.levels.values()))
        return tuple(Sight("", size, limits, n, decides=False) for limits, size in sizes.items())

    @property
    def well(self) -> str:
        """What to say where all is well."""
        of = f" of all {self.dim} parameters together" if self.dim > 1 else ""
        return f"regions{of} hold the truth as often as they say"

    @property
    def table(self) -> pd.DataFrame:
        """One row a kind of region: how often those of two levels hold the truth, p-value."""
        return pd.DataFrame.from_dict(
            {
                name: {
                    "simulations": len(levels),
                    "held68": float((levels <= 0.68).mean()),
                    "held95": float((levels <= 0.95).mean()),
                    "p_value": self.p_values[name],
                }
                for name, levels in self.levels.items()
            },
            orient="index",
        ).rename_axis("regions")

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Coverage of the regions, with the simultaneous band of an exact posterior."""
        n = min(map(len, self.levels.values()))
        return plot_ranks(
            np.column_stack([levels[:n] for levels in self.levels.values()]),
            list(self.levels),
            band=simultaneous_band(n),
            quantity="level of the region",
            excess="coverage − level",
            above="too wide",
            below="too narrow",
            width_mm=width_mm,
            fig=fig,
        )

    def _highest(self, levels: FloatArray, p_value: float) -> Finding:
        """Say how much too wide each parameter would have to be to explain the coverage."""
        squares = stats.chi2(self.dim).ppf(np.clip(levels, _EDGE, 1 - _EDGE)) / self.dim
        width = float(1 / np.sqrt(squares.mean()))
        error = float(0.5 * squares.std() / np.sqrt(len(levels)) / squares.mean())
        held = float((levels <= 0.68).mean())
        words = (
            f"68 % regions of highest density hold {self._all} in "
            f"{percent(held)} of cases, as if each posterior were {wrong_width(width)}"
        )
        return Finding(abs(float(np.log(width))), error, WIDTH, p_value, words)

    def _tarp(self, levels: FloatArray, p_value: float) -> Finding:
        """Take the median distance of TARP's coverage from nominal."""
        held = np.searchsorted(np.sort(levels), LEVELS, side="right") / len(levels)
        off = float(np.median(np.abs(held - LEVELS)))
        error = float(0.5 / np.sqrt(len(levels)))
        words = (
            f"balls around random points hold {self._all} {percent(off, 1)} more or less "
            "often than they say"
        )
        return Finding(off, error, DISTANCE, p_value, words)

    @property
    def _all(self) -> str:
        return "all parameters together" if self.dim > 1 else "the parameter"


def check_joint_coverage(subject: Subject) -> JointCoverage:
    """Look at regions of all parameters together over the test simulations."""
    found = subject.survey()
    levels = {HIGHEST: found.density, TARP: found.tarp}
    some = {name: values for name, values in levels.items() if len(values)}
    return JointCoverage(some, subject.sampler.prior.dim)


JOINT_COVERAGE = CheckKind(
    name="joint coverage",
    question="Do regions of all parameters together hold the truth as often as they say?",
    explanation="Each parameter alone may be right, and all of them together still be wrong.",
    run=check_joint_coverage,
)
