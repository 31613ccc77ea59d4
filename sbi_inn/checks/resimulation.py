"""Check that simulations from posterior draws look like the observation (sec. 4.2.2)."""

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
from sbi_inn.checks.phrases import number, percent
from sbi_inn.checks.record import MORE, Finding, Limits, Record, Sight, deviation
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.diagnostics.conditional_ranks import location_scores
from sbi_inn.diagnostics.tails import tail_p_value
from sbi_inn.observation.statistics import distance, spread, statistics
from sbi_inn.plots.resimulation import plot_errors
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.typing import FloatArray

# Given y, the truth is one more draw of an exact posterior, and what is simulated at it lies as far
# from y as what is simulated at the others. Posteriors that ignore something measured .085 and
# more, trained ones below .04; of one that ignores all that a good observation says it is about 1.
RANKED = Limits("mean score of the distance", caution=0.05, distrust=0.3)
# Without noise, in spreads of the observables: a tenth is visible in a plot of the data, and after
# a whole one the draws have learned little of the observation.
WITHOUT_NOISE = Limits("distance, in spreads", caution=0.1, distrust=1.0)
# At y, over what two simulations at one draw differ by. One that is half as far again is visible.
BEYOND_NOISE = Limits("distance, in distances of two simulations", caution=1.5, distrust=3.0)
RARE = 0.05  # share of the draws whose own noise reaches as far as y, below which y is far
# The same, where draws land closer to y than to each other: then they have more noise than y has.
TOO_NOISY = Limits("noise of the draws, in that of the observation", caution=1.5, distrust=3.0)
_QUIETEST = 0.01  # of the noise of the draws: what y has at least
# At y without noise, relative to what 99 % of test observations stay below.
BEYOND_USUAL = Limits("distance, in spreads", caution=1.0, distrust=3.0)
VISIBLE = 0.1  # spreads of an observable that are visible in a plot of the data
_NEAREST = 1e-9  # spreads: a limit above rounding
_FARTHEST = 1e100  # spreads, whose square is finite

FEWER_DRAWS = 5  # draws a test observation that are simulated again, where that is costly
FEWEST_TESTS = 20  # test observations that are simulated again
FEWEST_AT_Y = 50  # draws at the user's own observation that are simulated again

FAILS = "Look at the simulator: posterior.resimulate(y) says how it fails."
EXPLAIN = (
    "Look at the observation: units, calibration, outliers. Then look at the model: a part of the "
    "process that the simulator leaves out, a prior that is too narrow, noise that is too small. "
    "The posterior is that of the closest thing the simulator can do."
)
QUIET = (
    "Look at the observation: were its values averaged or smoothed? If not, the posterior is wrong "
    "here: posterior.refine(y) trains near it, and a narrower prior of the noise helps."
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
        """Whether the truth lands as far as draws do; without noise, how far these land."""
        if np.isnan(self.scaled).all():
            words = "no posterior draw could be simulated again"
            return (Finding(np.inf, 0.0, WITHOUT_NOISE, 0.0, words),)
        return (self._without_noise() if self.deterministic else self._ranked(),)

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest mean score that would have been seen."""
        n = len(self.ranks)
        if self.deterministic or not n:
            return ()
        smallest = deviation(1) / np.sqrt(n)
        return (Sight(f"a mean score below {smallest:.2g}", smallest, RANKED, n, decides=False),)

    @cached_property
    def ranks(self) -> FloatArray:
        """Rank of the distance of the truth's own simulation among those of the draws.

        Uniform if the posterior is exact; below 1/2 where draws land further from the observation
        than the truth does. Observations at which either failed are left out.
        """
        known = np.isfinite(self.noise) & np.isfinite(self.scaled).any(axis=1)
        draws, own = self.scaled[known], self.noise[known, None]
        below, ties = (draws < own).sum(axis=1), (draws == own).sum(axis=1)
        jitter = np.random.default_rng(0).random(len(own))
        return (below + jitter * (ties + 1)) / (np.isfinite(draws).sum(axis=1) + 1)

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

    def _ranked(self) -> Finding:
        n = max(len(self.ranks), 1)
        mean, error = float(location_scores(self.ranks).mean()) if len(self.ranks) else 0.0, n**-0.5
        side = "further from" if mean < 0 else "closer to"
        part = float((1 - self.ranks if mean < 0 else self.ranks).mean())
        words = (
            f"{self.well}; {percent(part)} of the draws, and not 50 %, land {side} the observation "
            "than the truth does"
        )
        p_value = float(2 * stats.norm.sf(abs(mean) / error))
        return Finding(abs(mean), error, RANKED, p_value, words)

    def _without_noise(self) -> Finding:
        value, error = float(np.nanmedian(self.scaled)), _standard_error(_medians(self.scaled))
        p_value = float(stats.norm.sf((value - WITHOUT_NOISE.caution) / max(error, 1e-12)))
        limit = number(WITHOUT_NOISE.caution)
        words = f"{self.well}; those of an exact posterior land on it, and below {limit} will do"
        return Finding(value, error, WITHOUT_NOISE, p_value, words)

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
    beside : (array, array), each of shape (draws,), or None
        Of a simulator with noise: distance of each simulation from the observation, and from a
        second simulation at the same draw. Each statistic is divided by its noise, or by a tenth of
        its spread where that is more.
    """

    scaled: FloatArray
    usual: FloatArray
    remark: str = ""
    beside: tuple[FloatArray, FloatArray] | None = None

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """How far draws land from y, over the noise; without it, over what is usual."""
        if self.beside is not None and np.isfinite(self.beside).all(axis=0).any():
            return (self._beside_noise(*self.beside),)
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

    def _beside_noise(self, far: FloatArray, own: FloatArray) -> Finding:
        known = np.isfinite(far) & np.isfinite(own)
        far, own = far[known], own[known]
        reach = float((own >= far).mean())
        value = float(np.median(far) / max(np.median(own), _NEAREST))
        noisier = self._noisier(value, float((own <= far).mean()))
        if noisier.level:
            return noisier
        error = _standard_error(far) / max(float(np.median(own)), _NEAREST)
        words = (
            f"{self._beside_said(value)}: the posterior is too wide here, or the simulator may not "
            "explain this observation"
        )
        return Finding(value, error, BEYOND_NOISE, reach, words, RARE)

    def _noisier(self, value: float, reach: float) -> Finding:
        """Say by how much draws have more noise than y, if they land closer to it than usual.

        With noises of s and s_y, squares of distances are s^2 + s_y^2 from y, and 2 s^2 from a
        second simulation.
        """
        quiet = np.sqrt(max(2 * value**2 - 1, _QUIETEST**2))
        words = (
            f"{self._beside_said(value)}, as if their noise were {number(1 / quiet)} times that of "
            "the observation: the posterior takes noise for larger than it is here, or the data "
            "were averaged"
        )
        return Finding(1 / quiet, 0.0, TOO_NOISY, reach, words, RARE)

    @property
    def well(self) -> str:
        """Say how the observation compares with those the simulator makes."""
        if self.measure == BEYOND_NOISE.measure:
            return self._beside_said(self.value)
        return self._said(self.value, self.threshold)

    @property
    def remedy(self) -> str:
        """What to do where not all is well."""
        if self.measure == TOO_NOISY.measure:
            return QUIET
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
    def _beside_said(value: float) -> str:
        return (
            f"draws at this observation, simulated again, land {number(value)} times as far from "
            "it as from a second simulation"
        )

    @staticmethod
    def _said(value: float, limit: float) -> str:
        return (
            f"draws at this observation, simulated again, land {number(value)} spreads of the "
            f"observables from it; 99 % of held-out observations stay below {number(limit)}"
        )


def resimulate(subject: Subject, tests: TestSet, drawn: FloatArray) -> Resimulation:
    """Simulate again at draws (tests, draws, dim), and at the true parameters."""
    errors, scaled = _distances(subject, tests, drawn)
    _, noise = _distances(subject, tests, tests.truth[:, None])
    return Resimulation(errors, scaled, noise[:, 0], subject.sampler.remark)


def _distances(subject: Subject, tests: TestSet, points: FloatArray) -> FloatArray:
    """Simulate at points (n, m, dim): distances from n tests, in own units and scaled (2, n, m)."""
    n, each, dim = points.shape
    observed = statistics(tests.observations, subject.sampler.schema)
    found = np.full((2, n * each), np.nan)
    try:
        for rows, again in subject.simulated(points.reshape(-1, dim), tests.observations):
            gap = again - observed[rows // each]
            found[:, rows] = distance(gap), distance(gap / subject.scale)
    except SimulationError:  # every one failed, which the record says
        found[:] = np.nan
    return found.reshape(2, n, each)


def check_resimulation(subject: Subject) -> Resimulation | str:
    """Simulate again for as many test observations as the budget allows."""
    found = subject.survey()
    most = found.kept.shape[1]
    for draws in (most, min(FEWER_DRAWS, most)):
        tests = found.tests.head(subject.affordable // (draws + 1))
        if len(tests) >= min(FEWEST_TESTS, len(found.tests)):
            return resimulate(subject, tests, found.kept[: len(tests), :draws])
    return subject.costly


def check_resimulation_at(here: Here) -> Fit:
    """Compare draws at an observation, simulated again, with the observation."""
    subject = here.subject
    observed = statistics(here.observation, subject.sampler.schema)
    gaps = (here.again[:, : len(subject.scale)] - observed) / subject.scale
    scaled = distance(np.clip(gaps, -_FARTHEST, _FARTHEST))
    usual = RESIMULATION.record(subject)
    beside = None if usual.deterministic else _beside(here, observed)
    return Fit(scaled, _medians(usual.scaled), subject.sampler.remark, beside)


def _beside(here: Here, observed: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give distances from the observation and from a second simulation, in units of the noise."""
    scale = here.subject.scale
    again, twice = (rows[:, : len(scale)] for rows in (here.again, here.twice))
    between = again - twice
    known = between[np.isfinite(between).any(axis=1)]
    noise = spread(known) / np.sqrt(2) if len(known) else scale
    noisy = np.nan_to_num(np.abs(known)).max(axis=0, initial=0.0) > 0
    unit = np.maximum(np.where(noisy, noise, 0.0), VISIBLE * scale)
    gaps = np.clip((again - observed) / unit, -_FARTHEST, _FARTHEST)
    return distance(gaps), distance(np.clip(between / unit, -_FARTHEST, _FARTHEST))


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
    explanation="They should come as close to it as they do to simulated observations.",
    run=check_resimulation_at,
    needs=AGAIN_AT_Y,
    at_observation=True,
)
