"""Simulations: the table that a study is learned from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from sbi_inn.draws import INTERVAL_95, axes_of, columns_of, make_draws
from sbi_inn.errors import PriorError
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.prior import Prior
from sbi_inn.simulation.derived import Derived
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.typing import AnyArray, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sbi_inn.plots.style import Canvas

OK = "ok"
"""What `status` says of a simulation that succeeded."""

INVALID = "invalid"
"""What it says of one that returned NaN or infinity."""

PART = 2**20
"""Rows of `status` that are read at once."""

PRIOR_DRAWS = 20_000
"""Draws for the prior's figures and widths: a quantile of 2.5 % is then good to .1 %."""

PRIOR_NUMBERS = 1_000_000
"""Numbers that these are at most, which fields have many of: a second."""


class Redrawn(Protocol):
    """What training draws anew in every pass: a `Noise`."""

    def __call__(
        self,
        observables: Mapping[str, AnyArray],
        known: Mapping[str, AnyArray],
        schema: Schema,
        rng: np.random.Generator,
    ) -> dict[str, AnyArray]:
        """Change observables of rows, given by name."""
        ...


@dataclass(frozen=True)
class Simulations:
    """A table of simulations: parameters, givens, observables, and the status of each row.

    Attributes
    ----------
    dataset : xarray.Dataset
        Dim `simulation`. One variable per parameter, given and observable, and `status`: "ok",
        "failed" (the simulator raised, or its output does not fit), "invalid" (it returned
        NaN or infinity), "timeout" or "lost" (the process it ran in died). Columns of a set
        or series are padded with NaN beyond the length of each row, which is a variable too.
        Variables have the attributes `label` and `units`; the dataset has `seed` and
        `seconds_per_simulation`.
    prior : Prior
        Distribution that the parameters were drawn from. If it was not stated (`prior.stated`), it
        is fitted to the columns of the table. Only of the parameters that are to be inferred.
    schema : Schema or None
        Names, shapes and kinds of observables and givens, as read from the rows that succeeded;
        None if none did.
    failures : pandas.DataFrame
        One row per failed simulation: its index, parameters, status, error and traceback.
    noise : Noise or None
        Noise that every training epoch draws anew; the observables of `dataset` are without it.
    noisy : dict of str to array, shape (simulation, ...)
        The observables with noise applied once, for validation and tests; empty without noise.
    problem : Problem or None
        The simulator and its prior; None for a table made elsewhere.
    derived : Derived or None
        Functions of the parameters, which draws also show.
    """

    dataset: xr.Dataset
    prior: Prior
    schema: Schema | None
    failures: pd.DataFrame
    noise: Redrawn | None = None
    noisy: Mapping[str, AnyArray] = field(default_factory=dict)
    problem: Any = field(default=None, repr=False)  # a Problem is made of what stands above it here
    derived: Derived | None = None

    def __len__(self) -> int:
        return self.dataset.sizes["simulation"]

    @cached_property
    def ok(self) -> IntArray:
        """Indices of the rows that succeeded."""
        status, starts = self.dataset["status"].variable, range(0, len(self), PART)
        parts = [np.flatnonzero(status[i : i + PART].values == OK) + i for i in starts]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    @property
    def on_disk(self) -> bool:
        """Whether the table stays on disk and is read in parts, as that of a store."""
        return not all(v._in_memory for v in self.dataset.variables.values())

    def values(self, name: str, rows: Any) -> AnyArray:
        """Return rows of a variable; if it is on disk, only these are read."""
        return self.dataset.variables[name][{"simulation": rows}].values

    def parameters(self, rows: Any = None) -> dict[str, FloatArray]:
        """Return the parameters of `rows` (default: those that succeeded), by name."""
        rows = self.ok if rows is None else rows
        return {name: self.values(name, rows) for name in self.prior.names}

    def observations(self, rows: Any = None) -> Observations:
        """Return the observations of `rows` (default: those that succeeded) as arrays.

        Raises
        ------
        SimulationError
            If no simulation succeeded.
        """
        if self.schema is None:
            raise SimulationError("no simulation succeeded, so nothing was observed", self)
        rows = self.ok if rows is None else rows
        return self._stacked(rows, {name: value[rows] for name, value in self.noisy.items()})

    def renewed(self, rows: Any, rng: np.random.Generator) -> Observations:
        """Return the observations of rows, with noise drawn anew."""
        return self._stacked(rows, self.drawn(rows, rng), tolerant=True)

    def drawn(self, rows: Any, rng: np.random.Generator) -> dict[str, AnyArray]:
        """Return the observables of rows, with noise drawn anew, by name."""
        assert self.noise is not None
        assert self.schema is not None
        schema = self.schema
        kept = (*schema.observables, "status")
        others = [str(name) for name in self.dataset.data_vars if name not in kept]
        observables, known = (
            {name: self.values(name, rows) for name in names}
            for names in (schema.observables, others)
        )
        return self.noise(observables, known, schema, rng)

    def inferring(self, names: Sequence[str] | None) -> Simulations:
        """Infer only some of the parameters; the others remain as columns of the table.

        Raises
        ------
        PriorError
            As `Prior.marginal`.
        """
        return self if names is None else replace(self, prior=self.prior.marginal(names))

    def deriving(self, derived: Derived | Mapping[str, Callable[..., Any]] | None) -> Simulations:
        """Add derived quantities to draws: functions of the parameters, by name.

        Raises
        ------
        PriorError
            As `Derived.of`, or if one has the name of an observable or given.
        """
        if not isinstance(derived, Derived):
            derived = Derived.of(derived, self.prior)
        schema = self.schema
        taken = [] if schema is None else [*schema.asked, *schema.constants, *schema.sets]
        twice = [] if derived is None else [name for name in derived.widths if name in taken]
        if twice:
            raise PriorError(
                f"the derived quantity {twice[0]!r} has the name of an observable or given: "
                "choose another"
            )
        return replace(self, derived=derived)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all scalars: of the parameters, then of derived quantities."""
        return self.prior.columns + (() if self.derived is None else self.derived.columns)

    def extended(self, flat: FloatArray) -> FloatArray:
        """Append derived quantities to flat parameters (..., dim), shape (..., columns)."""
        if self.derived is None:
            return flat
        rows = flat.reshape(-1, flat.shape[-1])
        more = self.derived.flat(self.prior.unflatten(rows))
        return np.concatenate([flat, more.reshape(*flat.shape[:-1], -1)], axis=-1)

    def take(self, rows: Any) -> Simulations:
        """Choose rows, by indices."""
        return replace(
            self,
            dataset=self.dataset.isel(simulation=rows),
            failures=_failures_of(self.failures, np.arange(len(self))[rows]),
            noisy={name: value[rows] for name, value in self.noisy.items()},
        )

    def as_observed(self) -> xr.Dataset:
        """Return the table with noise in its observables, applied once."""
        noisy = {name: self.dataset[name].copy(data=v) for name, v in self.noisy.items()}
        return self.dataset.assign(noisy)

    def _stacked(
        self, rows: Any, changed: Mapping[str, AnyArray], *, tolerant: bool = False
    ) -> Observations:
        """Stack rows of the table, of which some observables have been changed."""
        assert self.schema is not None
        schema = self.schema
        if tolerant:  # a gap so rare that it has not been seen before shall not end a training
            schema = replace(schema, missing=dict.fromkeys(schema.asked, 1.0))
        kept = {n: self.values(n, rows) for n in schema.asked if n not in changed}
        sizes = {name: self.values(name, rows).astype(np.int64) for name in schema.sets}
        return schema.stack(kept | dict(changed), sizes)

    def attrs(self, names: tuple[str, ...]) -> dict[str, Mapping[str, str]]:
        """Label and units of each name, as stored with its variable."""
        return {name: {k: str(v) for k, v in self.dataset[name].attrs.items()} for name in names}

    @property
    def units(self) -> dict[str, str]:
        """Units of the parameters and derived quantities that have any, by name."""
        return self._words("units")

    def _words(self, kind: str) -> dict[str, str]:
        own = {name: attrs[kind] for name, attrs in self.attrs(self.prior.names).items()}
        if self.derived is None:
            return own
        return own | dict(self.derived.labels if kind == "label" else self.derived.units)

    def warn_units(self, ys: Any) -> None:
        """Warn if the units of observations, given as a Dataset, differ from the simulations'."""
        if not isinstance(ys, xr.Dataset) or self.schema is None:
            return
        for name in self.schema.asked:
            own = self.dataset[name].attrs.get("units", "")
            theirs = ys[name].attrs.get("units", "") if name in ys else ""
            if own and theirs and own != theirs:
                warnings.warn(
                    f"{name} is in {theirs}, and was simulated in {own}: units are not converted",
                    stacklevel=5,  # at the caller of Posterior.sample
                )

    def label(
        self, parameters: Mapping[str, npt.ArrayLike], attrs: Mapping[str, Any] | None = None
    ) -> xr.Dataset:
        """Turn draws of the parameters into a Dataset, with labels, units and prior widths.

        Parameters
        ----------
        parameters : mapping of str to array, shape (m,), (m, k) or (m, height, width)
        attrs : mapping, optional
            Attributes of the Dataset.
        """
        named = {name: np.asarray(value) for name, value in parameters.items()}
        return make_draws(
            self._with_derived(named),
            labels=self._words("label"),
            units=self.units,
            prior_widths=self._prior_widths,
            attrs=attrs,
        )

    def label_each(self, flat: FloatArray) -> xr.Dataset:
        """Do the same for flat draws (observations, m, dim): dims `observation` and `draw`."""
        together = self.label(self.prior.unflatten(flat.reshape(-1, flat.shape[2])))
        variables = {
            name: (
                ("observation", *variable.dims),
                variable.values.reshape(*flat.shape[:2], *variable.shape[1:]),
                variable.attrs,
            )
            for name, variable in together.data_vars.items()
        }
        return xr.Dataset(variables)

    @cached_property
    def prior_draws(self) -> xr.Dataset:
        """Draws of the prior, with labels; always the same ones.

        If the prior was not stated, they are rows of the table, to which it was only fitted column
        by column.
        """
        if self.prior.drawable:
            return self.label(self._prior_sample)
        chosen = np.random.default_rng(0).permutation(self.ok)[: self._n_prior_draws]
        return self.label(self.parameters(chosen))

    @cached_property
    def _prior_sample(self) -> dict[str, FloatArray]:
        return self.prior.sample(self._n_prior_draws, np.random.default_rng(0))

    @property
    def _n_prior_draws(self) -> int:
        return min(PRIOR_DRAWS, PRIOR_NUMBERS // self.prior.dim)

    @cached_property
    def _prior_widths(self) -> dict[str, FloatArray]:
        low, high = INTERVAL_95
        return {
            name: np.quantile(values, high, axis=0) - np.quantile(values, low, axis=0)
            for name, values in self._with_derived(self._prior_sample).items()
        }

    def _with_derived(self, named: dict[str, FloatArray]) -> dict[str, AnyArray]:
        return named if self.derived is None else named | self.derived.values(named)

    def plot_failures(self, *, width_mm: float = 180.0, fig: Canvas | None = None) -> Figure:
        """Plot where in parameter space simulations fail, and with which status.

        Parameters
        ----------
        width_mm : float
            Width on paper: 180 for a double column, 85 for a single one.
        fig : Figure or SubFigure, optional
            Draw into it.

        Raises
        ------
        ShapeError
            If none failed.
        """
        from sbi_inn.plots.failures import plot_failures  # loads matplotlib

        everything = np.arange(len(self))
        draws = self.deriving(None).label(self.parameters(everything))
        return plot_failures(
            list(columns_of(draws)),
            self.prior.flatten(self.parameters(everything)),
            self.dataset["status"].values,
            width_mm=width_mm,
            fig=fig,
        )

    def __repr__(self) -> str:
        counts = pd.Series(self.dataset["status"].values).value_counts()
        states = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        sees = self.schema.example() if self.schema else "nothing: no simulation succeeded"
        return (
            f"<sbi_inn.Simulations: {len(self):,} rows ({states})>\n"
            f"  parameters: {', '.join(self.prior.names)}\n"
            f"  observation: {sees}"
        )


def _failures_of(failures: pd.DataFrame, rows: IntArray) -> pd.DataFrame:
    """Keep the failures of rows, under the places that these have among them."""
    if not len(failures):
        return failures
    places = pd.DataFrame({"simulation": rows, "place": np.arange(len(rows))})
    kept = places.merge(failures, on="simulation")
    return kept.assign(simulation=kept["place"])[list(failures.columns)]


def variable(
    name: str,
    values: FloatArray,
    *,
    label: str = "",
    units: str = "",
    length: str | None = None,
    rows: str = "simulation",
    parameter: bool = False,
) -> xr.Variable:
    """Label an array of a table, shape (rows, ...).

    Parameters
    ----------
    name : str
    values : array, shape (rows, ...)
    label, units : str
        By default the name, and none.
    length : str, optional
        Of the set that it is a column of: then the second axis is that of its entries.
    rows : str
        What the dim of the rows is called.
    parameter : bool
        Its axes are then called as those of draws are.
    """
    entry = [f"{length}_entry"] if length else []
    axes = values.ndim - 1 - len(entry)
    if parameter:
        own = axes_of(name, axes)
    else:
        own = [f"{name}_dim"] if axes == 1 else [f"{name}_dim_{i}" for i in range(axes)]
    return xr.Variable([rows, *entry, *own], values, {"label": label or name, "units": units})
