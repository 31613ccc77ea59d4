"""Check that "none of them" is said as rarely as its p-value says, and that features are kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.candidates import Candidates
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import percent
from sbi_inn.checks.record import Finding, Limits, Record, corrected
from sbi_inn.plots.classification import plot_false_alarms, plot_spreads
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

LEVELS = (0.01, 0.05, 0.5)
FALSE_ALARMS = Limits("false alarms less the stated share", caution=0.01, distrust=0.04)
SHRUNK = Limits("|log| of how much learned features have shrunk", caution=0.5, distrust=1.5)


@dataclass(frozen=True, repr=False)
class FalseAlarms(Record):
    """P-values of "none of them" at simulations of the models, where it is always wrong.

    Attributes
    ----------
    p_values : array, shape (n,)
    usual : int
        Simulations among which they are ranks: chance has its share in these too.
    """

    p_values: FloatArray
    usual: int

    @classmethod
    def of(cls, candidates: Candidates) -> FalseAlarms:
        """Take those of the tests."""
        return cls(candidates.p_values, candidates.usual)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One for each level."""
        found = []
        for level, (share, noise) in zip(LEVELS, self.table.to_numpy(), strict=True):
            words = f"{percent(share, 1)} of the simulations have p < {level:g}"
            p = corrected(2 * stats.norm.sf(abs(share - level) / noise), len(LEVELS))
            found.append(Finding(abs(share - level), noise, FALSE_ALARMS, p, words))
        return tuple(found)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return '"none of them" is said of simulations as rarely as its p-value states'

    @property
    def table(self) -> pd.DataFrame:
        """One row a level: the share of simulations below it."""
        shares = [float((self.p_values <= level).mean()) for level in LEVELS]
        either = 1 / len(self.p_values) + 1 / self.usual
        noise = [np.sqrt(level * (1 - level) * either) for level in LEVELS]
        index = pd.Index(LEVELS, name="level")
        return pd.DataFrame({"share_below": shares, "error": noise}, index=index)

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the distribution of the p-values."""
        return plot_false_alarms(self.p_values, width_mm=width_mm, fig=fig)


@dataclass(frozen=True, repr=False)
class FeatureSpread(Record):
    """The spread of what densities are of, at simulations that training has never seen.

    Densities of learned features grow without bound where these shrink. They were standardised, and
    nothing may have changed them since.

    Attributes
    ----------
    spreads : array, shape (k,)
        1 is right.
    """

    spreads: FloatArray

    @classmethod
    def of(cls, candidates: Candidates) -> FeatureSpread | str:
        """Measure it at the tests."""
        if not candidates.features.shape[1]:
            return "densities are those of the observables themselves"
        low, high = np.quantile(candidates.features, [0.1587, 0.8413], axis=0)
        return cls((high - low) / 2)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The typical spread, which is no matter of chance."""
        typical = float(np.median(np.maximum(self.spreads, 1e-9)))
        words = (
            f"the spread of learned features is {typical:.2g} times that in training: their "
            "likelihoods are not those of the observation"
        )
        return (Finding(abs(float(np.log(typical))), 0.0, SHRUNK, 0.0, words),)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return "learned features have the spread of training"

    @property
    def table(self) -> pd.DataFrame:
        """One row a feature."""
        return pd.DataFrame({"spread": self.spreads}).rename_axis("feature")

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the spreads."""
        return plot_spreads(self.spreads, width_mm=width_mm, fig=fig)


FALSE_ALARMS_CHECK = CheckKind(
    name="none of them",
    question='Is "none of them" said of simulations as rarely as it states?',
    explanation="For simulations of the models, p-values are uniform: 5 % are below .05.",
    run=FalseAlarms.of,
)

FEATURES_CHECK = CheckKind(
    name="learned features",
    question="Have the features behind the likelihoods kept their spread?",
    explanation="If features shrink, their likelihoods grow, whatever is observed.",
    run=FeatureSpread.of,
)
