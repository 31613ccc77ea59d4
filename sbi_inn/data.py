"""Simulations: the table that a study is learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from sbi_inn.errors import SimulationError
from sbi_inn.prior import Prior
from sbi_inn.schema import Observations, Schema

OK, FAILED, INVALID = "ok", "failed", "invalid"


@dataclass(frozen=True)
class Simulations:
    """A table of simulations: parameters, givens, observables and what became of each row.

    Attributes
    ----------
    dataset : xarray.Dataset
        Dim `simulation`. One variable per parameter, given and observable, and `status`: "ok",
        "failed" (the simulator raised) or "invalid" (it returned NaN or infinity). Columns of a
        set are padded with NaN beyond the row's own length. Variables carry `label` and `units`;
        the attributes carry `seed` and `seconds_per_simulation`.
    prior : Prior
        What the parameters were drawn from.
    schema : Schema or None
        The observation as learned from the rows that succeeded; None if none did.
    failures : pandas.DataFrame
        One row per failed simulation: its index, parameters, status, error and traceback.
    """

    dataset: xr.Dataset
    prior: Prior
    schema: Schema | None
    failures: pd.DataFrame

    def __len__(self) -> int:
        return self.dataset.sizes["simulation"]

    @cached_property
    def ok(self) -> npt.NDArray[np.int64]:
        """Indices of the rows that succeeded."""
        return np.flatnonzero(self.dataset["status"].values == OK)

    def parameters(self, rows: Any = None) -> dict[str, npt.NDArray[np.float64]]:
        """Give the parameters of `rows` (default: those that succeeded), by name."""
        rows = self.ok if rows is None else rows
        return {name: self.dataset[name].values[rows] for name in self.prior.names}

    def observations(self, rows: Any = None) -> Observations:
        """Give the observations of `rows` (default: those that succeeded) as arrays.

        Raises
        ------
        SimulationError
            If no simulation succeeded.
        """
        if self.schema is None:
            raise SimulationError("no simulation succeeded, so nothing was observed", self)
        rows = self.ok if rows is None else rows
        schema = self.schema
        values = {name: self.dataset[name].values[rows] for name in schema.asked}
        sizes = {name: self.dataset[name].values[rows].astype(np.int64) for name in schema.sets}
        return schema.stack(values, sizes)

    def take(self, rows: Any) -> Simulations:
        """Choose rows, by indices."""
        return replace(self, dataset=self.dataset.isel(simulation=rows), failures=self.failures[:0])

    def attrs(self, names: tuple[str, ...]) -> dict[str, Mapping[str, str]]:
        """Label and units of each name, as stored with its variable."""
        return {name: {k: str(v) for k, v in self.dataset[name].attrs.items()} for name in names}

    def __repr__(self) -> str:
        counts = pd.Series(self.dataset["status"].values).value_counts()
        states = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        sees = self.schema.example() if self.schema else "nothing: no simulation succeeded"
        return (
            f"<sbi_inn.Simulations: {len(self):,} rows ({states})>\n"
            f"  parameters: {', '.join(self.prior.names)}\n"
            f"  observation: {sees}"
        )
