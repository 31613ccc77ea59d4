"""Simulations on all cores: rows are cut into tasks, which change nothing but the time it takes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Generator, Iterator
from typing import Any

import joblib

from sbi_inn.simulation.blocks import Block, Call
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.simulations import SimulationError

WORTH_IT = 2.0  # seconds of work below which starting workers costs more than it saves
TASK = 0.5  # seconds of work in a task, so that the progress bar moves
LARGEST = 2**16  # rows in a task, whose raw outputs are all in memory


def cores(n_jobs: int, work: float) -> int:
    """Count the processes for `work` seconds on one core; `n_jobs` as in joblib."""
    return 1 if work < WORTH_IT else joblib.effective_n_jobs(n_jobs)


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
    pool = joblib.Parallel(n_jobs=jobs, return_as="generator")
    work = (joblib.delayed(_run)(call, inputs[a:b], a, layout) for a, b in tasks)
    done: Any = pool(work)  # a generator, in the order of the tasks
    try:
        for blocks in done:
            yield from blocks
    except Exception as error:  # what the simulator raises is in the blocks: this is the pool's
        raise SimulationError(
            f"the worker processes stopped ({type(error).__name__}: {error}); n_jobs=1 simulates "
            "in this process"
        ) from error
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib's, where a run is stopped before its end
            done.close()


def _tasks(rows: int, call: Call, jobs: int, seconds: float) -> Iterator[tuple[int, int]]:
    step = call.seeds.block if call.simulator.batched else 1
    fair = math.ceil(rows / (4 * jobs)) if jobs > 1 else rows
    size = min(fair, LARGEST, int(TASK / max(seconds, 1e-9)))
    size = max(size // step, 1) * step
    return ((start, min(start + size, rows)) for start in range(0, rows, size))


def _run(call: Call, inputs: Inputs, start: int, layout: Layout | None) -> list[Block]:
    return list(call.run(inputs, start, layout))
