"""Whether posterior draws, simulated again, land on the observation (sec. 4.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.record import VERDICTS, FloatArray, Sampler, Verdict
from sbi_inn.plots.resimulation import plot_errors
from sbi_inn.schema import Observations

# Given flat parameters (m, dim) and as many observations, for their givens: rows of statistics
# (m, k), NaN where the simulator failed.
Simulate = Callable[[FloatArray, Observations], FloatArray]

# An exact posterior re-simulates with at most sqrt(2) times the noise of the simulator itself.
NOISE = 1.5
SLACK = (0.1, 1.0)


@dataclass(frozen=True)
class Resimulation:
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

    @property
    def value(self) -> float:
        """Median scaled error."""
        return float(np.nanmedian(self.scaled))

    @property
    def error(self) -> float:
        """Its standard error over the observations."""
        each = np.nanmedian(self.scaled, axis=1)
        return float(1.2533 * np.nanstd(each) / np.sqrt(len(each)))

    @property
    def threshold(self) -> float:
        """Above this, caution."""
        return self._threshold(SLACK[0])

    @property
    def verdict(self) -> Verdict:
        """Judge by the median scaled error against the simulator's own noise."""
        low = self.value - 2 * self.error
        return VERDICTS[sum(low > self._threshold(slack) for slack in SLACK)]

    @property
    def passed(self) -> bool:
        """Whether the verdict is "trust"."""
        return self.verdict == "trust"

    @property
    def sentence(self) -> str:
        """Say the error in units of the observables' spread, and the noise beside it."""
        noise = float(np.nanmedian(self.noise))
        beside = f"a new simulation at the truth: {noise:.2g}" if noise > 0 else "no noise"
        return (
            f"draws re-simulated land {self.value:.2g} spreads of the observables from the "
            f"observation ({beside})"
        )

    @property
    def table(self) -> pd.DataFrame:
        """Mean and median of the errors, in own units and scaled."""
        return pd.DataFrame(
            {
                "mean": [np.nanmean(self.errors), np.nanmean(self.scaled)],
                "median": [np.nanmedian(self.errors), np.nanmedian(self.scaled)],
            },
            index=pd.Index(["in own units", "in spreads"], name="re-simulation error"),
        )

    def plot(self) -> Figure:
        """Distribution of the scaled errors, with the simulator's own noise."""
        return plot_errors(self.scaled.ravel(), noise=self.noise, remark=self.remark)

    def _threshold(self, slack: float) -> float:
        return NOISE * float(np.nanmedian(self.noise)) + slack


@dataclass(frozen=True)
class Fit:
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

    @property
    def value(self) -> float:
        """Median scaled error at the observation."""
        return float(np.nanmedian(self.scaled))

    @property
    def error(self) -> float:
        """Its Monte-Carlo error."""
        return float(1.2533 * np.nanstd(self.scaled) / np.sqrt(len(self.scaled)))

    @property
    def threshold(self) -> float:
        """What 99 % of the held-out observations stay below."""
        return float(np.nanquantile(self.usual, 0.99))

    @property
    def verdict(self) -> Verdict:
        """Caution above the threshold, distrust above three times that."""
        if not np.isfinite(self.value):
            return VERDICTS[2]
        return VERDICTS[sum(self.value > limit * self.threshold for limit in (1, 3))]

    @property
    def passed(self) -> bool:
        """Whether the verdict is "trust"."""
        return self.verdict == "trust"

    @property
    def sentence(self) -> str:
        """Say how the observation compares with those the simulator makes."""
        said = (
            f"draws at this observation, re-simulated, land {self.value:.2g} spreads from it; "
            f"99 % of held-out observations stay below {self.threshold:.2g}"
        )
        return said if self.passed else f"{said}: the simulator may not explain this observation"

    @property
    def table(self) -> pd.DataFrame:
        """The scaled error here, and the usual one."""
        return pd.DataFrame(
            {"median": [self.value, np.nanmedian(self.usual)]},
            index=pd.Index(["at this observation", "held out"], name="re-simulation error"),
        )

    def plot(self) -> Figure:
        """Scaled errors here against those of held-out observations."""
        return plot_errors(
            self.scaled, noise=self.usual, noise_label="held-out medians", remark=self.remark
        )


def resimulate(
    sampler: Sampler,
    tests: TestSet,
    simulate: Simulate,
    *,
    observed: FloatArray,
    scale: FloatArray,
    draws: int,
    rng: np.random.Generator,
) -> Resimulation:
    """Simulate again at posterior draws of held-out observations, and at their true parameters.

    Parameters
    ----------
    sampler : Sampler
    tests : TestSet
    simulate : callable
        Flat parameters (m, dim) and observations (m rows) to statistics (m, k).
    observed : array, shape (n, k)
        Statistics of the test observations.
    scale : array, shape (k,)
        Spread of each statistic over the simulations.
    draws : int
        Draws an observation.
    rng : numpy.random.Generator
    """
    n = len(tests)
    piece = max(1, 200_000 // draws)
    errors, scaled = np.empty((n, draws)), np.empty((n, draws))
    for start in range(0, n, piece):
        here = slice(start, start + piece)
        gap = _gaps(sampler, tests.observations[here], simulate, observed[here], draws, rng)
        errors[here] = np.linalg.norm(gap, axis=2)
        scaled[here] = np.linalg.norm(gap / scale, axis=2)
    noise = (simulate(tests.truth, tests.observations) - observed) / scale
    return Resimulation(errors, scaled, np.linalg.norm(noise, axis=1), sampler.remark)


def resimulate_at(
    sampler: Sampler,
    observation: Observations,
    simulate: Simulate,
    usual: Resimulation,
    *,
    observed: FloatArray,
    scale: FloatArray,
    draws: int,
    rng: np.random.Generator,
) -> Fit:
    """Simulate again at posterior draws of one observation.

    Parameters
    ----------
    sampler, simulate, scale, draws, rng
        As `resimulate`.
    observation : Observations
        A batch of one.
    usual : Resimulation
        What held-out observations show.
    observed : array, shape (1, k)
        Statistics of the observation.
    """
    gap = _gaps(sampler, observation, simulate, observed, draws, rng)[0]
    scaled = np.linalg.norm(gap / scale, axis=1)
    return Fit(scaled, np.nanmedian(usual.scaled, axis=1), sampler.remark)


def _gaps(
    sampler: Sampler,
    observations: Observations,
    simulate: Simulate,
    observed: FloatArray,
    draws: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Re-simulated minus observed statistics, shape (observations, draws, k)."""
    n = len(observations)
    flat = sampler.draw(observations, draws, rng).reshape(n * draws, -1)
    again = simulate(flat, observations[np.repeat(np.arange(n), draws)])
    return again.reshape(n, draws, -1) - observed[:, None]
