"""A store read as a table, of which only the requested rows are in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from sbi_inn.errors import LoadError
from sbi_inn.prior import Prior
from sbi_inn.simulation.blocks import STATUS, Failure
from sbi_inn.simulation.covered import columns_of
from sbi_inn.simulation.declared import Declared
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.piece import Piece
from sbi_inn.simulation.simulations import OK, Simulations, variable
from sbi_inn.simulation.table import failures_table, with_gaps
from sbi_inn.typing import AnyArray, IntArray

OUTER = indexing.IndexingSupport.OUTER


@dataclass(frozen=True)
class Part:
    """What is there of a piece: its arrays, and which of their rows."""

    piece: Piece
    arrays: Mapping[str, Any]
    rows: IntArray | slice
    count: int

    @classmethod
    def of(cls, piece: Piece, stop: int) -> Part | None:
        """Find the rows before row `stop` that are done, if any."""
        done = piece.done()[: max(stop - piece.start, 0)]
        count = int(done.sum())
        if not count:
            return None
        whole = count == len(done)
        return cls(piece, piece.arrays(), slice(0, count) if whole else np.flatnonzero(done), count)

    def places(self, rows: IntArray) -> IntArray:
        """Give the places of rows of the store among those that are there."""
        inside = rows - self.piece.start
        return inside if isinstance(self.rows, slice) else np.searchsorted(self.rows, inside)

    def read(self, name: str, key: IntArray | slice, rest: tuple[Any, ...]) -> AnyArray:
        """Read rows of what is there; a slice has its ends and a step of 1."""
        rows = key if isinstance(self.rows, slice) else self.rows[key]
        array = self.arrays[name]
        if isinstance(rows, slice):
            return array[(rows, *rest)]
        return array.oindex[(rows, *rest)]


class Joined(BackendArray):
    """A variable of all parts, one after another.

    Parameters
    ----------
    name : str
    parts : sequence of Part
    shape : tuple of int
        Of the whole; columns of sets are padded with NaN to the widest.
    dtype : numpy.dtype
    """

    def __init__(
        self, name: str, parts: Sequence[Part], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._name, self._parts, self.shape, self.dtype = name, parts, shape, dtype
        self._starts = np.cumsum([0, *(part.count for part in parts)])

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> AnyArray:
        first, rest = key[0], key[1:]
        single = isinstance(first, int | np.integer)
        if isinstance(first, slice):
            start, stop, step = first.indices(self.shape[0])
            found = (
                self._range(start, stop) if step == 1 else self._rows(np.arange(start, stop, step))
            )
        else:
            found = self._rows(np.atleast_1d(np.asarray(first)))
        for axis in reversed(range(len(rest))):
            found = found[(*(slice(None),) * (axis + 1), rest[axis])]
        return found[0] if single else found

    def _range(self, start: int, stop: int) -> AnyArray:
        found = self._empty(max(stop - start, 0))
        for part, begin in zip(self._parts, self._starts, strict=False):
            low, high = max(start, begin), min(stop, begin + part.count)
            if low < high:
                self._fill(
                    found, slice(low - start, high - start), part, slice(low - begin, high - begin)
                )
        return found

    def _rows(self, rows: IntArray) -> AnyArray:
        rows = np.where(rows < 0, rows + self.shape[0], rows)
        found = self._empty(len(rows))
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for index in np.unique(owner):
            here = np.flatnonzero(owner == index)
            wanted, back = np.unique(rows[here] - self._starts[index], return_inverse=True)
            block = self._empty(len(wanted))
            self._fill(block, slice(None), self._parts[index], wanted)
            found[here] = block[back]
        return found

    def _empty(self, rows: int) -> AnyArray:
        shape = (rows, *self.shape[1:])
        return np.full(shape, np.nan) if self.dtype.kind == "f" else np.zeros(shape, self.dtype)

    def _fill(self, found: AnyArray, place: slice, part: Part, rows: IntArray | slice) -> None:
        if self._name not in part.arrays:
            return
        value = part.read(self._name, rows, (slice(None),) * (len(self.shape) - 1))
        found[(place, *map(slice, value.shape[1:]))] = value


class Statuses(BackendArray):
    """What became of each row, in words."""

    def __init__(self, numbers: Joined) -> None:
        self._numbers, self.shape = numbers, numbers.shape
        self.dtype = np.array(STATUS).dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, OUTER, self._get)

    def _get(self, key: tuple[Any, ...]) -> AnyArray:
        return np.array(STATUS)[self._numbers._get(key)]


def read_parts(
    manifest: Mapping[str, Any], pieces: Sequence[Piece], prior: Prior, stop: int
) -> Simulations:
    """Make a table of what is there of pieces, before row `stop`; nothing is read but givens."""
    parts = [part for piece in pieces if (part := Part.of(piece, stop)) is not None]
    if not parts:
        raise LoadError(f"{pieces[0].path.parent if pieces else 'the store'}: no simulations yet")
    declared = Declared.from_config(manifest["declared"])
    layout = layout_from(manifest)
    lazy = _Lazy(manifest, parts, declared.kinds if layout is None else layout.kinds)
    variables = lazy.variables(prior, declared, layout)
    attrs = {
        "seed": manifest["seed"],
        "seconds_per_simulation": manifest["seconds"],
        "deterministic": not manifest["random"] and manifest["noise"] is None,
    }
    dataset = xr.Dataset(variables, attrs=attrs)
    table = Simulations(dataset, prior, None, pd.DataFrame())
    ok = np.flatnonzero(dataset["status"].values == OK)
    schema = None
    if layout is not None and len(ok):
        schema = declared.schema(layout, {n: table.values(n, ok) for n in declared.givens})
    failures = _failures(parts, table, prior, declared, random=manifest["random"], stop=stop)
    return with_gaps(Simulations(dataset, prior, schema, failures))


def layout_from(manifest: Mapping[str, Any]) -> Layout | None:
    """Give the layout that a manifest holds, if it is known."""
    if manifest["layout"] is None:
        return None
    shapes = {name: tuple(shape) for name, shape in manifest["layout"].items()}
    return Layout(shapes, Declared.from_config(manifest["declared"]).kinds)


@dataclass(frozen=True)
class _Lazy:
    """Variables of parts."""

    manifest: Mapping[str, Any]
    parts: Sequence[Part]
    kinds: Any

    def variables(
        self, prior: Prior, declared: Declared, layout: Layout | None
    ) -> dict[str, xr.Variable]:
        rows = sum(part.count for part in self.parts)
        found = {name: self._variable(name) for name in (*self._names(), *declared.givens)}
        if layout is not None:
            for name in layout.shapes:
                length = layout.length_of(name) or layout.series_of(name)
                found[name] = self._variable(name, length)
            for length in layout.kinds.fixed_series:
                value = np.broadcast_to(np.array(layout.fixed_length(length)), (rows,))
                found[length] = self._labelled(length, value)
        found["status"] = xr.Variable(
            "simulation", indexing.LazilyIndexedArray(Statuses(self._joined("status")))
        )
        return found

    def _names(self) -> list[str]:
        return [entry["name"] for entry in self.manifest["prior"]["parameters"]]

    def _variable(self, name: str, length: str | None = None) -> xr.Variable:
        return self._labelled(name, indexing.LazilyIndexedArray(self._joined(name)), length)

    def _labelled(self, name: str, value: Any, length: str | None = None) -> xr.Variable:
        labels, units = self.manifest["labels"], self.manifest["units"]
        return variable(
            name, value, label=labels.get(name, name), units=units.get(name, ""), length=length
        )

    def _joined(self, name: str) -> Joined:
        there = [part.arrays[name] for part in self.parts if name in part.arrays]
        rows = sum(part.count for part in self.parts)
        shape = tuple(max(sizes) for sizes in zip(*(a.shape[1:] for a in there), strict=True))
        return Joined(name, self.parts, (rows, *shape), there[0].dtype)


def _failures(
    parts: Sequence[Part],
    table: Simulations,
    prior: Prior,
    declared: Declared,
    *,
    random: bool,
    stop: int,
) -> pd.DataFrame:
    found, rows, seeds = [], [], []
    starts = itertools.accumulate((part.count for part in parts), initial=0)
    for part, start in zip(parts, starts, strict=False):
        lines = {f["simulation"]: f for line in part.piece.lines() for f in line["failures"]}
        mine = [lines[row] for row in sorted(lines) if row < stop]
        places = part.places(np.array([f["simulation"] for f in mine], np.int64)) + start
        rows += places.tolist()
        seeds += [f.get("seed") for f in mine]
        found += [
            Failure(f["simulation"], STATUS.index(f["status"]), f["error"], f["traceback"])
            for f in mine
        ]
    index = np.array(rows, np.int64)
    flat = prior.flatten(table.parameters(index)) if rows else np.empty((0, prior.dim))
    values = {name: flat[:, i] for i, name in enumerate(prior.columns)}
    for name in declared.givens:
        values |= columns_of(name, table.values(name, index))
    return failures_table(found, rows, values, seeds if random else None)
