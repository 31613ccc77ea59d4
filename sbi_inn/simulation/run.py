"""simulate: from a problem to a table of simulations, whatever goes wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import PriorError
from sbi_inn.prior import Prior
from sbi_inn.simulation import pool, table
from sbi_inn.simulation.blocks import FAILED, INVALID, OK, STATUS, Block, Call
from sbi_inn.simulation.givens import is_whole
from sbi_inn.simulation.inputs import Inputs, check_lengths, draw_inputs
from sbi_inn.simulation.noise import Noise
from sbi_inn.simulation.outputs import WrongOutput
from sbi_inn.simulation.pilot import Look, look
from sbi_inn.simulation.problem import Givens, Problem, as_problem
from sbi_inn.simulation.progress import bar
from sbi_inn.simulation.results import Collected
from sbi_inn.simulation.seeds import BLOCK, Seeds, Stream, fresh_seed
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.simulation.simulator import Simulator
from sbi_inn.typing import BoolArray, FloatArray

DEFAULT = 10_000
TOO_LONG = 600.0  # seconds; a longer run must be asked for
RESIMULATED = 4096  # rows in a block when parameters are stated: larger, as there are millions


def simulate(
    simulator: Problem | Simulator | Callable[..., Any] | str,
    prior: Prior | None = None,
    *,
    n: int | None = None,
    given: Givens | None = None,
    noise: Noise | Callable[..., Any] | None = None,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
) -> Simulations:
    """Simulate at parameters drawn from the prior.

    Parameters
    ----------
    simulator : callable, Problem or str
        A callable with its prior, a Problem, or the name of a registered one.
    prior : Prior, optional
    n : int, optional
        Number of simulations; by default 10,000 if that takes less than ten minutes.
    given : mapping, optional
        What is known and not inferred, as in `Problem`: numbers, frozen scipy distributions, arrays
        whose rows are drawn, functions of parameters and earlier givens.
    noise : callable, optional
        From observables, givens and `rng`, those that its signature names, to the observables that
        it changes. The table keeps them without noise too: training draws it anew in every pass.
    n_jobs : int
        Processes; -1 for all cores. It does not change the result.
    seed : int, optional
        By default fresh entropy, recorded in `.dataset.attrs["seed"]`.
    progress : bool
        Print what was understood, and show a progress bar.

    Returns
    -------
    Simulations
        Rows are keyed by the seed and their number: a longer run begins with a shorter one.

    Raises
    ------
    SimulationError
        If the simulator's arguments or outputs cannot be understood, every simulation fails, or
        the run would take over ten minutes and no `n` was given. `.simulations` holds the table so
        far, as it does on a KeyboardInterrupt.

    Examples
    --------
    >>> import scipy.stats as st
    >>> def throw(speed, rng):
    ...     return {"reach": speed**2 / 9.81 + rng.normal(0, 0.1)}
    >>> simulations = simulate(
    ...     throw, Prior(speed=st.uniform(1, 9)), n=300, seed=1, progress=False
    ... )
    >>> len(simulations), simulations.dataset["reach"].shape
    (300, (300,))
    """
    problem = as_problem(simulator, prior, given, noise)
    return run(problem, n=n, n_jobs=n_jobs, seed=seed, progress=progress)


def run(
    problem: Problem,
    *,
    n: int | None = None,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
    stream: Stream = Stream.SIMULATIONS,
) -> Simulations:
    """Simulate a Problem, as `simulate`; runs of one seed and different streams are independent."""
    if not problem.prior.stated:
        raise PriorError(
            "to simulate, parameters have to be drawn from the prior; this one was fitted to the "
            "columns of a table, and does not know how they go together: state it, as "
            "si.Prior(...)"
        )
    rows = DEFAULT if n is None else int(n)
    if rows < 1 or (n is not None and rows != n):
        raise SimulationError(f"n is a number of simulations, at least 1; got {n}")
    call = _call(problem, Seeds(fresh_seed(seed), stream, BLOCK))
    inputs = draw_inputs(problem, rows, call.seeds)
    if not problem.simulator.batched:
        inputs = inputs[:rows]
    collected = Collected(rows, _widths(problem, inputs[:rows]))
    seen = look(call, inputs)

    def so_far() -> Simulations:
        return table.to_simulations(problem, call, inputs, collected, seen.seconds)

    if seen.wrong:
        raise SimulationError(seen.wrong, so_far())
    _try_noise(problem, call, inputs, seen)
    jobs = pool.processes(n_jobs, seen.seconds * rows)
    _before(problem, seen, rows, jobs, asked=n is not None, progress=progress)
    blocks = pool.run_all(call, inputs, jobs=jobs, seconds=seen.seconds, layout=seen.layout)
    try:
        _gather(collected, blocks, progress)
    except KeyboardInterrupt as interrupt:
        setattr(interrupt, "simulations", so_far())  # noqa: B010 (the class has no such attribute)
        print(
            f"stopped after {collected.done:,} of {rows:,} simulations; they are in "
            "`sys.last_value.simulations`"
        )
        raise
    except (SimulationError, WrongOutput) as error:
        raise SimulationError(str(error), so_far()) from error.__cause__
    simulations = so_far()
    if not collected.succeeded:
        raise SimulationError(_all_failed(collected), simulations)
    return simulations


def resimulate_rows(
    problem: Problem,
    parameters: Mapping[str, npt.ArrayLike],
    givens: Mapping[str, npt.ArrayLike] | None = None,
    *,
    seed: int,
    n_jobs: int = 1,
    stream: Stream = Stream.RESIMULATION,
) -> tuple[dict[str, FloatArray], BoolArray]:
    """Simulate at stated parameters and givens.

    Parameters
    ----------
    problem : Problem
    parameters : mapping of str to array, shape (m,) or (m, k)
    givens : mapping of str to array, shape (m, ...), or number
        Constants of the problem may be left out.
    seed : int
    stream : Stream
        Runs of one seed and different streams are independent.
    n_jobs : int

    Returns
    -------
    values : dict of str to array, shape (m, ...)
        Sets are padded with NaN to the largest length. NaN in rows that failed.
    ok : array of bool, shape (m,)
        Which rows succeeded.

    Raises
    ------
    SimulationError
        If a parameter or given is missing, the outputs cannot be understood, or every row fails.
    """
    block = RESIMULATED if problem.simulator.batched else BLOCK
    call = _call(problem, Seeds(seed, stream, block))
    inputs = _stated(problem, parameters, givens or {})
    collected = Collected(len(inputs), _widths(problem, inputs))
    seconds = look(call, inputs).seconds if n_jobs != 1 else 0.0
    jobs = pool.processes(n_jobs, seconds * len(inputs))
    try:
        _gather(
            collected, pool.run_all(call, inputs, jobs=jobs, seconds=seconds, layout=None), False
        )
    except WrongOutput as error:
        raise SimulationError(str(error)) from None
    if not collected.succeeded:
        raise SimulationError(_all_failed(collected))
    return collected.values, collected.status == OK


def _try_noise(problem: Problem, call: Call, inputs: Inputs, seen: Look) -> None:
    """Apply the noise to what the look has seen: what is wrong with it shows before a long run."""
    if problem.noise is None or seen.first is None:
        return
    block = seen.first
    here = inputs[block.start : block.start + len(block.status)]
    collected = Collected(len(block.status), _widths(problem, here))
    collected.add(replace(block, start=0))
    table.to_simulations(problem, call, here, collected, 0.0)


def _call(problem: Problem, seeds: Seeds) -> Call:
    taken = (*problem.prior.names, *problem.given, *problem.fixed_series)
    return Call(problem.simulator, problem.binding, seeds, taken, problem.kinds)


def _widths(problem: Problem, inputs: Inputs) -> dict[str, int]:
    return {length: int(inputs.givens[length].max()) for length in problem.lengths}


def _gather(collected: Collected, blocks: Generator[Block], progress: bool) -> None:
    with (
        closing(blocks),
        bar(len(collected.status), "simulate", unit=" rows", show=progress) as shown,
    ):
        for block in blocks:
            before = collected.done
            collected.add(block)
            shown.update(collected.done - before)
            if block.wrong:
                raise SimulationError(block.wrong)


def _before(
    problem: Problem, seen: Look, rows: int, jobs: int, *, asked: bool, progress: bool
) -> None:
    """Say what the look has found, and stop a long run that nobody asked for."""
    if not seen.repeatable:
        warnings.warn(
            "hidden global randomness: the same simulation with the same generator gave two "
            "results, so the simulations cannot be repeated. Draw from an argument `rng` (a numpy "
            "Generator), or seed from an argument `seed`",
            stacklevel=4,
        )
    cost = (
        f"{_span(seen.seconds)} a simulation: about {_span(seen.seconds * rows / jobs)} for "
        f"{rows:,} on {jobs} core{'s' if jobs > 1 else ''}"
    )
    if not asked and seen.seconds * rows / jobs > TOO_LONG:
        raise SimulationError(
            f"{cost}. Say that you want it with n={rows}, or a smaller number; n_jobs= sets the "
            "number of cores"
        )
    if progress:
        print(f"{_understood(problem, seen)}\n{cost}")


def _understood(problem: Problem, seen: Look) -> str:
    given = f" | {', '.join(problem.given)}" if problem.given else ""
    if seen.layout is None:
        sees = "nothing yet: the first simulations failed"
    else:
        sees = ", ".join(map(seen.layout.describe, seen.layout.shapes))
    return f"{', '.join(problem.prior.columns)}{given} -> {sees}"


def _span(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _all_failed(collected: Collected) -> str:
    counts = np.bincount(collected.status, minlength=len(STATUS))
    first = min(collected.failures, key=lambda failure: failure.row)
    return (
        f"all {collected.done:,} simulations failed: {counts[FAILED]:,} raised, "
        f"{counts[INVALID]:,} returned NaN or infinity. The first:\n"
        f"{first.traceback or first.error}"
    )


def _stated(
    problem: Problem, parameters: Mapping[str, npt.ArrayLike], givens: Mapping[str, npt.ArrayLike]
) -> Inputs:
    givens = {**problem.constants, **givens}
    missing = [n for n in problem.prior.names if n not in parameters]
    missing += [n for n in problem.given if n not in givens]
    if missing:
        raise SimulationError(
            f"to re-simulate, {', '.join((*problem.prior.names, *problem.given))} must be stated; "
            f"{', '.join(missing)} missing"
        )
    whole = problem.prior.discrete
    kinds = {n: np.int64 if n in whole else np.float64 for n in problem.prior.names}
    stated = {n: np.asarray(parameters[n], kind) for n, kind in kinds.items()}
    rows = len(next(iter(stated.values())))
    known = {}
    for name, value in problem.given.items():
        array = np.asarray(givens[name], np.float64)
        array = array if array.ndim > 1 else np.broadcast_to(array, (rows,))
        whole = name in problem.simulator.sets or (is_whole(value) and np.isfinite(array).all())
        known[name] = np.rint(array).astype(np.int64) if whole else array
    inputs = Inputs(stated, known)
    check_lengths(problem, inputs)
    return inputs
