"""Run the checks that apply, and make the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sbi_inn.checks import (
    Calibration,
    Dependence,
    Familiar,
    GoodnessOfFit,
    JointCoverage,
    LocalCalibration,
    Predictive,
    Record,
    Recovery,
    Resimulation,
    Sampler,
    Survey,
    TestSet,
    affordable,
    calibrate_at,
    resimulate,
    resimulate_at,
    survey,
)
from sbi_inn.checks.dependence import named
from sbi_inn.checks.joint import HIGHEST, TARP
from sbi_inn.checks.posterior_sbc import N
from sbi_inn.checks.thirds_of_givens import thirds
from sbi_inn.draws import columns_of, flat
from sbi_inn.errors import NoDensityError
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import described, described_names, spread, statistics
from sbi_inn.report.check import Check
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.progress import bar
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.training.workers import cores
from sbi_inn.typing import BoolArray, FloatArray

AGAIN = (20, 5)  # draws a test observation that are simulated again; fewer where that is costly
FEWEST_TESTS = 20  # test observations that are simulated again
AGAIN_HERE = (2_000, 50)  # draws at the user's own observation: at most, and at least
FEWEST_AGAIN = 20  # of these that have to succeed, to compare the observation with
SECONDS = 10.0  # what simulating for one check may take, on every core
NUMBERS = 50_000_000  # that may be simulated for one check: 15 s to describe, and 400 MB
DRAWING = 25.0  # seconds that drawing may take, if 500 test simulations were looked at
WITHOUT_SIMULATOR = "no simulator; give it to load_posterior(path, simulator=...)"
NO_NOISE = "the simulator has no noise; the re-simulation error says it"
# An exact posterior of a deterministic simulator is a surface without volume. Across it a network
# is as wide as it resolves: a matter of the re-simulation error, not of coverage.
NO_VOLUME = "the simulator has no noise, so that exact regions have no volume"
NO_PRIOR = "it needs the density of the prior, which the table did not state"
NONE_HERE = "every simulation at its draws failed; posterior.resimulate(y) says how"
AT_Y = ("re-simulation at y", "posterior predictive", "calibration at y")


@dataclass(frozen=True)
class Judge:
    """What the checks of one posterior share.

    Attributes
    ----------
    sampler : Sampler
    tests : TestSet
        Simulations that training has never seen.
    simulations : Simulations
        For labels and units, and draws of the prior.
    scale : array, shape (k,)
        Spread of each statistic over the simulations.
    problem : Problem or None
        What to simulate with.
    seconds : float
        What one simulation takes.
    seed : int
    about : mapping of str to str
        Facts about the posterior, for the report.
    why_not_again : str
        Why draws cannot be simulated again although there is a simulator; empty if they can.
    """

    sampler: Sampler
    tests: TestSet
    simulations: Simulations
    scale: FloatArray
    problem: Problem | None
    seconds: float
    seed: int
    about: Mapping[str, str] = field(default_factory=dict)
    why_not_again: str = ""

    # -- in general --------------------------------------------------------------------------------

    def survey(self, progress: bool = False) -> Survey:
        """Draw at the test simulations, once."""
        if "_survey" not in self.__dict__:
            n, draws = affordable(self.sampler, len(self.tests))
            with bar(n, "check", unit=" tests", show=progress, delay=2.0) as shown:
                self.__dict__["_survey"] = survey(
                    self.sampler,
                    self.tests.head(n),
                    draws=draws,
                    rng=self._rng(),
                    why_no_density=NO_VOLUME if self.deterministic else "",
                    seconds=DRAWING,
                    tick=lambda share: shown.update(round(share * n)),
                )
        return self.__dict__["_survey"]

    @cached_property
    def calibration(self) -> Calibration:
        """Calibration over the test set, and over thirds of each given."""
        found = self.survey()
        schema, seen = self.sampler.schema, found.tests.observations
        numbers = seen.vector[:, schema.observable_columns() :].T
        givens = dict(zip(schema.given_columns, numbers, strict=True))
        givens |= {name: padded.sizes.astype(np.float64) for name, padded in seen.sets.items()}
        return Calibration(found.ranks, self.sampler.prior.columns, thirds(givens))

    @cached_property
    def dependence(self) -> Dependence | None:
        """Pairs of parameters; None where there is only one parameter."""
        found = self.survey()
        if not len(found.pairs):
            return None
        pairs = named(found.pairs, self.sampler.prior.columns)
        return Dependence(found.products, found.excess, pairs)

    @cached_property
    def joint(self) -> JointCoverage:
        """Regions of all parameters together."""
        found = self.survey()
        levels = {HIGHEST: found.density, TARP: found.tarp}
        some = {name: values for name, values in levels.items() if len(values)}
        return JointCoverage(some, self.sampler.prior.dim)

    @cached_property
    def recovery(self) -> Recovery:
        """Point estimates against the truth."""
        found, prior = self.survey(), self.simulations.prior_draws
        return Recovery(
            found.tests.truth,
            found.mean,
            found.sd,
            found.median,
            found.low,
            found.high,
            flat(prior)[1].std(axis=0),
            columns_of(prior),
        )

    @cached_property
    def resimulation(self) -> Resimulation | None:
        """Re-simulation error over as many test observations as the budget allows, or None."""
        n, _ = affordable(self.sampler, len(self.tests))
        for draws in AGAIN:
            tests = self.tests.head(min(n, self.affordable // (draws + 1)))
            if len(tests) >= min(FEWEST_TESTS, n):
                break
        else:
            return None
        return resimulate(
            self.sampler,
            tests,
            self.simulate,
            observed=statistics(tests.observations, self.sampler.schema),
            scale=self.scale,
            draws=draws,
            rng=self._rng(),
        )

    def check(self, *, progress: bool = False) -> Check:
        """Judge the posterior in general."""
        found = self.survey(progress)
        records: dict[str, Record] = {"calibration": self.calibration}
        skipped: dict[str, str] = {}
        if self.dependence is None:
            skipped["dependence"] = "there is one parameter only"
        else:
            records["dependence"] = self.dependence
        records |= {"joint coverage": self.joint, "recovery": self.recovery}
        if found.why_no_density:
            skipped["regions of highest density"] = found.why_no_density
        if self.not_again:
            skipped["re-simulation"] = self.not_again
        elif self.resimulation is None:
            skipped["re-simulation"] = self._costly
        else:
            records["re-simulation"] = self.resimulation
        if len(found.tests) < len(self.tests):
            looked = f"looked at {len(found.tests):,} of {len(self.tests):,}, for the time it takes"
            skipped["some test simulations"] = looked
        return Check(records, skipped=skipped, about=self.about)

    # -- at one observation ------------------------------------------------------------------------

    @cached_property
    def familiar(self) -> Familiar:
        """What simulated observations look like."""
        return Familiar.of(self.sampler, self.tests.observations)

    def goodness_of_fit(self, observations: Observations) -> list[GoodnessOfFit]:
        """Say for each observation whether the simulations could have produced it."""
        return self.familiar.judge(self.sampler, observations)

    def check_at(self, observation: Observations, *, progress: bool = False) -> Check:
        """Judge the posterior at one observation (a batch of one)."""
        general = self.check(progress=progress)
        notes = tuple(self.sampler.schema.outside(observation))
        (goodness,) = self.goodness_of_fit(observation)
        records: dict[str, Record] = {**general.records, "goodness of fit": goodness}
        skipped = dict(general.skipped)
        if self.not_again:
            skipped |= dict.fromkeys(AT_Y, self.not_again)
        elif self.resimulation is None or self.affordable < AGAIN_HERE[1]:
            skipped |= dict.fromkeys(AT_Y, self._costly)
        else:
            self._simulate_at(observation, self.resimulation, records, skipped)
        return Check(records, notes, skipped, self.about)

    def _simulate_at(
        self,
        observation: Observations,
        usual: Resimulation,
        records: dict[str, Record],
        skipped: dict[str, str],
    ) -> None:
        """Add what simulates at the observation's own posterior, or why it cannot."""
        draws = min(AGAIN_HERE[0], self.affordable)
        drawn = self.sampler.draw(observation, draws, self._rng())[0]
        again = self.simulate_described(drawn, observation[np.zeros(draws, np.int64)])
        k = len(self.scale)
        records["re-simulation at y"] = resimulate_at(
            again[:, :k],
            usual,
            observed=statistics(observation, self.sampler.schema),
            scale=self.scale,
            remark=self.sampler.remark,
        )
        good = np.isfinite(again).any(axis=1)
        observed = described(observation, self.sampler.schema)[0]
        shown = np.isfinite(observed) & (np.isfinite(again).sum(axis=0) >= FEWEST_AGAIN)
        if shown.any():
            records["posterior predictive"] = Predictive(
                again[good][:, shown],
                observed[shown],
                self._described_scale[shown],
                tuple(np.array(described_names(self.sampler.schema))[shown].tolist()),
            )
        elif np.isnan(observed).all():
            skipped["posterior predictive"] = "everything is missing in the observation"
        else:
            skipped["posterior predictive"] = f"{good.sum()} of {draws} re-simulations succeeded"
        quiet = self.deterministic or usual.deterministic
        local = NO_NOISE if quiet else self._local(observation)
        if isinstance(local, str):
            skipped["calibration at y"] = local
        else:
            records["calibration at y"] = local

    def _local(self, observation: Observations) -> LocalCalibration | str:
        """Check the posterior at the observation against itself, or say why not."""
        if not self.sampler.prior.stated:
            return NO_PRIOR
        if self.affordable < N:
            return self._costly

        def observe(truth: FloatArray) -> tuple[Observations, BoolArray]:
            same = observation[np.zeros(len(truth), np.int64)]
            return self._observe(truth, same, stream=Stream.POSTERIOR_SBC)

        try:
            return calibrate_at(self.sampler, observation, observe, rng=self._rng())
        except NoDensityError as error:
            return str(error)
        except SimulationError:
            return NONE_HERE

    # -- simulations -------------------------------------------------------------------------------

    @property
    def deterministic(self) -> bool:
        """Whether the simulator takes no randomness; False where that is not known."""
        return bool(self.simulations.dataset.attrs.get("deterministic", False))

    @property
    def not_again(self) -> str:
        """Why nothing can be simulated again, whatever it costs; empty if it can."""
        return WITHOUT_SIMULATOR if self.problem is None else self.why_not_again

    @property
    def affordable(self) -> int:
        """How many simulations fit into the budget of time, and into memory."""
        in_time = int(SECONDS * cores(-1) / max(self.seconds, 1e-9))
        return min(in_time, NUMBERS // self._size)

    @property
    def _size(self) -> int:
        """How many numbers the largest test observation has."""
        seen = self.tests.observations
        return max(1, seen.vector.shape[1] + sum(s.values[0].size for s in seen.sets.values()))

    @property
    def _costly(self) -> str:
        cost = f"takes {self.seconds:.2g} s and gives up to {self._size:,} numbers"
        return f"a simulation {cost}: posterior.resimulate(y, n) does as many as you like"

    def simulate(self, flat: FloatArray, observations: Observations) -> FloatArray:
        """Simulate again at flat parameters: rows of statistics, NaN where that failed."""
        return self.simulate_described(flat, observations)[:, : len(self.scale)]

    def simulate_described(self, flat: FloatArray, observations: Observations) -> FloatArray:
        """Simulate again: statistics and the shapes of sets, NaN where that failed."""
        rows = np.full((len(flat), len(described_names(self.sampler.schema))), np.nan)
        try:
            again, ok = self._observe(flat, observations, stream=Stream.CHECK_SIMULATIONS)
        except SimulationError:  # every one failed, which the records say
            return rows
        rows[ok] = described(again, self.sampler.schema)
        return rows

    def _observe(
        self, flat: FloatArray, observations: Observations, *, stream: Stream
    ) -> tuple[Observations, BoolArray]:
        assert self.problem is not None
        _, again, ok = observe_again(
            self.problem,
            self.sampler.schema,
            flat,
            observations,
            seed=self.seed,
            stream=stream,
            n_jobs=-1,
        )
        return again, ok

    @cached_property
    def _described_scale(self) -> FloatArray:
        return spread(described(self.tests.observations, self.sampler.schema))

    def _rng(self) -> np.random.Generator:
        return generator(self.seed, Stream.CHECK_DRAWS)
