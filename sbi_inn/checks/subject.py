"""What the checks of one posterior share: test simulations, the simulator, draws at them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.once import Once
from sbi_inn.checks.record import Sampler
from sbi_inn.checks.survey import Survey, affordable, survey
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import (
    described,
    described_names,
    described_with_givens,
    statistics,
)
from sbi_inn.simulation.again import givens_of, observe_again, observed_in_pieces
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.training.progress import bar
from sbi_inn.training.workers import cores
from sbi_inn.typing import BoolArray, FloatArray, IntArray

SECONDS = 10.0  # s that simulating for one check may take, on every core
NUMBERS = 50_000_000  # numbers that may be simulated for one check: 15 s to describe, and 400 MB
DRAWING = 7.0  # s that drawing may take, if 500 test simulations were looked at
MOST_DRAWS_AT_Y = 2_000  # draws at the user's own observation that are simulated again
WITHOUT_SIMULATOR = "no simulator; give it to load_posterior(path, simulator=...)"
# An exact posterior of a deterministic simulator is a surface without volume. Across it a network
# is as wide as it resolves: a matter of the re-simulation error, not of coverage.
NO_VOLUME = "the simulator has no noise, so that exact regions have no volume"


@dataclass(frozen=True, eq=False)
class Subject(Once):
    """The posterior that is checked, and what its checks have in common.

    Attributes
    ----------
    sampler : Sampler
        What draws.
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
    why_not_again: str = ""

    def survey(self, *, progress: bool = False) -> Survey:
        """Draw at the test simulations, once."""
        return self.once("survey", lambda: self._survey(progress))

    def _survey(self, progress: bool) -> Survey:
        n, draws = affordable(self.sampler, len(self.tests))
        with bar(n, "check", unit=" tests", show=progress, delay=2.0) as shown:
            return survey(
                self.sampler,
                self.tests.head(n),
                draws=draws,
                rng=self.rng(),
                why_no_density=NO_VOLUME if self.deterministic else "",
                seconds=DRAWING,
                tick=lambda share: shown.update(round(share * n)),
            )

    @cached_property
    def read(self) -> tuple[FloatArray, FloatArray]:
        """Statistics and givens of the test simulations, and what the network learned of them."""
        seen = self.tests.observations
        return described_with_givens(seen, self.sampler.schema), self.sampler.features(seen)

    def rng(self) -> np.random.Generator:
        """Give the generator that a check begins with."""
        return generator(self.seed, Stream.CHECK_DRAWS)

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
    def costly(self) -> str:
        """Say that a simulation takes too long, or gives too much."""
        cost = f"takes {self.seconds:.2g} s and gives up to {self._size:,} numbers"
        return f"a simulation {cost}: posterior.resimulate(y, n) does as many as you like"

    @property
    def _size(self) -> int:
        """How many numbers the largest test observation has."""
        seen = self.tests.observations
        return max(1, seen.vector.shape[1] + sum(s.values[0].size for s in seen.sets.values()))

    def simulated(
        self, flat: FloatArray, observations: Observations
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Simulate again at flat parameters, n times as many as there are observations.

        The first n are simulated with the givens of the first observation, and so on.

        Yields
        ------
        rows : int array, shape (r,)
            Of `flat`: those of some simulations that succeeded.
        again : array, shape (r, k)
            Their statistics.

        Raises
        ------
        SimulationError
            If the simulator cannot be used.
        """
        each = len(flat) // max(len(observations), 1)
        schema = self.sampler.schema
        for rows, again in self._observed(flat, observations, each, Stream.CHECK_SIMULATIONS):
            yield rows, statistics(again, schema)

    def simulate_described(
        self,
        flat: FloatArray,
        observations: Observations,
        stream: Stream = Stream.CHECK_SIMULATIONS,
    ) -> FloatArray:
        """Simulate again: statistics and the shapes of sets, NaN where that failed."""
        rows = np.full((len(flat), len(described_names(self.sampler.schema))), np.nan)
        try:
            for here, again in self._observed(flat, observations, 1, stream):
                rows[here] = described(again, self.sampler.schema)
        except SimulationError:  # every one failed, which the records say
            return np.full(rows.shape, np.nan)
        return rows

    def _observed(
        self, flat: FloatArray, observations: Observations, each: int, stream: Stream
    ) -> Iterator[tuple[IntArray, Observations]]:
        assert self.problem is not None
        schema = self.sampler.schema
        givens = givens_of(observations, schema)
        return observed_in_pieces(
            self.problem,
            schema,
            flat,
            {name: np.repeat(value, each, axis=0) for name, value in givens.items()},
            seed=self.seed,
            stream=stream,
            n_jobs=-1,
        )

    def observe(
        self, flat: FloatArray, observations: Observations, *, stream: Stream
    ) -> tuple[Observations, BoolArray]:
        """Simulate once at flat parameters, with the givens of as many observations.

        Returns
        -------
        Observations
            Of the simulations that succeeded.
        array of bool
            Which succeeded.

        Raises
        ------
        SimulationError
            If every one failed.
        """
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


@dataclass(frozen=True, eq=False)
class Here(Once):
    """One observation, at which a posterior is checked.

    Attributes
    ----------
    subject : Subject
    observation : Observations
        A batch of one.
    """

    subject: Subject
    observation: Observations

    @cached_property
    def again(self) -> FloatArray:
        """Statistics of draws at the observation, simulated again; NaN where that failed."""
        return self._simulated(Stream.CHECK_SIMULATIONS)

    @cached_property
    def twice(self) -> FloatArray:
        """Statistics of a second simulation at each of the same draws."""
        return self._simulated(Stream.CHECK_SIMULATIONS_TWICE)

    @cached_property
    def drawn(self) -> FloatArray:
        """Draws at the observation, shape (draws, dim)."""
        draws = max(1, min(MOST_DRAWS_AT_Y, self.subject.affordable))
        return self.subject.sampler.draw(self.observation, draws, self.subject.rng())[0]

    def _simulated(self, stream: Stream) -> FloatArray:
        drawn = self.drawn
        return self.subject.simulate_described(drawn, self.repeated(len(drawn)), stream)

    def repeated(self, n: int) -> Observations:
        """Give n rows that are all the observation."""
        return self.observation[np.zeros(n, np.int64)]
