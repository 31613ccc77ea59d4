"""Tables of one study, put one after another."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import AnyArray


def join(tables: Sequence[Simulations]) -> Simulations:
    """Put tables of one study one after another; prior, noise and attributes are the first one's.

    Columns of sets are padded to the longest; what was seen of givens and gaps is what any table
    has seen.
    """
    widths = _largest(table.dataset.sizes for table in tables)
    parts = [_padded(table.dataset, widths) for table in tables]
    dataset = xr.concat(parts, "simulation", combine_attrs="override")
    before = np.cumsum([0, *map(len, tables)])
    failures = [
        table.failures.assign(simulation=table.failures["simulation"] + start)
        for table, start in zip(tables, before, strict=False)
        if len(table.failures)
    ]
    noisy = {
        name: np.concatenate(
            [_as_wide(table.noisy[name], dataset[name].shape[1:]) for table in tables]
        )
        for name in tables[0].noisy
    }
    return replace(
        tables[0],
        dataset=dataset,
        schema=_schema([table.schema for table in tables if table.schema is not None]),
        failures=pd.concat(failures, ignore_index=True) if failures else tables[0].failures,
        noisy=noisy,
    )


def _largest(sizes: Iterable[Mapping[Hashable, int]]) -> dict[Hashable, int]:
    found: dict[Hashable, int] = {}
    for one in sizes:
        found |= {dim: max(n, found.get(dim, 0)) for dim, n in one.items() if dim != "simulation"}
    return found


def _padded(dataset: xr.Dataset, widths: Mapping[Hashable, int]) -> xr.Dataset:
    short = {d: (0, n - dataset.sizes[d]) for d, n in widths.items() if dataset.sizes[d] < n}
    return dataset.pad(short, constant_values=np.nan) if short else dataset


def _as_wide(array: AnyArray, shape: tuple[int, ...]) -> AnyArray:
    """Pad rows of an array with NaN to a shape."""
    short = [(0, n - have) for n, have in zip(shape, array.shape[1:], strict=True)]
    return (
        np.pad(array, [(0, 0), *short], constant_values=np.nan) if any(map(any, short)) else array
    )


def _schema(schemas: Sequence[Schema]) -> Schema | None:
    """Widen the ranges of the first to what all have seen."""
    if not schemas:
        return None
    trained = {
        name: (min(s.trained[name][0] for s in schemas), max(s.trained[name][1] for s in schemas))
        for name in schemas[0].trained
    }
    names = dict.fromkeys(name for schema in schemas for name in schema.missing)
    missing = {name: max(s.missing.get(name, 0.0) for s in schemas) for name in names}
    return replace(schemas[0], trained=trained, missing=missing)
