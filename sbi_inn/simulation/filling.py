"""A run into a store: what is missing there is simulated, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sbi_inn.simulation import manifest as manifests
from sbi_inn.simulation.blocks import STATUS, Block, Call
from sbi_inn.simulation.drawing import row_bytes
from sbi_inn.simulation.execution import Execution
from sbi_inn.simulation.failure import SimulationError, carry
from sbi_inn.simulation.lazily import LazyInputs
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.piece import Piece, Writer
from sbi_inn.simulation.pilot import announce, run_pilot
from sbi_inn.simulation.pool import run_all
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Seeds
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.simulation.stated import DEFAULT, call_of, checked_number
from sbi_inn.simulation.store import LOCK, Store
from sbi_inn.simulation.stored import layout_from
from sbi_inn.simulation.table import seed_of, with_noise
from sbi_inn.simulation.tally import Tally
from sbi_inn.simulation.tasks import Task, cut
from sbi_inn.training.progress import bar
from sbi_inn.typing import is_count


def run_stored(
    problem: Problem,
    path: str | Path,
    *,
    n: int | None,
    part: tuple[int, int] | None,
    how: Execution,
    seed: int | None,
    progress: bool,
) -> Simulations:
    """Simulate what a store does not hold yet, and read the table from it.

    Raises
    ------
    SimulationError
        As `simulate`, and if the store is of another problem, another run writes to the same
        piece, or it cannot be written.
    """
    checked_number(problem, n)
    store = Store.of(path, problem, seed)
    runs = store.manifest["runs"]
    rows = n or (runs[-1]["stop"] if runs else DEFAULT)
    _check_part(part, rows, problem)
    _check_disk(store.path, problem, rows)
    store = store.reaching(rows, part[1] if part is not None else 1)
    pieces = store.pieces(part, rows)
    if not pieces:
        parts = sorted({run["parts"] for run in store.manifest["runs"]})
        raise SimulationError(
            f"{path}: its rows are divided into {', '.join(map(str, parts))} parts; got part "
            f"{part[0]}/{part[1]}"
            if part is not None
            else f"{path}: no rows"
        )
    call = call_of(problem, Seeds(store.manifest["seed"]))
    inputs = LazyInputs(problem, _whole(rows, call), call.seeds)
    run = _Run(problem, call, inputs, how, asked=n is not None, progress=progress)
    try:
        with ExitStack() as locks:
            for piece in pieces:
                locks.enter_context(_locked(piece))
            store = run.fill(store, pieces, rows)
    except BaseException as error:
        if any(piece.done().any() for piece in pieces):
            carry(error, store.table(problem.prior, rows, pieces))
        raise
    table = store.table(problem.prior, rows, None if part is None else pieces)
    if not len(table.ok):
        raise SimulationError(_all_failed(table), table)
    return with_noise(table, problem.noise, call.seeds)


def _all_failed(table: Simulations) -> str:
    failures = table.failures
    counts = ", ".join(f"{n:,} {status}" for status, n in failures["status"].value_counts().items())
    first = failures["traceback"].iloc[0] or failures["error"].iloc[0]
    return f"all {len(table):,} simulations failed: {counts}. The first:\n{first}"


@dataclass(frozen=True)
class _Run:
    """A run into a store."""

    problem: Problem
    call: Call
    inputs: LazyInputs
    how: Execution
    asked: bool
    progress: bool

    def fill(self, store: Store, pieces: Sequence[Piece], stop: int) -> Store:
        """Simulate the rows of pieces that are missing, before row `stop`."""
        todo = [(piece, piece.missing(stop)) for piece in pieces]
        rows = sum(b - a for _, gaps in todo for a, b in gaps)
        self._compare(store)
        if not rows:
            return store
        first = next(a for _, gaps in todo for a, _ in gaps)
        store, layout, seconds = self._pilot(store, first, rows)
        jobs = self.how.jobs(seconds * rows)
        tally = Tally()
        with bar(rows, "simulate", unit=" rows", show=self.progress) as shown:
            engine = self.how.engine(self.call, jobs)
            for piece, gaps in todo:
                tasks = chain.from_iterable(self._tasks(a, b, jobs, seconds) for a, b in gaps)
                writer = Writer(piece, self.inputs, self._seed_of())
                try:
                    with closing(run_all(engine, tasks, self.inputs, layout)) as outcomes:
                        for outcome in outcomes:
                            for block in outcome.blocks:
                                shown.update(writer.add(block))
                                tally.add(block)
                                if layout is None and tally.hopeless:
                                    raise SimulationError(tally.all_failed(rows))
                                if layout is None and block.layout is not None:
                                    layout = block.layout
                                    store = store.changed(layout=_shapes(layout))
                finally:
                    writer.flush()
        return store.changed(counts=_counts(store.pieces()))

    def _tasks(self, start: int, stop: int, jobs: int, seconds: float) -> Any:
        block = self.call.seeds.block if self.call.simulator.batched else 1
        return cut(start // block * block, _whole(stop, self.call), self.call, jobs, seconds)

    def _seed_of(self) -> Any:
        return (lambda failure: seed_of(self.call, failure)) if self.call.random else None

    def _pilot(self, store: Store, first: int, rows: int) -> tuple[Store, Layout | None, float]:
        """Give what the outputs look like, and the seconds of one, from the store if it knows."""
        layout, seconds = layout_from(store.manifest), store.manifest["seconds"]
        if layout is not None and seconds is not None:
            return store, layout, seconds
        block = self.call.seeds.block if self.call.simulator.batched else 1
        pilot = run_pilot(
            self.how.engine(self.call), self.call, self.inputs, first // block * block
        )
        if pilot.wrong:
            raise SimulationError(pilot.wrong)
        jobs = self.how.jobs(pilot.seconds * rows)
        announce(pilot, self.problem, rows, jobs, asked=self.asked, progress=self.progress)
        if pilot.layout is not None:
            store = store.changed(layout=_shapes(pilot.layout), seconds=pilot.seconds)
        return store, layout_from(store.manifest), pilot.seconds

    def _compare(self, store: Store) -> None:
        """Where there is no source to compare, simulate the first row again and compare that."""
        if store.manifest["simulator"]["source"] is not None or not store.manifest["layout"]:
            return
        step = self.call.seeds.block if self.call.simulator.batched else 1
        for piece in store.pieces():
            start = -(-piece.start // step) * step
            place = start - piece.start
            if place < len(piece) and piece.done()[place]:
                engine, task = self.how.engine(self.call), Task(start, start + step)
                outcomes = list(engine.run([task], self.inputs, layout_from(store.manifest)))
                blocks = [block for outcome in outcomes for block in outcome.blocks]
                _compare_row(store, piece, place, min(blocks, key=lambda block: block.start))
                return


def _compare_row(store: Store, piece: Piece, place: int, block: Block) -> None:
    """Raise SimulationError unless a row of a store is the first of a block."""
    arrays = piece.arrays()
    for name, value in block.values.items():
        mine, theirs = value[0], arrays[name][place] if name in arrays else np.empty(0)
        if np.ndim(mine) and np.ndim(theirs) == np.ndim(mine):  # padded to another width
            width = min(len(mine), len(theirs))
            mine, theirs = mine[:width], theirs[:width]
        if not np.array_equal(mine, theirs, equal_nan=True):
            raise SimulationError(
                f"{store.path} holds simulations of another simulator: simulation {block.start} "
                f"gives another {name} now"
            )


def _shapes(layout: Layout) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in layout.shapes.items()}


def _whole(rows: int, call: Call) -> int:
    """Round rows up to whole blocks, where the simulator is batched."""
    block = call.seeds.block
    return -(-rows // block) * block if call.simulator.batched else rows


def _counts(pieces: Sequence[Piece]) -> dict[str, int]:
    found: dict[str, int] = dict.fromkeys(STATUS, 0)
    for piece in pieces:
        for line in piece.lines():
            for status, count in line["counts"].items():
                found[status] += count
    return found


def _locked(piece: Piece) -> Any:
    lock = manifests.locked(piece.path / LOCK, wait=False)
    stack = ExitStack()
    try:
        stack.enter_context(lock)
    except BlockingIOError:
        raise SimulationError(
            f"another run writes to {piece.path} now; wait until it has ended"
        ) from None
    return stack


def _check_part(part: Any, rows: int, problem: Problem) -> None:
    if part is None:
        return
    pair = part if isinstance(part, tuple) and len(part) == 2 else (0, 0)
    if not all(map(is_count, pair)) or pair[0] > pair[1]:
        raise SimulationError(f"part is (i, k), part i of k, with 1 <= i <= k; got {part!r}")
    block = Seeds(0).block if problem.simulator.batched else 1
    units = -(-rows // block)
    if pair[1] > units:
        blocks = f"{rows:,} rows are {units:,} blocks" if block > 1 else f"there are {rows:,} rows"
        raise SimulationError(
            f"{blocks}, so that no more than {units:,} parts are of use; got part "
            f"{pair[0]}/{pair[1]}"
        )


def _check_disk(path: Path, problem: Problem, rows: int) -> None:
    needed, free = rows * row_bytes(problem), shutil.disk_usage(path).free
    if needed > 100 * free:  # numbers that compress well may take a hundredth
        raise SimulationError(
            f"{rows:,} simulations take {needed / 1e9:,.3g} GB at least; {path} has "
            f"{free / 1e9:,.3g} GB"
        )
