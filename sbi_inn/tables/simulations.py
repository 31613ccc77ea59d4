"""Read simulations that were made elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import PriorError, ShapeError
from sbi_inn.observation.schema import Schema
from sbi_inn.prior import Prior
from sbi_inn.simulation.covered import columns_of, ranges
from sbi_inn.simulation.outputs import finite_rows
from sbi_inn.simulation.simulations import INVALID, OK, SimulationError, Simulations, variable
from sbi_inn.simulation.store import is_store, read_store
from sbi_inn.tables.groups import Sets
from sbi_inn.tables.prior import check_stated, read_off
from sbi_inn.tables.reading import Contents, Wanted, contents, said, unused
from sbi_inn.tables.source import Source, Spec, as_columns, columns_in
from sbi_inn.typing import AnyArray, BoolArray

FEWEST = 20
"""Rows below which quantiles say nothing; a fit needs 100."""

FEW_VALUES = 50
"""Different values of a parameter up to which a large table is a grid."""


def read_simulations(
    table: pd.DataFrame | xr.Dataset | str | Path,
    *,
    parameters: Spec | str | None = None,
    observables: Spec | str | None = None,
    given: Spec | str | None = None,
    sets: Sets | None = None,
    fields: Sequence[str] | str = (),
    by: str | None = None,
    prior: Prior | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    labels: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Simulations:
    """Read simulations that were made elsewhere, for `fit_posterior`.

    One row is one simulation, unless `by` says which rows belong together. A store written by
    `simulate(..., store=)` is read with its prior, givens and labels, and stays on disk.

    Parameters
    ----------
    table : DataFrame, Dataset, str or Path
        A path ends in .csv, .tsv, .parquet, .nc or .zarr. The rows of a Dataset are its dim
        "simulation", or else the first dim of its first parameter; its variables keep their shapes.
    parameters, observables, given : list of str, or mapping of str to column or list of columns
        Columns that are inferred, that are observed, and that are known but not inferred. A store
        needs none of these. A mapping gives names: `{"flux": ["f1", "f2"], "period": "P [d]"}`
        makes a vector of two columns and renames one. A vector whose columns are `flux[0]`,
        `flux[1]`, ... is found by its name. By default every other column of numbers is an
        observable.
    sets : mapping of str to list of str, optional
        Sets of exchangeable measurements: from a name for the size of the set to the observables
        that are its paired columns. In a Dataset these have an axis of entries, padded with NaN.
    fields : list of str, optional
        Vector parameters that are profiles: neighbouring entries belong together. Parameters with
        two axes, as in a Dataset, are maps in any case. The posterior is then one of fields
        (docs/fields.md).
    by : str, optional
        The column that says which rows belong to one simulation, if each row is a measurement.
    prior : Prior, optional
        The distribution that the parameters were drawn from; it is compared with the table. If it
        is not stated, smooth monotone maps are fitted to the columns instead. The prior is then the
        joint distribution of the parameters in the table, correlations included, and the posterior
        density is normalised in the parameters' units. Whatever needs the density of the prior
        (another prior, method "inn") raises an error. The maps are fitted to all rows that
        succeeded, including those held out for testing.
    bounds : mapping of str to (low, high), optional
        If no prior is stated: limits of the draws, such as `{"fraction": (0, 1)}` or
        `{"mass": (0, np.inf)}`. Without them draws may lie slightly outside the table's range.
    labels, units : mapping of str to str, optional
        By default the attributes `long_name` and `units` of a Dataset's variables.
    progress : bool
        Print what was read, and what was ignored.

    Returns
    -------
    Simulations
        Rows with NaN or infinity have the status "invalid", and are listed in `.failures`.

    Raises
    ------
    ShapeError
        If a column is missing, comes twice or holds text; if a parameter is the same in every row;
        if rows of one simulation disagree; if `fields` names a parameter that is not a profile.
    SimulationError
        If there are fewer than 20 rows without NaN.
    PriorError
        If rows lie outside the support of the prior or outside the bounds, or if `prior` and
        `bounds` are both given; if a field has sides that are odd or below 4 pixels.
    LoadError, ImportError
        If a file cannot be read, or a package for reading it is missing.

    Warns
    -----
    UserWarning
        If the parameters are clearly not distributed as the stated prior says, or lie on a grid.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"mass": rng.lognormal(size=500), "name": "star"})
    >>> table["f1"] = table["f2"] = table.mass + rng.normal(size=500)
    >>> simulations = read_simulations(
    ...     table,
    ...     parameters=["mass"],
    ...     observables={"flux": ["f1", "f2"]},
    ...     bounds={"mass": (0, np.inf)},
    ... )
    the table: 500 rows
    mass -> flux (2)
    ignored: name
    >>> simulations
    <sbi_inn.Simulations: 500 rows (500 ok)>
      parameters: mass
      observation: an array of shape (2,)
    """
    if isinstance(table, str | Path) and is_store(table):
        asked = (parameters, observables, given, sets, fields or None, by, bounds, labels, units)
        return _read_store(table, asked, prior, progress)
    if parameters is None:
        raise ShapeError("expected parameters=: which columns are parameters?")
    hint = columns_in(as_columns(parameters, "parameters"))
    source = Source.of(table, hint)
    wanted = Wanted.of(source, parameters, observables, given, sets, by)
    if not wanted.parameters:
        raise ShapeError(f"{source.title}: expected at least one parameter; got none")
    found = contents(source, wanted)
    if progress:
        print(said(source, wanted, unused(source, wanted), len(found.index)))
    ok, reasons = _finite(found, wanted)
    shown = labels or {}, units or {}
    maps = _fields(found, wanted, [fields] if isinstance(fields, str) else list(fields))
    if prior is not None and (bounds or fields):
        what = "bounds" if bounds else "fields"
        raise PriorError(f"expected {what}= or prior=, which has {what} of its own; got both")
    simulations = _assemble(source, wanted, found, ok, *shown, prior, bounds, maps)
    if progress and reasons:
        left = int((~ok).sum())
        what = (
            f"{left:,} rows hold NaN or infinity and are"
            if left > 1
            else "1 row holds NaN or infinity and is"
        )
        print(f"{what} left out: {reasons}")
    return simulations


def _read_store(
    path: str | Path, asked: tuple[Any, ...], prior: Prior | None, progress: bool
) -> Simulations:
    """Read a store, which says by itself what is asked of other tables."""
    if any(value is not None for value in asked):
        raise ShapeError(
            f"{path} is a store of simulations, which holds its parameters, givens and labels: "
            "of these arguments, pass prior= only"
        )
    return read_store(path, prior, progress=progress)


def _assemble(
    source: Source,
    wanted: Wanted,
    found: Contents,
    ok: BoolArray,
    labels: Mapping[str, str],
    units: Mapping[str, str],
    prior: Prior | None,
    bounds: Mapping[str, tuple[float, float]] | None,
    fields: list[str],
) -> Simulations:
    """Put what was read together."""
    attrs = {}
    for name, columns in (wanted.parameters | wanted.given | wanted.observables).items():
        about = source.about(columns)
        attrs[name] = {
            "label": labels.get(name, about.get("label", name)),
            "units": units.get(name, about.get("units", "")),
        }
    _check_known("labels", labels, [*attrs, *wanted.sets])
    _check_known("units", units, [*attrs, *wanted.sets])
    variables = {
        name: variable(
            name, values, **attrs[name], length=wanted.length_of(name), parameter=name in fields
        )
        for name, values in found.values.items()
    }
    variables |= {
        name: variable(name, sizes, label=labels.get(name, name), units=units.get(name, ""))
        for name, sizes in found.sizes.items()
    }
    variables["status"] = xr.Variable("simulation", np.where(ok, OK, INVALID))
    dataset = xr.Dataset(variables, attrs={"table": source.title})
    failures = _failures(found, wanted, ok)
    if ok.sum() < FEWEST:
        raise SimulationError(
            f"{source.title}: expected at least {FEWEST} rows without NaN or infinity, and 100 to "
            f"fit; got {ok.sum()} of {len(ok):,}"
        )
    good = {name: found.values[name][ok] for name in wanted.parameters}
    _check_vary({n: v for n, v in good.items() if n not in fields}, source.title)
    if prior is None:
        prior = read_off(good, bounds, fields)
    else:
        check_stated(prior, good)
    return Simulations(dataset, prior, _schema(found, wanted, ok), failures)


def _fields(found: Contents, wanted: Wanted, profiles: list[str]) -> list[str]:
    """Name the parameters that are fields: all maps, and the profiles that are named."""
    axes = {name: found.values[name].ndim - 1 for name in wanted.parameters}
    wrong = [name for name in profiles if axes.get(name) not in (1, 2)]
    if wrong:
        several = [name for name, k in axes.items() if k]
        raise ShapeError(
            f"fields= names {wrong[0]!r}; expected parameters that are vectors or maps, of which "
            f"there are: {', '.join(several) or 'none'}"
        )
    return [name for name, k in axes.items() if k > 1 or name in profiles]


def _check_known(what: str, given: Mapping[str, str], names: list[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ShapeError(f"{what}= names {unknown[0]!r}; expected names among {', '.join(names)}")


def _check_vary(parameters: Mapping[str, AnyArray], title: str) -> None:
    """Raise where there is nothing to infer, and warn of grids."""
    for name, values in parameters.items():
        for column, one in columns_of(name, values).items():
            different = len(np.unique(one))
            if different == 1:
                raise ShapeError(
                    f"{title}: the parameter {column} is {one[0]:g} in every row, so that there is "
                    "nothing to infer; if it is known, list it under given="
                )
            if different <= FEW_VALUES and len(one) >= 10 * different:
                warnings.warn(
                    f"{column} has only {different} different values in {len(one):,} rows: it is "
                    "taken as continuous, but nothing is known between these values. Draw "
                    "parameters at random, not on a grid",
                    stacklevel=4,
                )


def _finite(found: Contents, wanted: Wanted) -> tuple[BoolArray, str]:
    """Say which rows are finite, within each set's own length, and where the others are not."""
    ok = np.ones(len(found.index), bool)
    reasons = []
    for name, values in found.values.items():
        good = finite_rows(values, found.sizes.get(wanted.length_of(name) or ""))
        if not good.all():
            reasons.append(f"{name} in {(~good).sum():,}")
        ok &= good
    return ok, ", ".join(reasons)


def _failures(found: Contents, wanted: Wanted, ok: BoolArray) -> pd.DataFrame:
    rows = np.flatnonzero(~ok)
    columns: dict[str, object] = {"simulation": rows}
    for name in wanted.parameters:
        columns |= columns_of(name, found.values[name][rows])
    columns |= {name: found.values[name][rows] for name in wanted.given}
    columns |= {"status": INVALID, "error": "NaN or infinity in the table", "traceback": ""}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _schema(found: Contents, wanted: Wanted, ok: BoolArray) -> Schema:
    shapes = {
        name: found.values[name].shape[2 if wanted.length_of(name) else 1 :]
        for name in wanted.observables
    }
    givens = {name: found.values[name][ok] for name in wanted.given}
    constants = {n: float(v[0]) for n, v in givens.items() if (v == v[0]).all()}
    varying = tuple(name for name in givens if name not in constants)
    seen = {name: givens[name] for name in varying}
    seen |= {name: sizes[ok] for name, sizes in found.sizes.items()}
    return Schema(
        observables={name: tuple(map(int, shape)) for name, shape in shapes.items()},
        sets=wanted.sets,
        givens=varying,
        constants=constants,
        trained=ranges(seen),
    )
