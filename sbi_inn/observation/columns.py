"""Many observations column by column, where that is possible: a catalogue is read at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.observation.description import Description
from sbi_inn.observation.labels import gathered
from sbi_inn.typing import AnyArray


def by_column(
    ys: Any, expected: Description
) -> tuple[dict[str, AnyArray], dict[str, AnyArray]] | None:
    """Take a catalogue apart, without a loop over its rows.

    Returns
    -------
    (values, sizes) or None
        Arrays of shape (batch, ...) by name, and the size of every set, (batch,). None where
        there is anything out of the ordinary, which reading row by row will name.

    Raises
    ------
    ShapeError
        If a column that is needed holds no numbers.
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


def _of_frame(ys: pd.DataFrame, expected: Description) -> dict[str, AnyArray] | None:
    if expected.sets or not ys.columns.is_unique:
        return None
    return gathered({str(name): ys[name].to_numpy() for name in ys.columns}, expected)


def _with_sizes(
    found: Mapping[str, AnyArray], expected: Description
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
