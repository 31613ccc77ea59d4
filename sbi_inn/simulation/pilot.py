"""The pilot before a run: whether it works, is repeatable, and how long it takes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from sbi_inn.simulation.blocks import OK, Block, Call
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.pool import Engine
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.tasks import Drawn, Task, layout_of

TRIES = 10
"""Simulations, where the first ones fail."""

WRONG = 3
"""Of them that return what no table can hold, after which a run is pointless."""

PATIENCE = 5.0
"""Seconds, likewise."""

CHEAP = 1e-3
"""Seconds: below this one simulation is too short to be timed alone."""

TIMED = 100
"""Simulations that are timed together then: 0.1 s at most."""

REPEATS = 3
"""Times, of which the shortest counts: others were disturbed."""

TOO_LONG = 600.0
"""Seconds: a longer run must be asked for."""


@dataclass(frozen=True)
class Pilot:
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


def run_pilot(engine: Engine, call: Call, inputs: Drawn, start: int = 0) -> Pilot:
    """Run the first simulation that works, or block of a batched simulator, twice.

    Parameters
    ----------
    engine : Engine
    call : Call
    inputs : Drawn
    start : int
        The first row to be tried.
    """
    step = call.seeds.block if call.simulator.batched else 1
    wrong, tried, began = "", 0, perf_counter()
    layout: Layout | None = None
    places = range(start, min(len(inputs), start + TRIES * step), step)
    for place in places:
        first, seconds = _run(engine, inputs, place, step)
        layout = layout or layout_of(first)
        if _worked(first):
            break
        complaint = next((block.wrong for block in first if block.wrong), "")
        wrong, tried = wrong or complaint, tried + bool(complaint)
        if tried == WRONG or perf_counter() - began > PATIENCE:
            break
    if not _worked(first):
        pointless = tried == min(WRONG, len(places))
        return Pilot(seconds / step, layout, True, wrong if pointless else "")
    second, again = _run(engine, inputs, place, step)
    seconds = min(seconds, again) / step
    if step == 1 and seconds < CHEAP:
        seconds = _time(engine, inputs, start)
    worked = next((block for block in first if (block.status == OK).any()), None)
    return Pilot(seconds, layout, _same(first, second), "", worked)


def announce(
    pilot: Pilot, problem: Problem, rows: int, jobs: int, *, asked: bool, progress: bool
) -> None:
    """Say what the pilot has found, and stop a long run that nobody asked for."""
    if not pilot.repeatable:
        warnings.warn(
            "hidden global randomness: the same simulation with the same generator gave two "
            "results, so the simulations cannot be repeated. Draw from an argument `rng` (a numpy "
            "Generator), or seed from an argument `seed`",
            stacklevel=4,
        )
    seconds = pilot.seconds * rows / jobs
    cost = (
        f"{_span(pilot.seconds)} a simulation: about {_span(seconds)} for "
        f"{rows:,} on {jobs} core{'s' if jobs > 1 else ''}"
    )
    if not asked and seconds > TOO_LONG:
        raise SimulationError(
            f"{cost}. To run them, pass n={rows}, or a smaller number; n_jobs= sets the "
            "number of cores"
        )
    if progress:
        print(f"{_understood(problem, pilot.layout)}\n{cost}")
        for name in pilot.layout.maybe_images() if pilot.layout else ():
            print(f"if {name} is an image, say so: @si.simulator(images=[{name!r}])")


def _understood(problem: Problem, layout: Layout | None) -> str:
    given = f" | {', '.join(problem.given)}" if problem.given else ""
    if layout is None:
        sees = "nothing yet: the first simulations failed"
    else:
        sees = ", ".join(map(layout.describe, layout.shapes))
    return f"{', '.join(problem.prior.columns)}{given} -> {sees}"


def _span(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _run(engine: Engine, inputs: Drawn, start: int, rows: int) -> tuple[list[Block], float]:
    """Run rows, and give their blocks in order and the seconds that they took."""
    task = Task(start, min(start + rows, len(inputs)))
    outcomes = list(engine.run([task], inputs, None))
    blocks = sorted((b for o in outcomes for b in o.blocks), key=lambda block: block.start)
    return blocks, max(outcome.seconds for outcome in outcomes)


def _time(engine: Engine, inputs: Drawn, start: int) -> float:
    rows, times = min(len(inputs) - start, TIMED), list[float]()
    began = perf_counter()
    while len(times) < REPEATS and perf_counter() - began < 1:  # more, if some of them take long
        times.append(_run(engine, inputs, start, rows)[1])
    return min(times) / rows


def _worked(blocks: list[Block]) -> bool:
    return any((block.status == OK).any() for block in blocks)


def _same(first: list[Block], second: list[Block]) -> bool:
    return len(first) == len(second) and all(map(_equal, first, second))


def _equal(one: Block, other: Block) -> bool:
    return (
        np.array_equal(one.status, other.status)
        and one.values.keys() == other.values.keys()
        and all(np.array_equal(v, other.values[n], equal_nan=True) for n, v in one.values.items())
    )
