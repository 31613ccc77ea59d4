"""What a worker runs: some rows of a simulator, with whatever goes wrong written down.

Kept apart from tables and priors so that a worker starts quickly.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.simulation.binding import Binding
from sbi_inn.simulation.failure import OutOfTime
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

STATUS = ("ok", "failed", "invalid", "timeout", "lost")
"""What can become of a simulation, as a table says it; workers send its place in this list."""

OK = 0
"""It returned finite numbers."""

FAILED = 1
"""It raised, or returned what no table can hold."""

INVALID = 2
"""It returned NaN or infinity."""

TIMEOUT = 3
"""It took longer than was allowed."""

LOST = 4
"""The process that it ran in died, time and again."""

Watch = Callable[[int], None]
"""Told the first row of every call, before it."""

Arguments = tuple[list[Any], dict[str, Any]]


@dataclass(frozen=True)
class Failure:
    """What became of a simulation that did not succeed.

    Attributes
    ----------
    row : int
    status : int
        Index of `STATUS`.
    error, traceback : str
    wrong : bool
        Whether it returned what no table can hold, such as None or another shape.
    """

    row: int
    status: int
    error: str
    traceback: str
    wrong: bool = False


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
        What was wrong with the output of the first call that returned none a table can hold.
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

    def run(
        self,
        inputs: Inputs,
        start: int,
        layout: Layout | None,
        *,
        part: bool = False,
        watch: Watch | None = None,
    ) -> Iterator[Block]:
        """Simulate rows numbered from `start`; rows of batched simulators come in whole blocks.

        Parameters
        ----------
        inputs : Inputs
        start : int
        layout : Layout or None
            What the outputs should look like, if that is known.
        part : bool
            They are a part of a block that failed as a whole.
        watch : callable, optional
        """
        if not self.simulator.batched:
            yield _run_rows(self, inputs, start, layout, watch)
            return
        for first in range(0, len(inputs), self.seeds.block):
            batch = inputs[first : first + self.seeds.block]
            for block in _run_batch(self, batch, start + first, layout, part, watch):
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


def _run_rows(
    call: Call, inputs: Inputs, start: int, layout: Layout | None, watch: Watch | None
) -> Block:
    function = call.simulator.function
    seeds = call.seeds.rows(start, start + len(inputs)) if call.random else None
    outputs: dict[int, object] = {}
    failures = []
    for row, (args, kwargs) in enumerate(call.rows(inputs, seeds), start):
        if watch is not None:
            watch(row)
        try:
            outputs[row] = kept(function(*args, **kwargs))
        except (Exception, SystemExit) as error:  # a simulator may fail in any way
            failures.append(_failure(row, error))
    try:
        return _read(call, inputs, start, outputs, failures, layout)
    except WrongOutput as error:
        sound, wrong, layout = _sound(call, inputs, start, outputs, layout)
        block = _read(call, inputs, start, sound, [*failures, *wrong], layout)
        return replace(block, wrong=str(error))


def _sound(
    call: Call, inputs: Inputs, start: int, outputs: dict[int, object], layout: Layout | None
) -> tuple[dict[int, object], list[Failure], Layout | None]:
    """Find the outputs that can be read; the others are failures of their rows."""
    sound, wrong = {}, []
    for row, output in outputs.items():
        here = slice(row - start, row - start + 1)
        lengths = {name: inputs.givens[name][here] for name in call.kinds.lengths}
        try:
            known = layout or learn(output, row, call.kinds, call.taken)
            read_rows([output], [row], lengths, known)
        except WrongOutput as error:
            wrong.append(_failure(row, error))
        else:
            sound[row], layout = output, known
    return sound, wrong, layout


def _read(
    call: Call,
    inputs: Inputs,
    start: int,
    outputs: dict[int, object],
    failures: list[Failure],
    layout: Layout | None,
) -> Block:
    status = np.full(len(inputs), FAILED, np.int8)
    status[[failure.row - start for failure in failures]] = [f.status for f in failures]
    if not outputs:
        return Block(start, status, {}, layout, failures)
    rows = list(outputs)
    layout = layout or learn(outputs[rows[0]], rows[0], call.kinds, call.taken)
    kept = np.array(rows) - start
    lengths = {name: inputs.givens[name][kept] for name in call.kinds.lengths}
    values = read_rows(list(outputs.values()), rows, lengths, layout)
    good = finite(values, lengths, layout)
    status[kept] = np.where(good, OK, INVALID)
    invalid = [_invalid(row) for row in kept[~good] + start]
    if failures:
        values = {name: _scatter(value, kept, len(inputs)) for name, value in values.items()}
    return Block(start, status, values, layout, [*failures, *invalid])


def _run_batch(
    call: Call,
    inputs: Inputs,
    start: int,
    layout: Layout | None,
    part: bool,
    watch: Watch | None,
) -> Iterator[Block]:
    """Run rows in one call; where that fails, halves of them, down to those that are to blame."""
    done = _call_batch(call, inputs, start, layout, part, watch)
    if isinstance(done, Block):
        yield done
        return
    if len(inputs) == 1:
        yield one_failed(_failure(start, done), layout)
        return
    middle = len(inputs) // 2
    wrong = str(done) if isinstance(done, WrongOutput) else ""
    for half, first in ((inputs[:middle], start), (inputs[middle:], start + middle)):
        for block in _run_batch(call, half, first, layout, True, watch):
            layout = layout or block.layout
            yield replace(block, wrong=wrong or block.wrong)


def _call_batch(
    call: Call,
    inputs: Inputs,
    start: int,
    layout: Layout | None,
    part: bool,
    watch: Watch | None,
) -> Block | BaseException:
    if part:  # numbers of its own: those of the whole block went into what failed
        seed = call.seeds.rows(start, start + 1)[0]
    else:
        seed = call.seeds.batch(start // call.seeds.block) if call.random else 0
    args, kwargs = call.batch(inputs, seed)
    if watch is not None:
        watch(start)
    try:
        output = call.simulator.function(*args, **kwargs)
        return _read_batch(call, inputs, start, output, layout)
    except (Exception, SystemExit) as error:
        return error


def _read_batch(
    call: Call, inputs: Inputs, start: int, output: object, layout: Layout | None
) -> Block:
    lengths = {name: inputs.givens[name] for name in call.kinds.lengths}
    layout = layout or learn(output, start, call.kinds, call.taken, batch=len(inputs))
    values = read_batch(output, start, len(inputs), lengths, layout)
    good = finite(values, lengths, layout)
    status = np.where(good, OK, INVALID).astype(np.int8)
    invalid = [_invalid(row) for row in np.flatnonzero(~good) + start]
    return Block(start, status, values, layout, invalid)


def one_failed(failure: Failure, layout: Layout | None) -> Block:
    """Make the outcome of one simulation that did not return."""
    status = np.full(1, failure.status, np.int8)
    wrong = f"simulation {failure.row}: {failure.error}" if failure.wrong else ""
    return Block(failure.row, status, {}, layout, [failure], wrong)


def _scatter(value: FloatArray, kept: IntArray, size: int) -> FloatArray:
    full = np.full((size, *value.shape[1:]), np.nan)
    full[kept] = value
    return full


def _failure(row: int, error: BaseException) -> Failure:
    if isinstance(error, WrongOutput):  # our own frames say nothing to who wrote the simulator
        return Failure(row, FAILED, error.message, "", wrong=True)
    # The first frame is ours. Equal texts are kept once: thousands may fail in the same way.
    inner = error.__traceback__.tb_next if error.__traceback__ else None
    text = "".join(traceback.format_exception(type(error), error, inner))
    status = TIMEOUT if isinstance(error, OutOfTime) else FAILED
    return Failure(row, status, f"{type(error).__name__}: {error}", sys.intern(text))


def _invalid(row: np.int64) -> Failure:
    return Failure(int(row), INVALID, "the output holds NaN or infinity", "")
