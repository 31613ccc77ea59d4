"""Posterior: what a fit returns, whatever the method behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from sbi_inn import draws as labelled
from sbi_inn.catalogue import Catalogue
from sbi_inn.data import Simulations
from sbi_inn.density import Density
from sbi_inn.emulation import Emulation
from sbi_inn.errors import SimulationError
from sbi_inn.exports import Exports
from sbi_inn.figures import Figures
from sbi_inn.history import History
from sbi_inn.methods import Emulator, Fitted
from sbi_inn.methods.abc import rejection_abc
from sbi_inn.observations import Observations
from sbi_inn.outlook import Outlook
from sbi_inn.prior import Prior
from sbi_inn.schema import Schema
from sbi_inn.simulation.again import at_givens_of, other_givens, resimulated
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.statistics import distance, spread, statistics
from sbi_inn.training import Training
from sbi_inn.trust import Trust

FloatArray = npt.NDArray[np.float64]

# Streams of the seed, so that the parts of a study are independent of each other.
RESIMULATE, ABC = 1, 3


class Posterior(Trust, Outlook, Figures, Exports, Catalogue):
    """The posterior of a study, for any observation.

    Made by `fit_posterior` or `load_posterior`. An observation `y` is a dict of observables (and
    givens), a Dataset, or the bare array where there is one observable. Without `seed=`, all calls
    share the fit's own seed: `summary(y)`, `corner(y)` and `sample(y)` show the same draws.

    Attributes
    ----------
    simulations : Simulations
        What it was learned from; after loading, the held-out test simulations.
    n_simulations : int
        How many simulations it was learned from.
    seed : int
    last_check, last_verdict : str
        What the last general check said, empty before.
    """

    def __init__(
        self,
        fitted: Fitted,
        simulations: Simulations,
        test_rows: npt.NDArray[np.int64],
        *,
        seed: int,
        problem: Problem | None = None,
        n_simulations: int | None = None,
        training: Training | None = None,
        last_check: str = "",
        last_verdict: str = "",
        scale: FloatArray | None = None,
    ) -> None:
        if simulations.schema is None:
            raise SimulationError("no simulation succeeded, so there is no posterior", simulations)
        self.fitted = fitted
        self.simulations = simulations
        self.test_rows = test_rows
        self.seed = seed
        self.problem = problem
        self.n_simulations = n_simulations or len(simulations)
        self.training = training or Training()
        self.last_check = last_check
        self.last_verdict = last_verdict
        self._warned = False
        self.density = Density(fitted, simulations.prior)
        self._schema = simulations.schema
        self._scale = scale

    @property
    def prior(self) -> Prior:
        """The prior, of the parameters that are inferred."""
        return self.simulations.prior

    @property
    def nuisances(self) -> tuple[str, ...]:
        """The parameters that are averaged over, not inferred (`fit_posterior(infer=...)`)."""
        known = self.prior.names if self.problem is None else self.problem.prior.names
        return tuple(name for name in known if name not in self.prior.names)

    @property
    def schema(self) -> Schema:
        """The observation as understood."""
        return self._schema

    @property
    def history(self) -> History:
        """What happened in training."""
        return self.fitted.history

    @property
    def settings(self) -> Any:
        """Settings of the method, with everything that was chosen from the data."""
        return self.fitted.settings

    @property
    def seen_rows(self) -> npt.NDArray[np.int64]:
        """Rows of `simulations` that training or early stopping has seen."""
        return np.setdiff1d(self.simulations.ok, self.test_rows)

    @property
    def scale(self) -> FloatArray:
        """Spread of each observable over all simulations, which distances are divided by."""
        if self._scale is None:
            self._scale = spread(statistics(self.simulations.observations(), self.schema))
        return self._scale

    # -- draws and densities -----------------------------------------------------------------------

    def sample(self, y: Any, n: int = 1000, *, seed: int | None = None) -> xr.Dataset:
        """Draw from the posterior.

        Parameters
        ----------
        y : mapping, Dataset or array
            One observation.
        n : int
            Number of draws.
        seed : int, optional
            By default the fit's own.

        Returns
        -------
        xarray.Dataset
            One variable per parameter, dim `draw`, with labels and units; every draw lies inside
            the prior's support.

        Raises
        ------
        ShapeError
            If `y` does not fit the observations that were simulated.
        """
        flat = self.draw(self.schema.read(y), n, self._rng(seed))[0]
        self.simulations.warn_units(y)
        self._warn_if_distrusted()
        return self.simulations.label(self.prior.unflatten(flat))

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw flat parameter vectors, shape (observations, n, dim), as checks need them."""
        return self.density.draw(observations, n, rng)

    def log_ratio(
        self, flat: FloatArray, observations: Observations, *, normalised: bool
    ) -> FloatArray:
        """Log of posterior over prior density of flat draws, as checks need it."""
        return self.density.log_ratio(flat, observations, normalised=normalised)

    def log_prob(
        self, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any], y: Any
    ) -> xr.DataArray:
        """Log posterior density in parameter units, normalised.

        Of discrete parameters it is the log probability, times the density of the others.

        Parameters
        ----------
        parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
            Variables that are no parameters, such as derived ones, are passed over.
        y : mapping, Dataset or array
            One observation.

        Returns
        -------
        xarray.DataArray
            Dim `draw`; -inf outside the prior's support.

        Raises
        ------
        PriorError
            If a parameter is missing.
        ShapeError
            If `y` does not fit.
        NoDensityError
            If the method can be drawn from only, or there are more than eight discrete parameters.
        """
        observation = self.schema.read(y)
        named = labelled.by_name(parameters, self.prior.names)
        log_prob = self.density.log_prob(named, observation)
        return xr.DataArray(log_prob, dims="draw", name="log_prob")

    def map_estimate(self, y: Any, *, seed: int | None = None) -> dict[str, Any]:
        """Find the parameters of highest posterior density (in parameter units, as `log_prob`).

        Starts from 4,096 draws, then climbs, for each of the best values of discrete parameters.

        Returns
        -------
        dict
            Parameter name to number, or to an array for a vector parameter.
        """
        found = self.density.highest(self.schema.read(y), self._rng(seed))
        return {n: v[0].item() if v.ndim == 1 else v[0] for n, v in found.items()}

    def summary(self, y: Any, n: int = 10_000, *, seed: int | None = None) -> pd.DataFrame:
        """Summarise the posterior, one row a parameter.

        Returns
        -------
        DataFrame
            Mean, sd, median, 68 % and 95 % intervals, and the width relative to the prior's.
        """
        return labelled.summary(self.sample(y, n, seed=seed))

    # -- against the simulator ---------------------------------------------------------------------

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

    def at_tolerance(self, tolerance: float | None) -> Posterior:
        """Give this posterior with another standard deviation of the observation (method "inn").

        Parameters
        ----------
        tolerance : float or None
            In units of the observables' spread. 0: draws at exactly the observation, which have no
            density. None: the typical error of the forward network.

        Raises
        ------
        TypeError
            If the method has no forward network.
        """
        return Posterior(
            self._emulator("to set a tolerance").at_tolerance(tolerance),
            self.simulations,
            self.test_rows,
            seed=self.seed,
            problem=self.problem,
            n_simulations=self.n_simulations,
            training=self.training,
            scale=self.scale,
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
            flat = self.draw(observation, n, self._rng(seed))[0]
            again, rows = self.emulation.again(flat, observation)
        else:
            problem = self._needs_all("to re-simulate")
            others = other_givens(given or {}, problem, self.schema)
            flat = self.draw(observation, n, self._rng(seed))[0]
            again, rows = resimulated(
                problem,
                self.simulations,
                flat,
                observation,
                seed=self.seed if seed is None else seed,
                stream=RESIMULATE,
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
                stream=ABC,
            ).inferring(self.prior.names)
        return rejection_abc(table, y, quantile=quantile, epsilon=epsilon)

    # -- files -------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the posterior to a file that `load_posterior` reads; no code is stored."""
        from sbi_inn.storage import save_posterior

        save_posterior(self, path)

    def __repr__(self) -> str:
        how = self.fitted.describe()
        seen = self.last_check or "not checked yet"
        lines = [
            f"<sbi_inn.Posterior of {', '.join(self.prior.names)} given {self.schema.example()}>",
            f"  {how}, trained on {self.n_simulations:,} simulations "
            f"in {self.history.seconds:.0f} s ({self.history.stopped})",
            f"  last check: {seen}",
            "  next: posterior.check()",
            "        posterior.sample(y, 10_000)",
            "        posterior.corner(y)",
        ]
        return "\n".join(lines)

    # -- helpers -----------------------------------------------------------------------------------

    def _rng(self, seed: int | None) -> np.random.Generator:
        return np.random.default_rng(self.seed if seed is None else seed)

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
                f'{self.settings.label} has not: fit with method="inn"'
            )
        return self.fitted
