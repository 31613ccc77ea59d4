"""Simulations on all cores: rows are cut into tasks, which change nothing but the time it takes."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial

import cloudpickle

from sbi_inn.simulation.blocks import Block, Call
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.worker import run_rows
from sbi_inn.training.workers import cores, in_order

# Seconds of work below which starting workers costs more than it saves.
WORTH_IT = 2.0
# Seconds of work in a task, so that the progress bar moves.
TASK = 0.5
# Rows in a task, whose raw outputs are all in memory.
LARGEST = 2**16


def processes(n_jobs: int, work: float) -> int:
    """Count the processes for `work` seconds on one core; `n_jobs` as in `cores`."""
    return 1 if work < WORTH_IT else cores(n_jobs)


def run_all(
    call: Call, inputs: Inputs, *, jobs: int, seconds: float, layout: Layout | None
) -> Generator[Block]:
    """Simulate all inputs and yield the outcome in order.

    Parameters
    ----------
    call : Call
    inputs : Inputs
        Whole blocks, where the simulator is batched.
    jobs : int
        Processes; 1 stays in this one.
    seconds : float
        Expected time of one simulation.
    layout : Layout or None
        What the outputs should look like, if that is known.

    Raises
    ------
    SimulationError
        If the workers cannot be used.
    """
    tasks = _tasks(len(inputs), call, jobs, seconds)
    if jobs == 1:
        for start, stop in tasks:
            for block in call.run(inputs[start:stop], start, layout):
                layout = layout or block.layout
                yield block
        return
    try:
        sent = cloudpickle.dumps(call)  # once: the simulator may hold large tables
        work = (partial(run_rows, sent, inputs[a:b], a, layout) for a, b in tasks)
        with closing(in_order(work, jobs)) as done:
            for blocks in done:
                yield from blocks
    except Exception as error:  # what the simulator raises is in the blocks: this is the pool's
        raise SimulationError(
            f"the worker processes stopped ({type(error).__name__}: {error}); n_jobs=1 simulates "
            "in this process"
        ) from error


def _tasks(rows: int, call: Call, jobs: int, seconds: float) -> Iterator[tuple[int, int]]:
    step = call.seeds.block if call.simulator.batched else 1
    fair = math.ceil(rows / (4 * jobs)) if jobs > 1 else rows
    size = min(fair, LARGEST, int(TASK / max(seconds, 1e-9)))
    size = max(size // step, 1) * step
    return ((start, min(start + size, rows)) for start in range(0, rows, size))
