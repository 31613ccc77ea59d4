"""Whether posterior draws, simulated again, land on the observation (sec. 4.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.kind import SIMULATOR, CheckKind, Need, time_for
from sbi_inn.checks.phrases import number
from sbi_inn.checks.record import MORE, Finding, Limits, Record
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.checks.survey import affordable
from sbi_inn.diagnostics.tails import tail_p_value
from sbi_inn.observation.statistics import distance, statistics
from sbi_inn.plots.resimulation import plot_errors
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

NOISE = 1.5  # times the simulator's own noise: with an exact posterior it is at most sqrt(2)
# In spreads of the observables, above that noise: a tenth is visible in a plot of the data, and
# after a whole one the draws have learned little of the observation.
BEYOND_NOISE = Limits("distance, in spreads", caution=0.1, distrust=1.0)
# Relative to what 99 % of test observations stay below.
BEYOND_USUAL = Limits("distance, in spreads", caution=1.0, distrust=3.0)
_NEAREST = 1e-9  # spreads: a limit above rounding
_FARTHEST = 1e100  # spreads, whose square is finite

DRAWS = 20  # draws a test observation that are simulated again
FEWER_DRAWS = 5  # the same, where a simulation is costly
FEWEST_TESTS = 20  # test observations that are simulated again
PIECE = 200_000  # draws that are simulated again at once
FEWEST_AT_Y = 50  # draws at the user's own observation that are simulated again

FAILS = "Look at the simulator: posterior.resimulate(y) says how it fails."
EXPLAIN = (
    "Look at the observation: units, calibration, outliers, a part of the process that the "
    "simulator leaves out. The posterior is that of the closest thing the simulator can do."
)


@dataclass(frozen=True, repr=False)
class Resimulation(Record):
    """Distances between observations and re-simulated posterior draws.

    Attributes
    ----------
    errors : array, shape (observations, draws)
        Euclidean distance in the observables' own units.
    scaled : array, shape (observations, draws)
        Each observable divided by its spread over the simulations.
    noise : array, shape (observations,)
        `scaled` for a new simulation at the true parameters: zero for a deterministic simulator.
    remark : str
        What has to be known about the draws, such as how closely they keep to the observation.
    """

    errors: FloatArray
    scaled: FloatArray
    noise: FloatArray
    remark: str = ""

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The median scaled error against the simulator's own noise."""
        noise = self._typical_noise
        limits = BEYOND_NOISE.scaled(above=NOISE * noise)
        if np.isnan(self.scaled).all():
            words = "no posterior draw could be simulated again"
            return (Finding(np.inf, 0.0, limits, 0.0, words),)
        value, error = float(np.nanmedian(self.scaled)), _standard_error(_medians(self.scaled))
        p_value = float(stats.norm.sf((value - limits.caution) / max(error, 1e-12)))
        words = f"{self.well}; those of an exact posterior stay below {number(limits.caution)}"
        return (Finding(value, error, limits, p_value, words),)

    @property
    def deterministic(self) -> bool:
        """Whether a new simulation at the true parameters gives the observation again."""
        good = self.noise[np.isfinite(self.noise)]
        return good.size > 0 and not good.any()

    @property
    def well(self) -> str:
        """Say the error in units of the observables' spread, and the noise beside it."""
        noise = self._typical_noise
        beside = f"a new simulation at the truth: {number(noise)}" if noise > 0 else "no noise"
        return (
            f"draws, simulated again, land {number(float(np.nanmedian(self.scaled)))} spreads of "
            f"the observables from the observation ({beside})"
        )

    @property
    def remedy(self) -> str:
        """What to do where not all is well."""
        return FAILS if np.isnan(self.scaled).all() else MORE

    @property
    def table(self) -> pd.DataFrame:
        """Mean and median of the errors: in own units, scaled, and in units of the noise."""
        rows = {"in own units": self.errors, "in spreads": self.scaled}
        if not self.deterministic:
            rows["in units of the noise"] = self.scaled / self._typical_noise
        return pd.DataFrame(
            {
                "mean": [_of_some(np.mean, errors) for errors in rows.values()],
                "median": [_of_some(np.median, errors) for errors in rows.values()],
            },
            index=pd.Index(list(rows), name="re-simulation error"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Distribution of the scaled errors, with the simulator's own noise."""
        return plot_errors(
            self.scaled.ravel(), noise=self.noise, remark=self.remark, width_mm=width_mm, fig=fig
        )

    @property
    def _typical_noise(self) -> float:
        """Median noise; 0 where no simulation succeeded."""
        return float(np.nan_to_num(_of_some(np.median, self.noise)))


@dataclass(frozen=True, repr=False)
class Fit(Record):
    """Re-simulation at one observation, against what held-out observations show.

    Attributes
    ----------
    scaled : array, shape (draws,)
        Scaled errors at the observation.
    usual : array, shape (observations,)
        Median scaled error of each held-out observation.
    remark : str
        As in `Resimulation`.
    """

    scaled: FloatArray
    usual: FloatArray
    remark: str = ""

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The median scaled error here, against what 99 % of held-out observations stay below."""
        good = self.scaled[np.isfinite(self.scaled)]
        usual = self.usual[np.isfinite(self.usual)]
        limit = max(float(np.quantile(usual, 0.99)) if usual.size else 0.0, _NEAREST)
        limits = BEYOND_USUAL.scaled(limit)
        if not good.size:
            words = "no draw at this observation could be simulated"
            return (Finding(np.inf, 0.0, limits, 0.0, words),)
        value = float(np.median(good))
        error = _standard_error(good)
        # The limit is the quantile itself: beyond it there is significance by construction.
        beyond = value > limit
        p_value = 0.0 if beyond else float(tail_p_value(np.array([value]), usual)[0])
        words = f"{self._said(value, limit)}: the simulator may not explain this observation"
        return (Finding(value, error, limits, p_value, words),)

    @property
    def well(self) -> str:
        """Say how the observation compares with those the simulator makes."""
        return self._said(self.value, self.threshold)

    @property
    def remedy(self) -> str:
        """What to do where not all is well."""
        return EXPLAIN if np.isfinite(self.scaled).any() else FAILS

    @property
    def table(self) -> pd.DataFrame:
        """The scaled error here, and the usual one."""
        return pd.DataFrame(
            {"median": [_of_some(np.median, errors) for errors in (self.scaled, self.usual)]},
            index=pd.Index(["at this observation", "held out"], name="re-simulation error"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Scaled errors here against those of held-out observations."""
        return plot_errors(
            self.scaled,
            noise=self.usual,
            noise_label="medians of test observations",
            remark=self.remark,
            width_mm=width_mm,
            fig=fig,
        )

    @staticmethod
    def _said(value: float, limit: float) -> str:
        return (
            f"draws at this observation, simulated again, land {number(value)} spreads of the "
            f"observables from it; 99 % of held-out observations stay below {number(limit)}"
        )


def resimulate(subject: Subject, tests: TestSet, draws: int) -> Resimulation:
    """Simulate again at so many draws a test observation, and at the true parameters."""
    n, rng = len(tests), subject.rng()
    observed = statistics(tests.observations, subject.sampler.schema)
    piece = max(1, PIECE // draws)
    errors, scaled = np.empty((n, draws)), np.empty((n, draws))
    for start in range(0, n, piece):
        here = slice(start, start + piece)
        some = tests.observations[here]
        m = len(some)
        flat = subject.sampler.draw(some, draws, rng).reshape(m * draws, -1)
        again = subject.simulate(flat, some[np.repeat(np.arange(m), draws)])
        gap = again.reshape(m, draws, -1) - observed[here, None]
        errors[here] = distance(gap)
        scaled[here] = distance(gap / subject.scale)
    noise = (subject.simulate(tests.truth, tests.observations) - observed) / subject.scale
    return Resimulation(errors, scaled, distance(noise), subject.sampler.remark)


def check_resimulation(subject: Subject) -> Resimulation | str:
    """Simulate again for as many test observations as the budget allows."""
    n, _ = affordable(subject.sampler, len(subject.tests))
    for draws in (DRAWS, FEWER_DRAWS):
        tests = subject.tests.head(min(n, subject.affordable // (draws + 1)))
        if len(tests) >= min(FEWEST_TESTS, n):
            return resimulate(subject, tests, draws)
    return subject.costly


def check_resimulation_at(here: Here) -> Fit:
    """Compare draws at an observation, simulated again, with the observation."""
    subject = here.subject
    observed = statistics(here.observation, subject.sampler.schema)
    gaps = (here.again[:, : len(subject.scale)] - observed) / subject.scale
    scaled = distance(np.clip(gaps, -_FARTHEST, _FARTHEST))
    usual = RESIMULATION.record(subject).scaled
    return Fit(scaled, _medians(usual), subject.sampler.remark)


def _medians(scaled: FloatArray) -> FloatArray:
    """Median of each row, NaN where every simulation failed, shape (observations,)."""
    found = np.full(len(scaled), np.nan)
    some = np.isfinite(scaled).any(axis=1)
    found[some] = np.nanmedian(scaled[some], axis=1)
    return found


def _of_some(summary: Callable[[FloatArray], np.floating], errors: FloatArray) -> float:
    """Sum up the errors of the simulations that succeeded; NaN where none did."""
    good = errors[np.isfinite(errors)]
    return float(summary(good)) if good.size else np.nan


def _standard_error(medians: FloatArray) -> float:
    """Give the standard error of a median, whatever the tails; NaN and infinity are left out."""
    good = medians[np.isfinite(medians)]
    if not good.size:
        return np.nan
    return float(1.2533 * stats.median_abs_deviation(good, scale="normal") / np.sqrt(good.size))


RESIMULATION = CheckKind(
    name="re-simulation",
    question="Do draws, simulated again, land on the observation that they were drawn for?",
    explanation="A simulator with noise misses it too, at the true parameters: that is measured.",
    run=check_resimulation,
    needs=(SIMULATOR,),
)


def _why_no_resimulation(subject: Subject) -> str:
    found = RESIMULATION.of(subject)
    return found if isinstance(found, str) else ""


AGAIN_AT_Y = (Need("the check re-simulation", _why_no_resimulation), time_for(FEWEST_AT_Y))

RESIMULATION_AT_Y = CheckKind(
    name="re-simulation at y",
    question="Do draws at your observation, simulated again, land on it?",
    explanation="They should come as close to it as for observations that were simulated.",
    run=check_resimulation_at,
    needs=AGAIN_AT_Y,
    at_observation=True,
)
