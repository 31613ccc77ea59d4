"""What a worker runs: some rows of a simulator, with whatever goes wrong written down.

Kept apart from tables and priors so that a worker starts quickly.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.simulation.binding import Binding
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import (
    Kinds,
    Layout,
    WrongOutput,
    finite,
    kept,
    learn,
    read_batch,
    read_rows,
)
from sbi_inn.simulation.seeds import Seeds
from sbi_inn.simulation.simulator import Simulator
from sbi_inn.typing import AnyArray, FloatArray, IntArray

STATUS = ("ok", "failed", "invalid")
"""What can become of a simulation, as a table says it; workers send its place in this list."""

OK = 0
"""It returned finite numbers."""

FAILED = 1
"""It raised."""

INVALID = 2
"""It returned NaN or infinity."""

Arguments = tuple[list[Any], dict[str, Any]]


@dataclass(frozen=True)
class Failure:
    """What became of a simulation that did not succeed."""

    row: int
    status: int
    error: str
    traceback: str


@dataclass(frozen=True)
class Block:
    """The outcome of simulations `start` to `start + len(status)`.

    Attributes
    ----------
    status : array of int, shape (rows,)
        Indices of `STATUS`.
    values : dict of str to array, shape (rows, ...)
        NaN where the simulator raised; empty if it always did.
    layout : Layout or None
        None if no simulation returned.
    failures : list of Failure
    wrong : str
        Why the run cannot go on; empty if it can.
    """

    start: int
    status: npt.NDArray[np.int8]
    values: dict[str, FloatArray]
    layout: Layout | None
    failures: list[Failure]
    wrong: str = ""


@dataclass(frozen=True)
class Call:
    """A simulator, and how to fill its arguments.

    Attributes
    ----------
    simulator : Simulator
    binding : Binding
    seeds : Seeds
    taken : tuple of str
        Names of parameters, givens and lengths, which no observable may have.
    kinds : Kinds
        Which observables are more than numbers and vectors.
    """

    simulator: Simulator
    binding: Binding
    seeds: Seeds
    taken: tuple[str, ...]
    kinds: Kinds

    def run(self, inputs: Inputs, start: int, layout: Layout | None) -> Iterator[Block]:
        """Simulate rows numbered from `start`; rows of batched simulators come in whole blocks.

        Parameters
        ----------
        inputs : Inputs
        start : int
        layout : Layout or None
            What the outputs should look like, if that is known.
        """
        if not self.simulator.batched:
            yield _run_rows(self, inputs, start, layout)
            return
        for first in range(0, len(inputs), self.seeds.block):
            batch = inputs[first : first + self.seeds.block]
            for block in _run_batch(self, batch, start + first, layout):
                layout = layout or block.layout
                yield block

    def rows(self, inputs: Inputs, seeds: list[int] | None) -> Iterator[Arguments]:
        """Give the arguments of one simulation after the other."""
        columns = self._columns(inputs)
        for index, values in enumerate(zip(*map(list, columns.values()), strict=True)):
            filled = dict(zip(columns, values, strict=True))
            yield self._arguments(filled, seeds[index] if seeds else 0)

    def batch(self, inputs: Inputs, seed: int) -> Arguments:
        """Give the arguments of one call for all rows."""
        return self._arguments(self._columns(inputs), seed)

    @property
    def random(self) -> bool:
        """Whether the simulator asks for randomness."""
        return self.binding.rng or self.binding.seed

    def handed(self, seed: int) -> int:
        """Give the seed as a simulator gets it: `seed=` is short, as not all take 64 bits."""
        return seed & 0x7FFFFFFF if self.binding.seed else seed

    def _columns(self, inputs: Inputs) -> dict[str, AnyArray]:
        # Copies, so that a simulator that writes to its arguments does not change the table.
        known = {**inputs.parameters, **inputs.givens}
        columns = {name: known[name].copy() for name in self.binding.named}
        if self.binding.vector is not None:
            columns[self.binding.vector] = inputs.vector()
        return columns

    def _arguments(self, filled: dict[str, Any], seed: int) -> Arguments:
        seed = self.handed(seed)
        if self.binding.rng:
            filled["rng"] = np.random.default_rng(seed)
        if self.binding.seed:
            filled["seed"] = seed
        return [filled.pop(name) for name in self.binding.leading], filled


def _run_rows(call: Call, inputs: Inputs, start: int, layout: Layout | None) -> Block:
    function = call.simulator.function
    seeds = call.seeds.rows(start, start + len(inputs)) if call.random else None
    outputs: dict[int, object] = {}
    failures = []
    for row, (args, kwargs) in enumerate(call.rows(inputs, seeds), start):
        try:
            outputs[row] = kept(function(*args, **kwargs))
        except (Exception, SystemExit) as error:  # a simulator may fail in any way
            failures.append(_failure(row, error))
    return _settle(call, inputs, start, outputs, failures, layout)


def _settle(
    call: Call,
    inputs: Inputs,
    start: int,
    outputs: dict[int, object],
    failures: list[Failure],
    layout: Layout | None,
) -> Block:
    """Read outputs by row; where one is wrong, keep those before it and say so."""
    try:
        return _read(call, inputs, start, outputs, failures, layout)
    except WrongOutput as error:
        block = _settle(
            call,
            inputs[: error.row - start],
            start,
            {row: output for row, output in outputs.items() if row < error.row},
            [failure for failure in failures if failure.row < error.row],
            layout,
        )
        return block if block.wrong else replace(block, wrong=str(error))


def _read(
    call: Call,
    inputs: Inputs,
    start: int,
    outputs: dict[int, object],
    failures: list[Failure],
    layout: Layout | None,
) -> Block:
    if not outputs:
        return Block(start, np.full(len(inputs), FAILED, np.int8), {}, layout, failures)
    rows = list(outputs)
    layout = layout or learn(outputs[rows[0]], rows[0], call.kinds, call.taken)
    kept = np.array(rows) - start
    lengths = {name: inputs.givens[name][kept] for name in call.kinds.lengths}
    values = read_rows(list(outputs.values()), rows, lengths, layout)
    status = np.full(len(inputs), FAILED, np.int8)
    good = finite(values, lengths, layout)
    status[kept] = np.where(good, OK, INVALID)
    invalid = [_invalid(row) for row in kept[~good] + start]
    if failures:
        values = {name: _scatter(value, kept, len(inputs)) for name, value in values.items()}
    return Block(start, status, values, layout, [*failures, *invalid])


def _run_batch(call: Call, inputs: Inputs, start: int, layout: Layout | None) -> Iterator[Block]:
    seed = call.seeds.batch(start // call.seeds.block) if call.random else 0
    args, kwargs = call.batch(inputs, seed)
    try:
        output = call.simulator.function(*args, **kwargs)
    except (Exception, SystemExit):  # find the rows that are to blame
        yield from _run_singly(call, inputs, start, layout)
    else:
        yield _read_batch(call, inputs, start, output, layout)


def _run_singly(call: Call, inputs: Inputs, start: int, layout: Layout | None) -> Iterator[Block]:
    """Run the rows of a batch that failed as batches of one."""
    seeds = call.seeds.rows(start, start + len(inputs))
    for index, seed in enumerate(seeds):
        row, single = start + index, inputs[index : index + 1]
        args, kwargs = call.batch(single, seed)
        try:
            output = call.simulator.function(*args, **kwargs)
        except (Exception, SystemExit) as error:
            yield Block(row, np.full(1, FAILED, np.int8), {}, layout, [_failure(row, error)])
            continue
        block = _read_batch(call, single, row, output, layout)
        layout = block.layout
        yield block
        if block.wrong:
            return


def _read_batch(
    call: Call, inputs: Inputs, start: int, output: object, layout: Layout | None
) -> Block:
    lengths = {name: inputs.givens[name] for name in call.kinds.lengths}
    try:
        layout = layout or learn(output, start, call.kinds, call.taken, batch=len(inputs))
        values = read_batch(output, start, len(inputs), lengths, layout)
    except WrongOutput as error:
        return Block(start, np.empty(0, np.int8), {}, layout, [], str(error))
    good = finite(values, lengths, layout)
    status = np.where(good, OK, INVALID).astype(np.int8)
    invalid = [_invalid(row) for row in np.flatnonzero(~good) + start]
    return Block(start, status, values, layout, invalid)


def _scatter(value: FloatArray, kept: IntArray, size: int) -> FloatArray:
    full = np.full((size, *value.shape[1:]), np.nan)
    full[kept] = value
    return full


def _failure(row: int, error: BaseException) -> Failure:
    # The first frame is ours. Equal texts are kept once: thousands may fail in the same way.
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    text = "".join(traceback.format_exception(type(error), error, inner))
    return Failure(row, FAILED, f"{type(error).__name__}: {error}", sys.intern(text))


def _invalid(row: np.int64) -> Failure:
    return Failure(int(row), INVALID, "the output holds NaN or infinity", "")
