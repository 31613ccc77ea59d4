"""Many observations column by column, where that is possible: a catalogue is read at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.typing import AnyArray


class Expected(Protocol):
    """What a catalogue is compared with: a Schema."""

    @property
    def sets(self) -> dict[str, tuple[str, ...]]: ...  # noqa: D102
    @property
    def asked(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def constants(self) -> dict[str, float]: ...  # noqa: D102
    def shape(self, name: str) -> tuple[int, ...]: ...  # noqa: D102


def by_column(
    ys: Any, expected: Expected
) -> tuple[dict[str, AnyArray], dict[str, AnyArray]] | None:
    """Take a catalogue apart, without a loop over its rows.

    Returns
    -------
    (values, sizes) or None
        Arrays of shape (batch, ...) by name, and the size of every set, (batch,). None where
        there is anything out of the ordinary, which reading row by row will name.
    """
    if isinstance(ys, xr.Dataset):
        found = _of_dataset(ys)
    elif isinstance(ys, pd.DataFrame):
        found = _of_frame(ys, expected)
    else:
        return None
    if found is None or not all(v.dtype.kind in "biuf" and len(v) for v in found.values()):
        return None
    constants = {n: found.pop(n) for n in expected.constants if n in found}
    if any((values != expected.constants[n]).any() for n, values in constants.items()):
        return None
    lengths = [name for name in expected.sets if name not in expected.constants]
    if set(found) != {*expected.asked, *lengths}:
        return None
    rows = len(next(iter(found.values())))
    found |= {n: np.full(rows, expected.constants[n]) for n in expected.sets if n not in lengths}
    return _with_sizes(found, expected)


def _of_dataset(ys: xr.Dataset) -> dict[str, AnyArray] | None:
    if not all("observation" in variable.dims for variable in ys.data_vars.values()):
        return None
    return {str(n): v.transpose("observation", ...).values for n, v in ys.data_vars.items()}


def _of_frame(ys: pd.DataFrame, expected: Expected) -> dict[str, AnyArray] | None:
    if expected.sets or not ys.columns.is_unique:
        return None
    columns = {str(name): ys[name].to_numpy() for name in ys.columns}
    for name in expected.asked:
        shape = expected.shape(name)
        entries = scalar_names(name, shape)
        if entries != (name,) and all(entry in columns for entry in entries):
            several = np.stack([columns.pop(entry) for entry in entries], axis=1)
            columns[name] = several.reshape(-1, *shape)
    return columns


def _with_sizes(
    found: Mapping[str, AnyArray], expected: Expected
) -> tuple[dict[str, AnyArray], dict[str, AnyArray]] | None:
    sizes = {}
    for length, columns in expected.sets.items():
        size = found[length]
        widths = {found[c].shape[1] if found[c].ndim > 1 else 0 for c in columns}
        if size.ndim != 1 or len(widths) != 1 or (size != np.rint(size)).any():
            return None
        if size.min() < 1 or size.max() > widths.pop():
            return None
        sizes[length] = size.astype(np.int64)
    return {name: found[name] for name in expected.asked}, sizes


def row_of(ys: xr.Dataset, row: int, expected: Expected) -> dict[str, Any]:
    """Take one observation out of a Dataset, each set at its own length."""
    values = {
        str(n): v.isel(observation=row).values if "observation" in v.dims else v.values
        for n, v in ys.data_vars.items()
    }
    for length, columns in expected.sets.items():
        if length in values:
            values |= {c: values[c][: int(values[length])] for c in columns if c in values}
    return values


def rows_of(ys: pd.DataFrame, expected: Expected) -> list[dict[str, Any]]:
    """Take a table apart, one observation after another; arrays are gathered from their columns.

    Raises
    ------
    ShapeError
        If it has everything that is needed, and other columns too.
    """
    wide = {n: scalar_names(n, expected.shape(n)) for n in expected.asked}
    needed = {column for columns in wide.values() for column in columns}
    known = needed | {*expected.asked, *expected.sets, *expected.constants}
    others = [str(name) for name in ys.columns if str(name) not in known]
    if others and needed <= {str(name) for name in ys.columns}:
        raise ShapeError(
            f"expected nothing but the columns {', '.join(sorted(needed))}; got "
            f"{', '.join(others)} too. read_observations(table, observables=[...], index=...) "
            "takes a catalogue as it is"
        )
    rows = []
    for record in ys.to_dict("records"):
        row: dict[str, Any] = {str(name): value for name, value in record.items()}
        for name, columns in wide.items():
            if columns != (name,) and all(c in row for c in columns):
                entries = [row.pop(c) for c in columns]
                row[name] = np.reshape(entries, expected.shape(name))
        rows.append(row)
    return rows


def scalar_names(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Name the entries of an array: `y` stays `y`, a vector gives `y[0]`, `y[1]`, ...

    >>> scalar_names("flux", (2,))
    ('flux[0]', 'flux[1]')
    """
    if not shape:
        return (name,)
    return tuple(f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape))
