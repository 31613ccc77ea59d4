"""The forward network of a posterior in place of its simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.draws import by_name
from sbi_inn.errors import ShapeError
from sbi_inn.methods import Emulator
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import AnyArray, FloatArray, IntArray


@dataclass(frozen=True)
class Emulation:
    """A forward network, and the simulations that its error is measured on.

    Attributes
    ----------
    emulator : Emulator
    simulations : Simulations
    test_rows : array of int
        Rows that training has never seen.
    """

    emulator: Emulator
    simulations: Simulations
    test_rows: IntArray

    def predict(self, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any]) -> xr.Dataset:
        """Predict the observables of rows of parameters and givens, dim `draw`.

        NaN outside the prior's support, where nothing was learned.

        Raises
        ------
        PriorError
            If a parameter is missing.
        ShapeError
            If a given that varied in training is missing, or has another number of rows.
        """
        prior, schema = self.simulations.prior, self._schema
        givens = by_name(parameters, schema.givens)
        missing = [name for name in schema.givens if name not in givens]
        if missing:
            raise ShapeError(f"expected the givens {', '.join(missing)} beside the parameters")
        named = by_name(parameters, prior.names)
        inside = np.isfinite(prior.log_prob(named))
        leading = {n: v[(..., *(0,) * len(schema.shape(n)))] for n, v in givens.items()}
        rows = _rows({"parameters": inside, **leading})
        inside = np.broadcast_to(inside, rows)
        flat = np.broadcast_to(prior.flatten(named), (rows, prior.dim))
        columns = [
            np.broadcast_to(givens[n], (rows, *schema.shape(n))).reshape(rows, -1)
            for n in schema.givens
        ]
        steer = np.concatenate([np.empty((rows, 0)), *columns], axis=1)
        vector = np.full((rows, schema.observable_columns()), np.nan)
        vector[inside] = self._predict(flat[inside], steer[inside])
        return self._label(vector)

    def again(self, flat: FloatArray, observation: Observations) -> tuple[xr.Dataset, FloatArray]:
        """Predict at draws of one observation's posterior, with the observation's own givens.

        Returns
        -------
        observables : xarray.Dataset
            Dim `draw`.
        rows : array, shape (draws, observables)
        """
        givens = observation.vector[:, self._schema.observable_columns() :]
        vector = self._predict(flat, np.broadcast_to(givens, (len(flat), givens.shape[1])))
        return self._label(vector), vector

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Error on the test simulations, one row an observable.

        Returns
        -------
        DataFrame
            `rmse`, root-mean-square error in the observable's units; `relative`, the same divided
            by the standard deviation of the observable.
        """
        schema, rows, table = self._schema, self.test_rows, self.simulations
        seen, m = table.observations(rows), schema.observable_columns()
        truth = table.prior.flatten(table.parameters(rows))
        gap = self._predict(truth, seen.vector[:, m:]) - seen.vector[:, :m]
        rmse, spread = np.sqrt((gap**2).mean(axis=0)), seen.vector[:, :m].std(axis=0)
        relative = np.divide(rmse, spread, out=np.full(m, np.nan), where=spread > 0)
        index = pd.Index(schema.columns[:m], name="observable")
        return pd.DataFrame({"rmse": rmse, "relative": relative}, index=index)

    @property
    def _schema(self) -> Schema:
        assert self.simulations.schema is not None
        return self.simulations.schema

    def _predict(self, flat: FloatArray, givens: FloatArray) -> FloatArray:
        prior = self.simulations.prior
        return self.emulator.emulate(prior.to_latent(prior.unflatten(flat)), givens)

    def _label(self, vector: FloatArray) -> xr.Dataset:
        """Name predictions as the simulator does, with their error in the attributes."""
        schema, table = self._schema, self.simulations.dataset
        rmse = schema.fold(self.errors["rmse"].to_numpy()[None])
        variables = {}
        for name, values in schema.fold(vector).items():
            error = rmse[name][0]
            about = {**table[name].attrs, "rmse": float(error) if error.ndim == 0 else error}
            variables[name] = (("draw", *table[name].dims[1:]), values, about)
        return xr.Dataset(variables)


def _rows(values: Mapping[str, AnyArray]) -> int:
    """Count the rows of parameters and givens; what has one row serves all."""
    shapes = {name: value.shape for name, value in values.items()}
    try:
        (rows,) = np.broadcast_shapes(*shapes.values())
    except ValueError:
        raise ShapeError(
            f"expected the same number of rows of each; got the shapes {shapes}"
        ) from None
    return rows
