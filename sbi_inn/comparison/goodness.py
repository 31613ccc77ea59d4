"""Whether any of the models could have made an observation: "none of them"."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.goodness import GoodnessOfFit
from sbi_inn.checks.record import Finding, Limits, Record
from sbi_inn.comparison.core import Core
from sbi_inn.comparison.gathering import NONE
from sbi_inn.comparison.likelihoods import (
    DECIDING,
    DISTANCE,
    TESTS,
    TOTAL,
    TWO_TAILED,
    Plain,
)
from sbi_inn.plots.novelty import plot_novelty
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.tables import index_of
from sbi_inn.typing import FloatArray

# As for posteriors: one in a hundred is odd, for one in a thousand something else made it.
STRANGE = Limits("-log10 of the p-value", caution=2.0, distrust=3.0)
LEVEL = 0.01
"""P-value below which "none of them" is said."""


@dataclass(frozen=True, repr=False)
class NoneOfThem(Record):
    """How strange an observation is to all models (sec. 5.4.3).

    Attributes
    ----------
    p_value_together : float
        P-value of the deciding tests together.
    tests : DataFrame
        P-values: rows the likelihoods (eqs. 5.31 to 5.34), WAIC and the distance; columns the
        tests.
    each : Series
        P-value under each model, among its own simulations.
    distance : GoodnessOfFit
        The test by distance to simulations, without likelihoods, and which statistic sticks out.
    score : float
        Log-likelihood of the observation; `usual` has those of simulations.
    """

    p_value_together: float
    tests: pd.DataFrame
    each: pd.Series[float]
    distance: GoodnessOfFit
    score: float
    usual: FloatArray

    @property
    def none_of_them(self) -> bool:
        """Whether "none of them" is said: p < .01."""
        return self.p_value_together < LEVEL

    @property
    def p_value(self) -> float:
        """Which share of the simulations of all models is as strange."""
        return self.p_value_together

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The p-value, whose limits are those of `STRANGE`."""
        effect = -np.log10(self.p_value_together)
        words = (
            f"{NONE}: of 1,000 simulations of all models {1000 * self.p_value_together:.2g} are as "
            f"strange as this observation ({self._by})"
        )
        return (Finding(float(effect), 0.0, STRANGE, self.p_value_together, words, LEVEL),)

    @property
    def _by(self) -> str:
        weighed = {
            test: float(self.tests.loc[test]) / weight  # pyright: ignore[reportArgumentType]
            for test, weight in DECIDING.items()
        }
        name, _ = min(weighed, key=lambda test: weighed[test])
        if name == DISTANCE:
            return f"{self.distance.sticks_out} sticks out most"
        return f"by its {name}" if name != TOTAL else self._side

    @property
    def _side(self) -> str:
        low = self.score < np.median(self.usual)
        return f"its likelihood is too {'low' if low else 'high to be typical'}"

    @property
    def measure(self) -> str:
        """What `value` is."""
        return "p-value"

    @property
    def value(self) -> float:
        """The p-value."""
        return self.p_value_together

    @property
    def threshold(self) -> float:
        """Below this, caution."""
        return LEVEL

    @property
    def well(self) -> str:
        """What to say where all is well."""
        share = 100 * self.p_value_together
        return f"the observation looks like a simulated one ({share:.0f} % are as strange)"

    @property
    def table(self) -> pd.DataFrame:
        """P-values: one row a likelihood or distance, one column a test."""
        return pd.DataFrame(self.tests.unstack("test"))[list(TESTS)]

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the likelihood among those of simulations."""
        p_value = self.tests.loc[(TOTAL, TWO_TAILED)]
        return plot_novelty(
            self.usual,
            np.array([self.score]),
            np.array([p_value]),
            label="log-likelihood under all models together",
            usual_name="simulations",
            width_mm=width_mm,
            fig=fig,
        )


def goodness_of_fit(core: Core, y: Any) -> NoneOfThem:
    """Test whether any of the models could have produced an observation.

    Parameters
    ----------
    y : one observation

    Returns
    -------
    NoneOfThem
        `.none_of_them`, `.p_value`, `.each`, `.sentence`, `.table`, `.plot()`.
    """
    observations, strange = core.schema.read(y), core.strangeness
    scored = strange.scored(observations)
    p_values = {test: float(p[0]) for test, p in scored.p_values(strange.usual).items()}
    index = pd.MultiIndex.from_tuples(list(p_values), names=["score", "test"])
    familiar = strange.familiar.compare(Plain(core.schema), observations)  # pyright: ignore[reportArgumentType]
    names = pd.Index(core.names, name="model")
    return NoneOfThem(
        float(strange.p_value(scored)[0]),
        pd.Series(list(p_values.values()), index=index, name="p_value"),  # pyright: ignore[reportArgumentType]
        pd.Series(strange.p_values_each(scored)[0], index=names, name="p_value"),
        familiar[0],
        float(scored.scores[TOTAL][0]),
        strange.usual.scores[TOTAL],
    )


def goodness_of_fit_each(
    core: Core, ys: Any, *, false_discovery_rate: float = 0.05
) -> pd.DataFrame:
    """Test for each of many observations whether any of the models could have produced it.

    Parameters
    ----------
    ys : many observations
    false_discovery_rate : float
        Expected share of false alarms among the flagged observations.

    Returns
    -------
    DataFrame
        One row per observation: `p_value` of all tests together; `none_of_them`, whether it is
        below .01; `flagged`, which controls the false-discovery rate; then the p-value of each
        test, such as `"likelihood, two-tailed"`.

    Raises
    ------
    ValueError
        If the rate is not between 0 and 1.
    """
    if not 0 < false_discovery_rate < 1:
        raise ValueError(f"expected a rate between 0 and 1; got {false_discovery_rate}")
    strange = core.strangeness
    scored = strange.scored(core.schema.read_many(ys))
    p_value = strange.p_value(scored)
    tests = scored.p_values(strange.usual)
    columns = {
        "p_value": p_value,
        "none_of_them": p_value < LEVEL,
        "flagged": stats.false_discovery_control(p_value) <= false_discovery_rate,
        **{f"{name}, {test}": p for (name, test), p in tests.items()},
    }
    return pd.DataFrame(columns, index=index_of(ys, len(p_value)))
