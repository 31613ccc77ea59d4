"""Posterior: what a fit returns, whatever the method behind it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn import draws as labelled
from sbi_inn.methods import Fitted
from sbi_inn.methods.density import Density
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import spread, statistics
from sbi_inn.posterior.catalogue import Catalogue
from sbi_inn.posterior.checking import Trust
from sbi_inn.posterior.exports import Exports
from sbi_inn.posterior.figures import Figures
from sbi_inn.posterior.planning import Outlook
from sbi_inn.posterior.resimulation import Again
from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.training.history import History
from sbi_inn.training.loop import Training
from sbi_inn.typing import FloatArray, IntArray


class Posterior(Again, Trust, Outlook, Figures, Exports, Catalogue):
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
        test_rows: IntArray,
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
    def seen_rows(self) -> IntArray:
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

    # -- files -------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the posterior to a file that `load_posterior` reads; no code is stored."""
        from sbi_inn.posterior.storage import save_posterior

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
        return generator(self.seed if seed is None else seed, Stream.DRAWS)
