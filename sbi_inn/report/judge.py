"""Run the checks that apply, and make the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sbi_inn.checks import (
    Calibration,
    Record,
    Resimulation,
    Sampler,
    TestSet,
    calibrate,
    resimulate,
    resimulate_at,
)
from sbi_inn.report.check import Check
from sbi_inn.schema import Observations
from sbi_inn.simulation.again import simulate_again
from sbi_inn.simulation.problem import Problem
from sbi_inn.statistics import statistics

FloatArray = npt.NDArray[np.float64]

DRAWS = 200  # posterior draws a test observation, for its ranks
AGAIN = 20  # draws a test observation that are simulated again
AGAIN_HERE = 500  # draws at the user's own observation that are simulated again
SECONDS = 10.0  # what simulating for one check may take
STREAM = 11
WITHOUT_SIMULATOR = "no simulator; give it to load_posterior(path, simulator=...)"


@dataclass(frozen=True)
class Judge:
    """What the checks of one posterior share.

    Attributes
    ----------
    sampler : Sampler
    tests : TestSet
        Simulations that training has never seen.
    scale : array, shape (k,)
        Spread of each statistic over the simulations.
    problem : Problem or None
        What to simulate with.
    seconds : float
        What one simulation takes.
    seed : int
    """

    sampler: Sampler
    tests: TestSet
    scale: FloatArray
    problem: Problem | None
    seconds: float
    seed: int

    @cached_property
    def calibration(self) -> Calibration:
        """Calibration over the test set."""
        return calibrate(self.sampler, self.tests, draws=DRAWS, rng=self._rng())

    @cached_property
    def resimulation(self) -> Resimulation:
        """Re-simulation error over as many test observations as the budget allows."""
        affordable = self.affordable // (AGAIN + 1)
        tests = self.tests.head(max(20, affordable))
        return resimulate(
            self.sampler,
            tests,
            self.simulate,
            observed=statistics(tests.observations, self.sampler.schema),
            scale=self.scale,
            draws=AGAIN,
            rng=self._rng(),
        )

    def check(self) -> Check:
        """Judge the posterior in general."""
        records: dict[str, Record] = {"calibration": self.calibration}
        if self.problem is None:
            return Check(records, skipped={"re-simulation": WITHOUT_SIMULATOR})
        return Check(records | {"re-simulation": self.resimulation})

    def check_at(self, observation: Observations) -> Check:
        """Judge the posterior at one observation (a batch of one)."""
        general = self.check()
        notes = tuple(self.sampler.schema.outside(observation))
        if self.problem is None:
            skipped = {**general.skipped, "fit": WITHOUT_SIMULATOR}
            return Check(general.records, notes, skipped)
        fit = resimulate_at(
            self.sampler,
            observation,
            self.simulate,
            self.resimulation,
            observed=statistics(observation, self.sampler.schema),
            scale=self.scale,
            draws=max(20, min(AGAIN_HERE, self.affordable)),
            rng=self._rng(),
        )
        return Check({**general.records, "fit at y": fit}, notes)

    @property
    def affordable(self) -> int:
        """How many simulations fit into the budget."""
        return int(SECONDS / max(self.seconds, 1e-9))

    def simulate(self, flat: FloatArray, observations: Observations) -> FloatArray:
        """Simulate again at flat parameters: rows of statistics, NaN where that failed."""
        assert self.problem is not None
        _, rows = simulate_again(
            self.problem,
            self.sampler.schema,
            flat,
            observations,
            seed=self.seed,
            stream=STREAM,
            n_jobs=-1,
        )
        return rows

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, STREAM])
