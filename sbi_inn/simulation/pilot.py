"""The look before a run: whether it works, is repeatable, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from sbi_inn.simulation.blocks import OK, Block, Call
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout

TRIES = 10  # simulations, where the first ones fail
PATIENCE = 5.0  # seconds, likewise
CHEAP = 1e-3  # seconds; below this one simulation is too short to be timed alone
TIMED, REPEATS = 100, 3


@dataclass(frozen=True)
class Look:
    """What one simulation, run twice with the same generator, tells.

    Attributes
    ----------
    seconds : float
        Per simulation, on one core.
    layout : Layout or None
        None if no simulation returned.
    repeatable : bool
        False if the two differ: the simulator has hidden randomness.
    wrong : str
        Why a run is pointless, such as an output of a wrong kind; empty if it is not.
    first : Block or None
        The first simulations that worked, if any did.
    """

    seconds: float
    layout: Layout | None
    repeatable: bool
    wrong: str
    first: Block | None = None


def look(call: Call, inputs: Inputs) -> Look:
    """Run the first simulation that works, or block of a batched simulator, twice."""
    step = call.seeds.block if call.simulator.batched else 1
    started = perf_counter()
    for start in range(0, min(len(inputs), TRIES * step), step):
        first = _run(call, inputs, start, step)
        if _worked(first) or perf_counter() - started > PATIENCE:
            break
    wrong = next((block.wrong for block in first if block.wrong), "")
    if wrong:
        return Look(0.0, None, True, wrong)
    again = perf_counter()
    second = _run(call, inputs, start, step)
    seconds = (perf_counter() - again) / step
    if step == 1 and seconds < CHEAP:
        seconds = _time(call, inputs)
    layouts = [block.layout for block in first if block.layout is not None]
    worked = next((block for block in first if (block.status == OK).any()), None)
    return Look(seconds, layouts[0] if layouts else None, _same(first, second), "", worked)


def _run(call: Call, inputs: Inputs, start: int, step: int) -> list[Block]:
    return list(call.run(inputs[start : start + step], start, None))


def _time(call: Call, inputs: Inputs) -> float:
    rows = min(len(inputs), TIMED)
    times = []
    for _ in range(REPEATS):
        started = perf_counter()
        _run(call, inputs, 0, rows)
        times.append(perf_counter() - started)
    return min(times) / rows


def _worked(blocks: list[Block]) -> bool:
    return any(block.wrong or (block.status == OK).any() for block in blocks)


def _same(first: list[Block], second: list[Block]) -> bool:
    return len(first) == len(second) and all(map(_equal, first, second))


def _equal(one: Block, other: Block) -> bool:
    return (
        np.array_equal(one.status, other.status)
        and one.values.keys() == other.values.keys()
        and all(np.array_equal(v, other.values[n], equal_nan=True) for n, v in one.values.items())
    )
