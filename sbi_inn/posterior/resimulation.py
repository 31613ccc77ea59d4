"""A posterior and its simulator: re-simulation, rejection ABC, and the emulator in its place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.methods import Emulator, Fitted
from sbi_inn.methods.abc import rejection_abc
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import distance, statistics
from sbi_inn.posterior.emulation import Emulation
from sbi_inn.prior import Prior
from sbi_inn.simulation.again import at_givens_of, other_givens, resimulated
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.typing import FloatArray, IntArray

# Streams of the seed, so that the parts of a study are independent of each other.


class Again(ABC):
    """A posterior whose draws are simulated again, beside rejection ABC.

    Attributes
    ----------
    fitted : Fitted
    simulations : Simulations
    test_rows : array of int
        Rows of `simulations` that training has never seen.
    n_simulations : int
    seed : int
    problem : Problem or None
    """

    fitted: Fitted
    simulations: Simulations
    test_rows: IntArray
    n_simulations: int
    seed: int
    problem: Problem | None

    @property
    @abstractmethod
    def prior(self) -> Prior:
        """The prior."""

    @property
    @abstractmethod
    def nuisances(self) -> tuple[str, ...]:
        """The parameters that are averaged over, not inferred."""

    @property
    @abstractmethod
    def schema(self) -> Schema:
        """The observation as understood."""

    @property
    @abstractmethod
    def scale(self) -> FloatArray:
        """Spread of each observable over all simulations."""

    @abstractmethod
    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw flat parameter vectors, shape (observations, n, dim)."""

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

    @property
    def remark(self) -> str:
        """What has to be known about the draws where they are simulated again."""
        return self.fitted.remark if isinstance(self.fitted, Emulator) else ""

    def resimulate(
        self,
        y: Any,
        n: int = 1000,
        *,
        given: Mapping[str, Any] | None = None,
        emulator: bool = False,
        seed: int | None = None,
    ) -> xr.Dataset:
        """Simulate again at posterior draws, with the observation's own givens or with others.

        Parameters
        ----------
        y : mapping, Dataset or array
        n : int
            Number of draws.
        given : mapping, optional
            Givens by name, in place of the observation's own, within the trained range or not: a
            later last day, as in `{"days": 150}`, makes it a forecast, if what is random in the
            simulator is only the noise of each day. `error` and `scaled_error` are left out then.
        emulator : bool
            Use the forward network (method "inn") in place of the simulator.
        seed : int, optional

        Returns
        -------
        xarray.Dataset
            Dim `draw`: the observables; `error`, the Euclidean distance from the observation in the
            observables' own units; `scaled_error`, each observable divided by its spread over the
            simulations. Sets are compared by mean, standard deviation and quantiles, missing values
            are passed over. NaN where a simulation failed. The attribute `remark` says how closely
            draws of an INN keep to y.

        Raises
        ------
        SimulationError
            If there is no simulator, or some parameters were not inferred.
        ShapeError
            If `given` holds what is no given, or is no value of it.
        TypeError
            If an emulator is asked for, and the method has none.
        ValueError
            If it is asked for other givens.
        """
        if emulator and given:
            raise ValueError("other givens take the simulator: pass given= or emulator=True")
        observation = self.schema.read(y)
        if emulator:
            flat = self.draw(
                observation, n, generator(self.seed if seed is None else seed, Stream.DRAWS)
            )[0]
            again, rows = self.emulation.again(flat, observation)
        else:
            problem = self._needs_all("to re-simulate")
            others = other_givens(given or {}, problem, self.schema)
            flat = self.draw(
                observation, n, generator(self.seed if seed is None else seed, Stream.DRAWS)
            )[0]
            again, rows = resimulated(
                problem,
                self.simulations,
                flat,
                observation,
                seed=self.seed if seed is None else seed,
                stream=Stream.RESIMULATION,
                given=others,
            )
        if given:
            return again
        gap = rows - statistics(observation, self.schema)
        again["error"] = ("draw", distance(gap))
        again["scaled_error"] = ("draw", distance(gap / self.scale))
        if self.remark:
            again.attrs["remark"] = self.remark
        return again

    def rejection_abc(
        self,
        y: Any,
        *,
        quantile: float | None = None,
        epsilon: float | None = None,
        n_simulations: int | None = None,
        seed: int | None = None,
    ) -> xr.Dataset:
        """Draw from the posterior by rejection ABC, the baseline beside the network.

        Parameters
        ----------
        y : mapping, Dataset or array
        quantile, epsilon : float, optional
            As in `sbi_inn.rejection_abc`; by default the closest .005 of the simulations.
        n_simulations : int, optional
            Simulate this many anew, at the observation's own givens. By default the fit's
            simulations are used again, unless givens vary: then as many are simulated anew.
        seed : int, optional

        Returns
        -------
        xarray.Dataset
            Draws, with `acceptance_rate`, `epsilon` and `n_simulations` in the attributes.
        """
        observation = self.schema.read(y)
        table = self.simulations
        if n_simulations is not None or self.schema.trained:
            problem = self._needs_simulator("for ABC with fresh simulations")
            table = run(
                at_givens_of(observation, self.schema, problem),
                n=n_simulations or self.n_simulations,
                seed=self.seed if seed is None else seed,
                progress=False,
                stream=Stream.ABC,
            ).inferring(self.prior.names)
        return rejection_abc(table, y, quantile=quantile, epsilon=epsilon)

    def emulate(self, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any]) -> xr.Dataset:
        """Predict the observables by the network that was learned forwards (method "inn").

        Parameters
        ----------
        parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
            With the givens that varied in training among them.

        Returns
        -------
        xarray.Dataset
            Dim `draw`; NaN outside the prior's support. The attribute `rmse` of each observable is
            the root-mean-square error on the test simulations, in its own units.

        Raises
        ------
        PriorError, ShapeError
            If a parameter or a given is missing.
        TypeError
            If the method has no forward network.
        """
        return self.emulation.predict(parameters)

    @cached_property
    def emulation(self) -> Emulation:
        """The forward network; `.errors` is a table of its errors on the test simulations."""
        return Emulation(self._emulator("to emulate"), self.simulations, self.test_rows)

    def _needs_simulator(self, purpose: str) -> Problem:
        if self.problem is None:
            raise SimulationError(
                f"{purpose}, a simulator is needed, and this posterior has none: give it to "
                "load_posterior(path, simulator=...)"
            )
        return self.problem

    def _needs_all(self, purpose: str) -> Problem:
        """Give the simulator, unless it takes parameters that were not inferred."""
        problem = self._needs_simulator(purpose)
        if self.nuisances:
            raise SimulationError(f"{purpose}, every parameter is needed: {self.why_not_again}")
        return problem

    def _emulator(self, purpose: str) -> Emulator:
        if not isinstance(self.fitted, Emulator):
            raise TypeError(
                f"{purpose}, a network that was learned forwards is needed, which the method "
                f'{self.fitted.settings.label} has not: fit with method="inn"'
            )
        return self.fitted
