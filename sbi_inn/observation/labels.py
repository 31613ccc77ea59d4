"""One observation by its labels: rows of catalogues, tables of a set, Series, Datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.observation.description import Description, numbers


def by_label(y: Any, expected: Description) -> Any:
    """Give one observation as values by name; what has no labels, such as an array, as it is.

    Parameters
    ----------
    y : Dataset, DataFrame, Series, mapping or array
        A row of a Dataset, its padded sets cut to their lengths. A DataFrame of one row, or one
        that holds the columns of a set, one row an entry. A Series whose labels are names: `flux`,
        or `flux[0]`, `flux[1]`, ... for the entries of an array, in any order. Where there is one
        observable, the labels of a Series may also be its places 0, 1, ..., again in any order; and
        where that is the column of a set or series, anything but text.
    expected : Description

    Raises
    ------
    ShapeError
        If it is several observations, or the labels do not fit.
    """
    if isinstance(y, xr.Dataset):
        if y.sizes.get("observation", 1) != 1:
            raise _several(f"a Dataset of {y.sizes['observation']}", "ys.isel(observation=0)")
        return row_of(y.squeeze("observation") if "observation" in y.dims else y, expected)
    if isinstance(y, pd.DataFrame):
        return _of_frame(y, expected)
    if isinstance(y, pd.Series):
        return _of_series(y, expected)
    return gathered(y, expected) if isinstance(y, Mapping) else y


def row_of(y: xr.Dataset, expected: Description) -> dict[str, Any]:
    """Take apart one row of a Dataset, each set cut to its own length."""
    values = {str(name): variable.values for name, variable in y.data_vars.items()}
    for name, length in expected.paired.items():
        if name in values and length in values and values[name].ndim:
            values[name] = values[name][: int(values[length])]
    return gathered(values, expected)


def rows_of(ys: pd.DataFrame, expected: Description) -> list[dict[str, Any]]:
    """Take a table apart, one observation after another; arrays are gathered from their columns.

    Raises
    ------
    ShapeError
        If it has everything that is needed, and other columns too.
    """
    needed = {column for name in expected.asked for column in expected.scalars(name)}
    known = needed | {*expected.asked, *expected.sets, *expected.constants}
    others = [str(name) for name in ys.columns if str(name) not in known]
    if others and needed <= {str(name) for name in ys.columns}:
        raise ShapeError(
            f"expected only the columns {', '.join(sorted(needed))}; got "
            f"{', '.join(others)} too. read_observations(table, observables=[...], index=...) "
            "takes a catalogue as it is"
        )
    records = ys.rename(columns=str).to_dict("records")
    return [gathered(record, expected) for record in records]


def by_name(ys: Mapping[Any, Any]) -> list[Mapping[Any, Any]]:
    """List the observations of a catalogue that is a mapping of name to observation.

    Raises
    ------
    ShapeError
        If a value is no mapping: then it may be one observation, or a name is missing.
    """
    others = [name for name, y in ys.items() if not isinstance(y, Mapping)]
    if ys and len(others) == len(ys):
        raise several_expected(f"dict of {_listed(ys)}, as one observation y is: write [y]")
    if others:
        raise ShapeError(
            "expected a dict for each name, as in {'Vega': {...}, 'Deneb': {...}}; got "
            f"{type(ys[others[0]]).__name__} for {others[0]!r}"
        )
    return list(ys.values())


def several_expected(got: str) -> ShapeError:
    """Make the error that says what many observations are."""
    return ShapeError(
        "expected many observations: a list, a dict of dicts by name, a DataFrame with one row an "
        f"observation or a Dataset with dim 'observation'; got {got}"
    )


def gathered(values: Mapping[Any, Any], expected: Description) -> dict[Any, Any]:
    """Put the entries of an array, such as `flux[0]` and `flux[1]`, together under its name."""
    found = dict(values)
    for name in expected.asked:
        shape = expected.shape(name)
        if name in found or not shape:
            continue
        entries = expected.scalars(name)
        if not all(entry in found for entry in entries):
            continue
        parts = [numbers(entry, found.pop(entry)) for entry in entries]
        if len({part.shape for part in parts}) > 1:
            raise ShapeError(f"expected {', '.join(entries)} of the same length; they differ")
        found[name] = np.stack(parts, axis=-1).reshape(*parts[0].shape, *shape)
    return found


def _of_series(y: pd.Series[Any], expected: Description) -> dict[Any, Any]:
    labels = [str(label) for label in y.index]
    if len(set(labels)) < len(labels):
        raise ShapeError(f"expected labels that differ; got {_listed(labels)}")
    known = {scalar for name in expected.asked for scalar in (name, *expected.scalars(name))}
    if len(expected.asked) == 1 and known.isdisjoint(labels):
        return {expected.asked[0]: _in_order(y, expected)}
    return gathered(dict(zip(labels, y, strict=True)), expected)


def _in_order(y: pd.Series[Any], expected: Description) -> Any:
    """Give the entries of the only observable in the order that the labels say."""
    (name,) = expected.asked
    length = expected.paired.get(name)
    if length is not None and not any(isinstance(label, str) for label in y.index):
        if length in expected.series and not y.index.is_monotonic_increasing:
            raise ShapeError(
                f"expected the entries of {name} in the order of their labels; got "
                f"{_listed(y.index)}: y.sort_index() puts them in order"
            )
        return y.to_numpy()
    scalars = expected.scalars(name)
    if length is not None or set(y.index) != set(range(len(scalars))):
        raise ShapeError(
            f"expected the labels {_listed(scalars)} (or 0, 1, ... for the places of {name}); got "
            f"{_listed(y.index)}"
        )
    return y.sort_index().to_numpy().reshape(expected.shape(name))


def _of_frame(y: pd.DataFrame, expected: Description) -> Any:
    names = [str(name) for name in y.columns]
    entries = {scalar for name in expected.paired for scalar in expected.scalars(name)}
    if len(set(names)) < len(names):
        raise ShapeError(f"expected columns that differ; got {_listed(names)}")
    if names and entries.issuperset(names) and all(t.kind in "biuf" for t in y.dtypes):
        columns = {name: y.iloc[:, i].to_numpy() for i, name in enumerate(names)}
        return gathered(columns, expected)
    if len(y) == 1:
        return rows_of(y, expected)[0]
    if len(expected.asked) == 1 and y.shape == expected.shape(expected.asked[0]):
        if all(axis.equals(pd.RangeIndex(len(axis))) for axis in y.axes):
            return y.to_numpy()
    if entries:
        raise ShapeError(
            "a DataFrame is one observation where it has one row, or nothing but the columns of a "
            f"set ({_listed(entries)}), one row an entry; got {len(y)} rows of {_listed(names)}. "
            "Other observables and givens beside a set go by name: {'name': table['name'], ...}"
        )
    raise _several(f"a DataFrame of {len(y)} rows", "table.iloc[0]")


def _several(what: str, one: str) -> ShapeError:
    return ShapeError(f"expected one observation; got {what}. Choose one, such as {one}")


def _listed(names: Any) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts[:20]) + (", ..." if len(texts) > 20 else "")
