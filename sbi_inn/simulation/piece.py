"""One piece of a store: rows that one run writes, in chunked arrays, and a list of what is done.

Arrays come first, and then a line of JSON that says which rows are in them, with all that failed.
What has no line yet is simulated again: a run may end at any moment. Rows come in any order.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from sbi_inn.simulation.blocks import STATUS, Block, Failure
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.tasks import Drawn
from sbi_inn.typing import AnyArray

DONE = "done.jsonl"
ARRAYS = "table.zarr"

FLUSH = 5.0
"""Seconds after which what has come is written, be it little."""

LARGEST = 2**16
"""Rows of a chunk at most."""

NUMBERS = 2**18
"""Numbers in a chunk of the widest observable, about: two megabytes."""

FULL = 4
"""Chunks of rows after which what has come is written."""


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of a store.

    Attributes
    ----------
    path : Path
    start, stop : int
    """

    path: Path
    start: int
    stop: int

    @classmethod
    def of(cls, store: Path, start: int, stop: int) -> Piece:
        """Name the piece of some rows."""
        return cls(store / f"rows-{start:012d}-{stop:012d}", start, stop)

    def __len__(self) -> int:
        return self.stop - self.start

    def lines(self) -> list[dict[str, Any]]:
        """Read what is done; a line that was cut off is not."""
        try:
            text = (self.path / DONE).read_bytes()
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines(keepends=True):
            if line.endswith(b"\n"):
                found.append(json.loads(line))
        return found

    def done(self) -> AnyArray:
        """Say which rows are done, shape (rows,)."""
        found = np.zeros(len(self), bool)
        for line in self.lines():
            for first, last in line["rows"]:
                found[first - self.start : last - self.start] = True
        return found

    def missing(self, stop: int | None = None) -> list[tuple[int, int]]:
        """Give the runs of rows that are not done, before row `stop`."""
        there = ~self.done()[: None if stop is None else max(stop - self.start, 0)]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
        return [(int(a) + self.start, int(b) + self.start) for a, b in edges.reshape(-1, 2)]

    def arrays(self) -> Mapping[str, Any]:
        """Open the arrays, by name."""
        import zarr

        group = zarr.open_group(self.path / ARRAYS, mode="r")
        return dict(group.arrays())


@dataclass
class Writer:
    """Writes blocks into a piece.

    Attributes
    ----------
    piece : Piece
    inputs : Drawn
        Parameters and givens, by the rows of the store.
    seed_of : callable or None
        The seed of a simulation that failed, if there is one.
    """

    piece: Piece
    inputs: Drawn
    seed_of: Callable[[Failure], int | None] | None
    _blocks: list[Block] = field(default_factory=list)
    _rows: int = 0
    _since: float = field(default_factory=monotonic)

    def add(self, block: Block) -> int:
        """Take a block, and count its rows that are of this piece."""
        first = max(block.start, self.piece.start)
        last = min(block.start + len(block.status), self.piece.stop)
        if first >= last:
            return 0
        here = slice(first - block.start, last - block.start)
        values = {name: value[here] for name, value in block.values.items()}
        failures = [f for f in block.failures if first <= f.row < last]
        self._blocks.append(Block(first, block.status[here], values, block.layout, failures))
        self._rows += last - first
        if self._rows >= FULL * self._chunk or monotonic() - self._since > FLUSH:
            self.flush()
        return last - first

    def flush(self) -> None:
        """Write what has come.

        Raises
        ------
        SimulationError
            If it cannot be written: what is in the store stays there.
        """
        blocks, self._blocks = sorted(self._blocks, key=lambda block: block.start), []
        self._rows, self._since = 0, monotonic()
        if not blocks:
            return
        try:
            runs = list(_runs(blocks))
            for run in runs:
                self._write(run)
            self._say(runs)
        except OSError as error:
            raise SimulationError(
                f"{self.piece.path} cannot be written: {error}. What the store holds is kept; once "
                "there is room, the same call goes on from there"
            ) from error

    @cached_property
    def _group(self) -> Any:
        import zarr

        return zarr.open_group(self.piece.path / ARRAYS, mode="a")

    @cached_property
    def _chunk(self) -> int:
        return min(LARGEST, max(len(self.piece), 1))

    def _write(self, run: list[Block]) -> None:
        """Write blocks that follow one another."""
        first, last = run[0].start, run[-1].start + len(run[-1].status)
        inputs: Inputs = self.inputs[first:last]
        place = slice(first - self.piece.start, last - self.piece.start)
        for name, value in (inputs.parameters | inputs.givens).items():
            self._array(name, value.shape[1:], value.dtype)[place] = value
        self._array("status", (), np.dtype(np.int8))[place] = np.concatenate(
            [b.status for b in run]
        )
        layout = next((b.layout for b in run if b.layout is not None and b.values), None)
        if layout is not None:
            for name in layout.shapes:
                self._write_observable(name, layout, run, inputs, place)

    def _write_observable(
        self, name: str, layout: Layout, run: list[Block], inputs: Inputs, place: slice
    ) -> None:
        length = layout.length_of(name)
        width = (int(inputs.givens[length].max()),) if length else ()
        size = place.stop - place.start
        whole = np.full((size, *width, *layout.shapes[name]), np.nan)
        for block in run:
            if name in block.values:
                value = block.values[name]
                begin = block.start - run[0].start
                target = whole[begin : begin + len(value)]
                if width:
                    value = value[:, : width[0]]
                    target[:, : value.shape[1]] = value
                else:
                    target[...] = value
        array = self._array(name, whole.shape[1:], whole.dtype)
        if width and array.shape[1] < width[0]:
            array.resize((array.shape[0], *whole.shape[1:]))
        array[(place, *map(slice, whole.shape[1:]))] = whole

    def _array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        if name in self._group:
            return self._group[name]
        rows = min(self._chunk, NUMBERS // max(math.prod(shape), 1) // 256 * 256 or 256)
        missing = np.nan if dtype.kind == "f" else -1 if name == "status" else 0
        dims = ("simulation", *(f"{name}_dim_{i}" for i in range(len(shape))))
        return self._group.create_array(
            name,
            shape=(len(self.piece), *shape),
            chunks=(min(rows, len(self.piece)), *(max(n, 1) for n in shape)),
            dtype=dtype,
            fill_value=missing,
            dimension_names=dims,
            attributes={"flag_meanings": " ".join(STATUS)} if name == "status" else None,
        )

    def _say(self, runs: list[list[Block]]) -> None:
        """Add a line that says what is done, once it is on the disk."""
        blocks = [block for run in runs for block in run]
        status = np.concatenate([block.status for block in blocks])
        counts = np.bincount(status, minlength=len(STATUS)).tolist()
        line = {
            "rows": [[run[0].start, run[-1].start + len(run[-1].status)] for run in runs],
            "counts": dict(zip(STATUS, counts, strict=True)),
            "failures": [self._failure(f) for block in blocks for f in block.failures],
        }
        with open(self.piece.path / DONE, "ab") as file:
            if file.tell():
                _end_line(self.piece.path / DONE)
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _failure(self, failure: Failure) -> dict[str, Any]:
        found = {
            "simulation": failure.row,
            "status": STATUS[failure.status],
            "error": failure.error,
            "traceback": failure.traceback,
        }
        return found if self.seed_of is None else found | {"seed": self.seed_of(failure)}


def _runs(blocks: list[Block]) -> Iterator[list[Block]]:
    """Put together blocks that follow one another."""
    run: list[Block] = []
    for block in blocks:
        if run and block.start != run[-1].start + len(run[-1].status):
            yield run
            run = []
        run.append(block)
    yield run


def _end_line(path: Path) -> None:
    """Cut off a last line that was not written to its end."""
    with open(path, "r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
