"""One interface for a DataFrame, a Dataset and a file: named columns of equal length."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.tables import files
from sbi_inn.typing import FloatArray

Columns = str | Sequence[str]
Spec = Mapping[str, Columns] | Sequence[str]

ROWS = ("simulation", "observation")
"""Dims that are rows, whatever else a Dataset has."""


@dataclass(frozen=True)
class Source:
    """Columns of one table.

    Attributes
    ----------
    columns : dict of str to Series or DataArray
        Rows come first.
    index : pandas.Index
        What the rows are called.
    title : str
        For messages.
    """

    columns: dict[str, Any]
    index: pd.Index
    title: str

    @classmethod
    def of(cls, table: Any, hint: Iterable[str] = ()) -> Source:
        """Read a table.

        Parameters
        ----------
        table : DataFrame, Dataset, str or Path
        hint : iterable of str
            Columns that say which dim of a Dataset are the rows, where no dim is called
            "simulation" or "observation".

        Raises
        ------
        ShapeError
            If it is no table, has no rows, or a column comes twice.
        LoadError, ImportError
            As `files.read`.
        """
        title = "the table"
        if isinstance(table, str | Path):
            title, table = str(table), files.read(table)
        if isinstance(table, pd.DataFrame):
            twice = list(dict.fromkeys(table.columns[table.columns.duplicated()]))
            if twice:
                raise ShapeError(f"{title}: columns must differ; {_listed(twice)} come twice")
            source = cls({str(name): table[name] for name in table.columns}, table.index, title)
        elif isinstance(table, xr.Dataset):
            source = _of_dataset(table, list(hint), title)
        else:
            raise ShapeError(
                "expected a DataFrame, a Dataset, or the path of a CSV, Parquet, netCDF or Zarr "
                f"file; got {type(table).__name__}"
            )
        if not len(source):
            raise ShapeError(f"{title}: expected rows; got none")
        return source

    def __len__(self) -> int:
        return len(self.index)

    def need(self, names: Iterable[str], role: str) -> None:
        """Raise a ShapeError unless these columns are there; names that are close are suggested."""
        missing = [name for name in names if name not in self.columns]
        if missing:
            hints = [self._suggest(name) for name in missing]
            raise ShapeError(
                f"{self.title}: expected {role} in {_listed(missing)}, which it does not have"
                f"{''.join(hints)}; it has {_listed(self.columns)}"
            )

    def take(self, columns: Columns, role: str) -> FloatArray:
        """Give one column, or several side by side, as numbers, shape (rows, ...)."""
        if isinstance(columns, str):
            self.need([columns], role)
            return numbers(self.columns[columns], f"{self.title}: column {columns!r}")
        self.need(columns, role)
        arrays = [numbers(self.columns[c], f"{self.title}: column {c!r}") for c in columns]
        if len({array.shape for array in arrays}) > 1:
            shapes = {c: a.shape[1:] for c, a in zip(columns, arrays, strict=True)}
            raise ShapeError(f"{self.title}: columns of one {role} must be alike; got {shapes}")
        return np.stack(arrays, axis=1)

    def about(self, columns: Columns) -> dict[str, str]:
        """Give label and units where a Dataset says them of a column; units of several, too."""
        first = columns if isinstance(columns, str) else next(iter(columns), "")
        attrs = getattr(self.columns.get(first), "attrs", {})
        label = attrs.get("label", attrs.get("long_name", "")) if columns == first else ""
        found = {"label": label, "units": attrs.get("units", "")}
        return {key: str(value) for key, value in found.items() if value}

    def find(self, named: Mapping[str, Columns]) -> dict[str, Columns]:
        """Replace a column that is not there by `flux[0]`, `flux[1]`, ..., where these are."""
        return {
            name: (isinstance(c, str) and c not in self.columns and self._entries(c)) or c
            for name, c in named.items()
        }

    def numeric(self, besides: Collection[str | None]) -> dict[str, Columns]:
        """Name the other columns that hold numbers, entries of one vector together."""
        found: dict[str, Columns] = {}
        for column, values in self.columns.items():
            if column not in besides and _is_numeric(values):
                name = column.partition("[")[0]
                entries = self._entries(name)
                if column in entries:
                    found[name] = entries
                else:
                    found[column] = column
        return found

    def _entries(self, name: str) -> tuple[str, ...]:
        numbered = (f"{name}[{i}]" for i in itertools.count())
        return tuple(itertools.takewhile(lambda column: column in self.columns, numbered))

    def _suggest(self, name: str) -> str:
        # Case and blanks are what differs most often.
        plain = {column.strip().lower(): column for column in self.columns}
        close = difflib.get_close_matches(name.strip().lower(), plain, n=1, cutoff=0.6)
        return f" (did you mean {plain[close[0]]!r}?)" if close else ""


def is_table(value: object) -> bool:
    """Whether something can be read as a table: a DataFrame, a Dataset, or such a path."""
    return isinstance(value, pd.DataFrame | xr.Dataset | Path) or files.has_table_suffix(value)


def as_columns(spec: Spec | str | None, role: str) -> dict[str, Columns]:
    """Give our names and the columns that stand for them; a bare list names both at once."""
    if spec is None:
        return {}
    if isinstance(spec, str):
        return {spec: spec}
    if isinstance(spec, Mapping):
        pairs = spec.items()
        named: dict[str, Columns] = {
            str(n): c if isinstance(c, str) else tuple(c) for n, c in pairs
        }
    else:
        named = {str(name): str(name) for name in spec}
        if len(named) < len(spec):
            raise ShapeError(f"{role} must differ; got {_listed(spec)}")
    empty = [name for name, columns in named.items() if not columns]
    if empty:
        raise ShapeError(f"expected a column for the {role} {empty[0]!r}; got none")
    return named


def columns_in(*specs: Mapping[str, Columns]) -> list[str]:
    """List all columns that are used, in order."""
    flat = [c for spec in specs for columns in spec.values() for c in _several(columns)]
    return list(dict.fromkeys(flat))


def numbers(column: Any, where: str) -> FloatArray:
    """Make float64 numbers of a column; what is missing becomes NaN.

    Raises
    ------
    ShapeError
        If there is text, or anything else that is no number; the message says where.
    """
    if isinstance(column, xr.DataArray):
        if column.dtype.kind in "biuf":
            return column.to_numpy().astype(np.float64)
        if column.ndim == 1:
            return numbers(pd.Series(column.to_numpy()), where)
        raise ShapeError(f"{where}: expected numbers; got {column.dtype}")
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        if not pd.api.types.is_complex_dtype(column):
            return column.to_numpy(np.float64, na_value=np.nan)
    elif pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
        found = pd.to_numeric(column, errors="coerce")
        bad = np.flatnonzero((found.isna() & column.notna()).to_numpy())
        if not bad.size:
            return found.to_numpy(np.float64, na_value=np.nan)
        first = column.iloc[bad[0]]
        raise ShapeError(
            f"{where}: expected numbers; got {first!r} in row {column.index[bad[0]]!r}"
            f"{f', and in {bad.size - 1:,} others' if bad.size > 1 else ''}"
        )
    raise ShapeError(f"{where}: expected numbers; got {column.dtype}, first {column.iloc[0]!r}")


def _is_numeric(column: Any) -> bool:
    if isinstance(column, xr.DataArray):
        return column.dtype.kind in "biuf" and column.name not in column.coords
    return column.dtype.kind in "biuf" or (
        pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)
    )


def _of_dataset(dataset: xr.Dataset, hint: list[str], title: str) -> Source:
    rows = next((dim for dim in ROWS if dim in dataset.dims), None)
    if rows is None:
        known = [name for name in hint if name in dataset.variables and dataset[name].ndim]
        if not known:
            dims = {str(dim): size for dim, size in dataset.sizes.items()}
            raise ShapeError(
                f"{title}: expected a dim 'simulation' or 'observation', or the columns "
                f"{_listed(hint)}; got dims {dims} and variables {_listed(dataset.variables)}"
            )
        rows = str(dataset[known[0]].dims[0])
    columns = {
        str(name): dataset[name].transpose(rows, ...)
        for name in (*dataset.data_vars, *dataset.coords)
        if rows in dataset[name].dims and name not in ROWS
    }
    return Source(columns, dataset.indexes.get(rows, pd.RangeIndex(dataset.sizes[rows])), title)


def _several(columns: Columns) -> Sequence[str]:
    return [columns] if isinstance(columns, str) else columns


def _listed(names: Iterable[Any], most: int = 30) -> str:
    names = list(names)
    text = ", ".join(map(str, names[:most]))
    return f"{text}, ... ({len(names):,} in all)" if len(names) > most else text or "none"
