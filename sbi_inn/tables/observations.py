"""Catalogues of observations."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.simulation.simulations import variable
from sbi_inn.tables.groups import Sets
from sbi_inn.tables.index import OBSERVATION, coordinate
from sbi_inn.tables.reading import Wanted, contents, said, unused
from sbi_inn.tables.source import Source, Spec, as_columns, columns_in


def read_observations(
    table: pd.DataFrame | xr.Dataset | str | Path,
    *,
    observables: Spec | str | None = None,
    given: Spec | str | None = None,
    index: str | None = None,
    sets: Sets | None = None,
    by: str | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Read a catalogue of observations, for `sample_each`, `summary_each` and others.

    Parameters
    ----------
    table : DataFrame, Dataset, str or Path
        As in `read_simulations`. The rows of a Dataset are its dim "observation", or else the
        first dim of its first observable. The order of columns does not matter.
    observables, given : list of str, or mapping of str to column or list of columns
        As in `read_simulations`, with the same names. By default every column of numbers is an
        observable.
    index : str, optional
        The column with the names of the objects, text or numbers. By default the index of the
        DataFrame.
    sets, by : optional
        As in `read_simulations`; `by` also names the objects, and excludes `index`.
    progress : bool
        Print what was read, and what was ignored.

    Returns
    -------
    xarray.Dataset
        Dim "observation", with the catalogue's own index. Sets are padded with NaN to the
        length of the largest, and their lengths are among the variables. NaN stays NaN.

    Raises
    ------
    ShapeError
        If a column is missing, comes twice or holds text; if rows of one object disagree; if
        `index` and `by` are both given.
    LoadError, ImportError
        If a file cannot be read, or a package for reading it is missing.

    Examples
    --------
    >>> catalogue = pd.DataFrame({"id": ["b", "a"], "f2": [3, 4], "f1": [1, 2], "note": ""})
    >>> ys = read_observations(catalogue, observables={"flux": ["f1", "f2"]}, index="id")
    the table: 2 rows
    flux (2)
    ignored: note
    >>> ys.flux.sel(observation="b").values
    array([1., 3.])
    """
    hint = columns_in(as_columns(observables, "observables"), as_columns(given, "given"))
    source = Source.of(table, [*hint, *(c for cs in (sets or {}).values() for c in cs)])
    if index is not None:
        if by is not None:
            raise ShapeError(f"by={by!r} names the objects: leave out index=")
        source.need([index], "the index")
        names = pd.Index(source.columns[index].to_numpy(), name=index)
        columns = {name: c for name, c in source.columns.items() if name != index}
        source = Source(columns, names, source.title)
    wanted = Wanted.of(source, None, observables, given, sets, by)
    found = contents(source, wanted)
    if progress:
        print(said(source, wanted, unused(source, wanted), len(found.index)))
    variables = {}
    for name, values in found.values.items():
        about = source.about((wanted.observables | wanted.given)[name])
        length = wanted.length_of(name)
        variables[name] = variable(
            name,
            values,
            label=about.get("label", ""),
            units=about.get("units", ""),
            length=length,
            rows=OBSERVATION,
        )
    for name, sizes in found.sizes.items():
        variables[name] = variable(name, sizes, rows=OBSERVATION)
    return xr.Dataset(variables, coords={OBSERVATION: coordinate(found.index)})
