"""Check that re-simulations at one observation look like it, statistic by statistic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.record import Finding, Limits, Record, corrected
from sbi_inn.checks.resimulation import AGAIN_AT_Y, EXPLAIN
from sbi_inn.checks.subject import Here
from sbi_inn.diagnostics.tails import two_tailed
from sbi_inn.observation.statistics import described, described_names, spread
from sbi_inn.plots.predictive import plot_predictive
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

# From the median re-simulation, in spreads of the statistic over the simulations. It keeps a
# deterministic simulator, whose re-simulations miss by a hair, from being flagged.
DISTANCE = Limits("distance, in spreads", caution=0.1, distrust=0.5)

# Exact posteriors fall below it less often: their draws have seen y. Ranks among few re-simulations
# do not go further down.
RARE = 0.01
FEWEST = 20  # re-simulations of a statistic that have to be there, to compare the observation with


@dataclass(frozen=True, repr=False)
class Predictive(Record):
    """Posterior predictive p-values, one for each statistic of the observation.

    Of a set they include what a mean and a standard deviation cannot absorb: skewness, kurtosis
    and extremes. With an exact posterior they are a little larger than uniform ones.

    Attributes
    ----------
    again : array, shape (draws, k)
        Statistics of the re-simulations, without those that failed; NaN where one is missing.
    observed : array, shape (k,)
    scale : array, shape (k,)
        Spread of each statistic over the simulations.
    names : tuple of str

    References
    ----------
    Gelman, Meng and Stern (1996), Statistica Sinica 6, 733.
    """

    again: FloatArray
    observed: FloatArray
    scale: FloatArray
    names: tuple[str, ...]

    remedy = EXPLAIN

    @cached_property
    def p_values(self) -> FloatArray:
        """Two-tailed, not corrected, shape (k,)."""
        pairs = zip(self.observed, self.again.T, strict=True)
        return np.array([two_tailed(np.array([seen]), _there(made))[0] for seen, made in pairs])

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One for each statistic."""
        return tuple(map(self._finding, range(len(self.names))))

    @cached_property
    def worst(self) -> Finding:
        """The finding that decides: of statistics that are not rare, the rarest.

        Of one whose re-simulations scatter widely, even a large distance is no news.
        """
        return max(self.findings, key=lambda f: (f.level, f.share if f.level else -f.p_value))

    @property
    def measure(self) -> str:
        """What `value` is: the distance decides only where the p-value is small enough."""
        return super().measure if self.worst.level else "p-value"

    @property
    def value(self) -> float:
        """The distance of a statistic that is objected to; else the smallest p-value."""
        return super().value if self.worst.level else self.p_value

    @property
    def error(self) -> float:
        """How far chance alone takes the distance."""
        return super().error if self.worst.level else 0.0

    @property
    def threshold(self) -> float:
        """Distance above which, or p-value below which, there is a reason for caution."""
        return super().threshold if self.worst.level else RARE

    @property
    def well(self) -> str:
        """What to say where all is well."""
        n = len(self.names)
        what = f"all {n} statistics" if n > 1 else self.names[0]
        return f"re-simulated draws look like the observation in {what}"

    @property
    def table(self) -> pd.DataFrame:
        """One row a statistic: observed, median and 95 % interval of the re-simulations, p."""
        low, median, high = np.nanquantile(self.again, [0.025, 0.5, 0.975], axis=0)
        return pd.DataFrame(
            {
                "observed": self.observed,
                "median": median,
                "low95": low,
                "high95": high,
                "p_value": self.p_values,
            },
            index=pd.Index(self.names, name="statistic"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Observed statistics against those of the re-simulations."""
        return plot_predictive(
            self.again, self.observed, self.names, self.p_values, width_mm=width_mm, fig=fig
        )

    def _finding(self, i: int) -> Finding:
        made, seen, name = _there(self.again[:, i]), float(self.observed[i]), self.names[i]
        low, median, high = np.quantile(made, [0.025, 0.5, 0.975])
        words = (
            f"{name} is {seen:.3g}, where 95 % of re-simulated draws give {low:.3g} to {high:.3g}: "
            "the simulator, fitted as well as it can be, does not look like this observation"
        )
        effect = float(abs(seen - median) / self.scale[i])
        error = float(made.std() / np.sqrt(len(made)) / self.scale[i])
        p_value = corrected(self.p_values[i], len(self.names))
        return Finding(effect, error, DISTANCE, p_value, words, RARE)


def _there(column: FloatArray) -> FloatArray:
    return column[~np.isnan(column)]


def check_predictive(here: Here) -> Predictive | str:
    """Compare the statistics of an observation with those of its re-simulated draws."""
    subject, again = here.subject, here.again
    schema = subject.sampler.schema
    good = np.isfinite(again).any(axis=1)
    observed = described(here.observation, schema)[0]
    if np.isnan(observed).all():
        return "all values of the observation are missing"
    shown = np.isfinite(observed) & (np.isfinite(again).sum(axis=0) >= FEWEST)
    if not shown.any():
        return f"{good.sum()} of {len(again)} re-simulations succeeded"
    return Predictive(
        again[good][:, shown],
        observed[shown],
        spread(described(subject.tests.observations, schema))[shown],
        tuple(np.array(described_names(schema))[shown].tolist()),
    )


PREDICTIVE = CheckKind(
    name="posterior predictive",
    question="Does your observation look like data simulated from its own posterior?",
    explanation="It is compared feature by feature.",
    run=check_predictive,
    needs=AGAIN_AT_Y,
    at_observation=True,
)
