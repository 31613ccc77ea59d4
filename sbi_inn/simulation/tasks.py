"""What is handed out: runs of rows, and what becomes of those that a process died of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sbi_inn.simulation.blocks import LOST, TIMEOUT, Block, Call, Failure
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout

# Seconds of work in a task, so that the progress bar moves.
TASK = 0.5
# Rows in a task, whose raw outputs are all in memory.
LARGEST = 2**16


class Drawn(Protocol):
    """Parameters and givens of a run: in memory, or drawn when they are asked for."""

    def __len__(self) -> int: ...  # noqa: D105

    def __getitem__(self, rows: slice) -> Inputs: ...  # noqa: D105


@dataclass(frozen=True)
class Task:
    """Rows that are simulated together.

    Attributes
    ----------
    start, stop : int
    part : bool
        They are a part of a block of a batched simulator that failed as a whole.
    tries : int
        How often a process has died of them, or was killed as they took too long.
    """

    start: int
    stop: int
    part: bool = False
    tries: int = 0


@dataclass(frozen=True)
class Limits:
    """What a simulation may cost.

    Attributes
    ----------
    timeout : float or None
        Seconds for one call of the simulator.
    retries : int
        How often it is tried again where it takes longer, or the process dies.
    """

    timeout: float | None = None
    retries: int = 0

    def tries(self, status: int) -> int:
        """Count the tries: what was lost may have died with what ran beside it."""
        return self.retries + (2 if status == LOST else 1)


@dataclass(frozen=True)
class Outcome:
    """What a task has given, and the seconds that it took."""

    task: Task
    blocks: list[Block]
    seconds: float


def cut(start: int, stop: int, call: Call, jobs: int, seconds: float) -> Iterator[Task]:
    """Cut rows into tasks; those of a batched simulator are whole blocks.

    Parameters
    ----------
    start, stop : int
    call : Call
    jobs : int
        Processes.
    seconds : float
        Of one simulation.
    """
    rows = stop - start
    step = call.seeds.block if call.simulator.batched else 1
    fair = math.ceil(rows / (4 * jobs)) if jobs > 1 else rows
    size = min(fair, LARGEST, int(TASK / max(seconds, 1e-9)))
    size = max(size // step, 1) * step
    return (Task(first, min(first + size, stop)) for first in range(start, stop, size))


def around(
    task: Task, row: int, call: Call, status: int, limits: Limits
) -> tuple[list[Task], bool]:
    """Cut a task that ended at a row: what is before, that row or its block, and what is after.

    What has been tried often enough is halved; a single row is given up then.

    Returns
    -------
    tasks : list of Task
    given_up : bool
    """
    size = call.seeds.block if call.simulator.batched else 1
    first = task.start if task.part else row - row % size
    last = task.stop if task.part else min(first + size, task.stop)
    alone = task.start == first and task.stop == last
    tries = (task.tries if alone else 0) + 1
    if tries < limits.tries(status):
        units = [Task(first, last, task.part, tries)]
    elif last - first > 1:
        middle = (first + last) // 2
        units = [Task(first, middle, True), Task(middle, last, True)]
    else:
        units = []
    found = [Task(task.start, first), *units, Task(last, task.stop)]
    return [t for t in found if t.start < t.stop], not units


def given_up(row: int, status: int, limits: Limits) -> Failure:
    """Say why a simulation is not tried again."""
    if status == TIMEOUT:
        error = f"took longer than timeout={limits.timeout:g} s"
    else:
        error = "the process that simulated it died"
    times = limits.tries(status)
    return Failure(row, status, error + (f", {times} times" if times > 1 else ""), "")


def layout_of(blocks: list[Block]) -> Layout | None:
    """Give the layout of the first block that has one."""
    return next((block.layout for block in blocks if block.layout is not None), None)
