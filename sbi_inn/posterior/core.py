"""Draws and densities of a posterior, in the parameters' own units, for all that needs them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from sbi_inn.checks.goodness import FAMILIAR, Familiar
from sbi_inn.methods import Emulator, Fitted, Method, Summariser, Weigher
from sbi_inn.methods.row_generators import Random, RowGenerators
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import spread, statistics
from sbi_inn.posterior.density import Density
from sbi_inn.posterior.emulation import Emulation
from sbi_inn.posterior.provenance import Provenance
from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.training.settings import Training
from sbi_inn.typing import AnyArray, FloatArray, IntArray

SCALED = 50_000
"""Simulations that scales are learned from, where all are on disk."""

STRANGE = 1e-3
"""P-value of an observation, below which the simulations cannot be said to have produced it."""


NAMED = 3
"""Observables that a refined posterior names of the observation it holds for."""


@dataclass(frozen=True)
class Refined:
    """Where a posterior was refined, and how.

    Attributes
    ----------
    y : dict of str to array
        The observation.
    rounds : int
    n_simulations : int
        Fresh simulations of all rounds together.
    """

    y: Mapping[str, AnyArray]
    rounds: int
    n_simulations: int

    @property
    def brief(self) -> str:
        """The observation in half a line."""
        parts = [
            f"{name} = {value:.4g}" if np.ndim(value) == 0 else f"{name} of shape {np.shape(value)}"
            for name, value in list(self.y.items())[:NAMED]
        ]
        return ", ".join(parts) + (", ..." if len(self.y) > NAMED else "")

    def to_config(self) -> dict[str, int]:
        """Give the numbers, for a file."""
        return {"rounds": self.rounds, "n_simulations": self.n_simulations}


@dataclass(frozen=True, eq=False)
class Core:
    """A trained method, the simulations behind it, and how it came about.

    It draws as the checks ask for it: it is a `sbi_inn.checks.Sampler`.

    Attributes
    ----------
    fitted : Fitted
        On the latent side of the prior.
    simulations : Simulations
        What it was learned from; after loading, the test simulations that were held out.
    test_rows : array of int
        Rows of `simulations` that neither training nor early stopping has seen.
    seed : int
    n_simulations : int
        How many simulations it was learned from.
    training : Training
        How it was trained.
    problem : Problem or None
        What to simulate with.
    stored_scale : array, shape (k,), or None
        `scale`, where the simulations that it came from are not at hand.
    refined : Refined or None
        Where it holds, if its prior was truncated to the neighbourhood of an observation.
    provenance : Provenance
        With what it was made.
    grown : Grown or None
        How the simulations grew to as many as these, if they did.
    asked : Method or None
        The method before anything was filled in from the simulations; no file knows it.
    """

    fitted: Fitted
    simulations: Simulations
    test_rows: IntArray
    seed: int
    n_simulations: int
    training: Training = field(default_factory=Training)
    problem: Problem | None = None
    stored_scale: FloatArray | None = None
    refined: Refined | None = None
    provenance: Provenance = field(default_factory=Provenance)
    grown: Any = None
    asked: Method | None = None

    def __post_init__(self) -> None:
        if self.simulations.schema is None:
            raise SimulationError(
                "no simulation succeeded, so there is no posterior", self.simulations
            )

    def read(self, y: Any) -> Observations:
        """Turn an observation into a batch of one, and warn if the posterior does not hold there.

        Raises
        ------
        ShapeError
            As `Schema.read`.
        """
        return self._warned(self.schema.read(y))

    def read_many(self, ys: Any) -> Observations:
        """Turn observations into a batch, and warn if the posterior does not hold at any of them.

        Raises
        ------
        ShapeError
            As `Schema.read_many`.
        """
        return self._warned(self.schema.read_many(ys))

    @property
    def prior(self) -> Prior:
        """The prior, of the parameters that are inferred, truncated if that was refined."""
        return self.simulations.prior

    @property
    def schema(self) -> Schema:
        """The observation as understood."""
        assert self.simulations.schema is not None
        return self.simulations.schema

    @property
    def method(self) -> Method:
        """What to train other simulations with: as it was asked for, where that is known."""
        return self.asked or self.fitted.settings

    @property
    def nuisances(self) -> tuple[str, ...]:
        """The parameters that are averaged over, not inferred."""
        known = () if self.problem is None else self.problem.prior.names
        return tuple(name for name in known if name not in self.prior.names)

    @property
    def seen_rows(self) -> IntArray:
        """Rows of `simulations` that training or early stopping has seen."""
        return np.setdiff1d(self.simulations.ok, self.test_rows)

    @cached_property
    def scale(self) -> FloatArray:
        """Spread of each statistic over all simulations, which distances are divided by, (k,)."""
        if self.stored_scale is not None:
            return self.stored_scale
        rows = self.simulations.ok
        if self.simulations.on_disk:
            rows = rows[:SCALED]
        return spread(statistics(self.simulations.observations(rows), self.schema))

    @cached_property
    def familiar(self) -> Familiar:
        """What simulations look like: all that are at hand, as there are few held-out ones."""
        return Familiar.of(self, self.simulations.observations(self.simulations.ok[:FAMILIAR]))

    def _warned(self, observations: Observations) -> Observations:
        """Warn about observations that no parameters within a refined region would give."""
        if self.refined is None:
            return observations
        strange = [
            number
            for number, found in enumerate(self.familiar.compare(self, observations))
            if found.p_value < STRANGE
        ]
        if strange:
            which = "this one" if len(observations) == 1 else f"{len(strange)} of these"
            warnings.warn(
                "this posterior was refined for observations like another one, and its simulations "
                f"do not look like {which}: use the posterior that it was refined from",
                stacklevel=4,
            )
        return observations

    # -- draws and densities -----------------------------------------------------------------------

    @cached_property
    def density(self) -> Density:
        """Draws and densities in parameter units."""
        return Density(self.fitted, self.prior, self.n_simulations)

    def rng(self, observations: Observations, seed: int | None = None) -> RowGenerators:
        """Give the random numbers of draws at each observation: the same at every call."""
        return RowGenerators.at(observations, self.seed if seed is None else seed)

    def draw(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw flat parameter vectors, shape (observations, n, dim)."""
        return self.density.draw(observations, n, rng)

    def log_ratio(
        self, flat: FloatArray, observations: Observations, *, normalised: bool
    ) -> FloatArray:
        """Log of posterior over prior density of flat draws (observations, n, dim).

        Returns
        -------
        array, shape (observations, n)
            Up to a constant of each observation unless `normalised`.

        Raises
        ------
        NoDensityError
            If the method can be drawn from only.
        """
        return self.density.log_ratio(flat, observations, normalised=normalised)

    @property
    def columns(self) -> tuple[str, ...]:
        """The scalars of the parameters, then those of derived quantities."""
        return self.simulations.columns

    def extended(self, flat: FloatArray) -> FloatArray:
        """Put derived quantities behind flat parameters (..., dim), shape (..., columns)."""
        return self.simulations.extended(flat)

    # -- what the method offers --------------------------------------------------------------------

    @property
    def evaluations(self) -> int:
        """Evaluations of the network that one draw takes."""
        return self.fitted.evaluations if isinstance(self.fitted, Weigher) else 1

    @property
    def remark(self) -> str:
        """What has to be known about the draws where they are simulated again; may be empty."""
        return self.fitted.remark if isinstance(self.fitted, Emulator) else ""

    def features(self, observations: Observations) -> FloatArray:
        """Summaries that the network has learned, shape (observations, k); k may be 0."""
        if isinstance(self.fitted, Summariser):
            return self.fitted.summarise(observations)
        return np.empty((len(observations), 0))

    def emulator(self, purpose: str) -> Emulator:
        """Give the forward network.

        Raises
        ------
        TypeError
            If the method has none; the message begins with the purpose.
        """
        if not isinstance(self.fitted, Emulator):
            raise TypeError(
                f"{purpose}, a forward network is needed, and the method "
                f'{self.fitted.settings.label} has none: fit with method="inn"'
            )
        return self.fitted

    @cached_property
    def emulation(self) -> Emulation:
        """The forward network, and its errors on the test simulations.

        Raises
        ------
        TypeError
            If the method has none.
        """
        return Emulation(self.emulator("to emulate"), self.simulations, self.test_rows)

    # -- the simulator -----------------------------------------------------------------------------

    @property
    def why_not_again(self) -> str:
        """Why draws cannot be simulated again although there is a simulator; empty if they can.

        Given the data, the parameters that are not inferred are no draws of the prior: they go with
        those that are. With draws of the prior in their place a good posterior would miss.
        """
        if not self.nuisances:
            return ""
        left, one = ", ".join(self.nuisances), len(self.nuisances) == 1
        return (
            f"{left} {'was' if one else 'were'} left out by infer=, and of the values that go with "
            "the draws nothing is known; fit without infer= for checks that simulate again"
        )

    def with_problem(self, problem: Problem | None) -> Core:
        """Give the same with another problem, whose prior is truncated as this one is."""
        if problem is not None and self.prior.box is not None:
            whole = problem.prior.whole
            box = self.prior.box.among(whole.latents_of(self.prior.names), whole.latent_dim)
            problem = replace(problem, prior=whole.truncated(box))
        return replace(self, problem=problem)

    def simulator(self, purpose: str) -> Problem:
        """Give the problem.

        Raises
        ------
        SimulationError
            If there is none; the message begins with the purpose.
        """
        if self.problem is None:
            raise SimulationError(
                f"{purpose}, a simulator is needed, and this posterior has none: give it to "
                "load_posterior(path, simulator=...)"
            )
        return self.problem
