"""simulate: from a problem to a table of simulations, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.prior import Prior
from sbi_inn.simulation import table
from sbi_inn.simulation.blocks import OK, Block, Call
from sbi_inn.simulation.drawing import check_givens, check_memory, draw_inputs
from sbi_inn.simulation.execution import Execution
from sbi_inn.simulation.failure import SimulationError, carry
from sbi_inn.simulation.filling import run_stored
from sbi_inn.simulation.givens import is_whole
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.noise import Noise
from sbi_inn.simulation.pilot import Pilot, announce, run_pilot
from sbi_inn.simulation.pool import run_all
from sbi_inn.simulation.problem import Givens, Problem
from sbi_inn.simulation.registry import as_problem
from sbi_inn.simulation.results import Results
from sbi_inn.simulation.seeds import BLOCK, Seeds, Stream, fresh_seed
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.simulation.simulator import Simulator
from sbi_inn.simulation.stated import call_of, checked_number
from sbi_inn.simulation.tasks import Outcome, Task, cut, layout_of
from sbi_inn.training.progress import bar
from sbi_inn.typing import BoolArray, FloatArray

RESIMULATED = 4096
"""Rows in a block when parameters are stated: larger, as there are millions."""


def simulate(
    simulator: Problem | Simulator | Callable[..., Any] | str,
    prior: Prior | None = None,
    *,
    n: int | None = None,
    given: Givens | None = None,
    noise: Noise | Callable[..., Any] | None = None,
    store: str | Path | None = None,
    part: tuple[int, int] | None = None,
    timeout: float | None = None,
    retries: int = 0,
    client: Any = None,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
) -> Simulations:
    """Run a simulator at parameters drawn from the prior.

    Parameters
    ----------
    simulator : callable, Problem or str
        A callable with its prior, a Problem, or the name of a registered one.
    prior : Prior, optional
        Required with a callable.
    n : int, optional
        Number of simulations. Default: 10,000, if they take less than ten minutes.
    given : mapping, optional
        Quantities that are known and not inferred, as in `Problem`: numbers, frozen scipy
        distributions, arrays of which a row is drawn, functions of parameters and earlier givens.
    noise : callable, optional
        A function of those observables, parameters, givens and `rng` that its signature names. It
        returns the observables that it changes. The table keeps the observables without noise too,
        as training draws new noise in every epoch.
    store : path, optional
        A folder, such as "runs/arm.zarr", into which each simulation is written when it is done. A
        second call resumes where the first stopped, and adds simulations if `n` is larger; a call
        with another problem or seed is refused. The table is read from there row by row. Needs
        `pip install ".[scale]"` in a copy of the repository.
    part : (int, int), optional
        Simulate only part i of k, such as (17, 60). Parts may run at the same time, on any machine
        that reaches the folder; together they make the same table.
    timeout : float, optional
        Seconds for one call of the simulator. Simulations then run in separate processes: one that
        takes longer is killed with its process, and gets the status "timeout".
    retries : int
        How often a simulation is tried again if it took too long or its process died ("lost").
    client : dask.distributed.Client, optional
        Simulate on its workers instead of the cores of this machine, with the same result.
    n_jobs : int
        Processes; -1 uses all cores. It does not change the result.
    seed : int, optional
        By default it is new for every call, and recorded in `.dataset.attrs["seed"]`.
    progress : bool
        Print how the arguments were understood, and show a progress bar.

    Returns
    -------
    Simulations
        Each row depends on the seed and its number only: a longer run begins with the rows of a
        shorter one.

    Raises
    ------
    SimulationError
        If the simulator's arguments or outputs cannot be understood, every simulation fails, or
        the run would take over ten minutes and no `n` was given. `.simulations` holds the table so
        far, also on a KeyboardInterrupt and any other error that stops the run.

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
    how = Execution(n_jobs, timeout, retries, client, isolated=store is not None)
    if store is not None:
        return run_stored(problem, store, n=n, part=part, how=how, seed=seed, progress=progress)
    if part is not None:
        raise SimulationError(f"part={part} needs a store: pass store='runs/name.zarr'")
    return run(problem, n=n, how=how, seed=seed, progress=progress)


def run(
    problem: Problem,
    *,
    n: int | None = None,
    how: Execution | None = None,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
    stream: Stream = Stream.SIMULATIONS,
) -> Simulations:
    """Simulate a Problem, as `simulate`; runs of one seed and different streams are independent."""
    how = how or Execution(n_jobs)
    rows = checked_number(problem, n)
    call = call_of(problem, Seeds(fresh_seed(seed), stream, BLOCK))
    check_memory(problem, rows)
    inputs = draw_inputs(problem, rows, call.seeds)
    if not problem.simulator.batched:
        inputs = inputs[:rows]
    results = Results(rows, _widths(problem, inputs[:rows]))
    with _carrying(problem, call, inputs, results):
        pilot = run_pilot(how.engine(call), call, inputs)
        results.seconds = pilot.seconds
        if pilot.wrong:
            raise SimulationError(pilot.wrong)
        _check_words(problem, pilot)
        check_memory(problem, rows, pilot.layout)
        _try_noise(problem, call, inputs, pilot)
        jobs = how.jobs(pilot.seconds * rows)
        announce(pilot, problem, rows, jobs, asked=n is not None, progress=progress)
        tasks = cut(0, len(inputs), call, jobs, pilot.seconds)
        _gather(
            results,
            run_all(how.engine(call, jobs), tasks, inputs, pilot.layout),
            progress,
            give_up=True,
        )
        if not results.succeeded:
            raise SimulationError(results.all_failed())
        simulations = table.to_simulations(problem, call, inputs, results)
        return table.with_noise(simulations, problem.noise, call.seeds)


@contextmanager
def _carrying(problem: Problem, call: Call, inputs: Inputs, results: Results) -> Iterator[None]:
    """Let whatever stops a run carry the table so far: with noise, if that can be applied."""
    try:
        yield
    except BaseException as error:
        if getattr(error, "simulations", None) is None:
            plain = table.to_simulations(problem, call, inputs, results)
            noisy = plain
            with suppress(Exception):
                noisy = table.with_noise(plain, problem.noise, call.seeds)
            carry(error, noisy)
        if isinstance(error, KeyboardInterrupt):
            print(
                f"stopped after {results.done:,} of {len(results.status):,} simulations; they are "
                "in `sys.last_value.simulations`"
            )
        raise


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
    inputs = _stated(problem, parameters, givens or {})
    results = Results(len(inputs), _widths(problem, inputs))
    _gather(results, _resimulated(problem, inputs, seed, stream, n_jobs), False)
    if not results.succeeded:
        raise SimulationError(results.all_failed())
    return results.values, results.status == OK


def resimulate_blocks(
    problem: Problem,
    parameters: Mapping[str, npt.ArrayLike],
    givens: Mapping[str, npt.ArrayLike] | None = None,
    *,
    seed: int,
    n_jobs: int = 1,
    stream: Stream = Stream.RESIMULATION,
) -> Iterator[Block]:
    """Do the same block by block, in any order: what nobody keeps need not fit into memory.

    Raises
    ------
    SimulationError
        As `resimulate_rows`, but not if every row fails.
    """
    inputs = _stated(problem, parameters, givens or {})
    with closing(_resimulated(problem, inputs, seed, stream, n_jobs)) as outcomes:
        for outcome in outcomes:
            yield from outcome.blocks


def _resimulated(
    problem: Problem, inputs: Inputs, seed: int, stream: Stream, n_jobs: int
) -> Generator[Outcome]:
    """Simulate what is stated, on as many cores as it is worth."""
    block = RESIMULATED if problem.simulator.batched else BLOCK
    call, how = call_of(problem, Seeds(seed, stream, block)), Execution(n_jobs)
    done, seconds, layout = 0, 0.0, None
    if n_jobs != 1 and problem.simulator.batched:
        # Its first block tells what a pilot would, which takes two blocks of as many rows.
        first = Task(0, min(block, len(inputs)))
        for outcome in how.engine(call).run([first], inputs, None):
            layout = layout or layout_of(outcome.blocks)
            seconds = outcome.seconds / first.stop
            yield outcome
        done = first.stop
    elif n_jobs != 1:
        pilot = run_pilot(how.engine(call), call, inputs)
        seconds, layout = pilot.seconds, pilot.layout
    jobs = how.jobs(seconds * (len(inputs) - done))
    tasks = cut(done, len(inputs), call, jobs, seconds)
    yield from run_all(how.engine(call, jobs), tasks, inputs, layout)


def _check_words(problem: Problem, pilot: Pilot) -> None:
    """Raise where labels or units are for what does not exist: the observables are known now."""
    if pilot.layout is None:
        return
    known = (*problem.prior.names, *problem.given, *problem.fixed_series, *pilot.layout.shapes)
    for argument in ("labels", "units"):
        strange = [name for name in getattr(problem, argument) if name not in known]
        if strange:
            raise SimulationError(
                f"{argument}= names {', '.join(map(str, strange))}, which is not a parameter, "
                f"given or observable (known: {', '.join(known)}); derived quantities are only "
                "known to fit_posterior(..., derived=)"
            )


def _try_noise(problem: Problem, call: Call, inputs: Inputs, pilot: Pilot) -> None:
    """Apply the noise to the pilot: what is wrong with it shows before a long run."""
    block = pilot.first
    if problem.noise is None or block is None:
        return
    here = inputs[block.start : block.start + len(block.status)]
    results = Results(len(block.status), _widths(problem, here))
    results.add(replace(block, start=0))
    simulations = table.to_simulations(problem, call, here, results)
    table.with_noise(simulations, problem.noise, call.seeds)


def _widths(problem: Problem, inputs: Inputs) -> dict[str, int]:
    return {length: int(inputs.givens[length].max()) for length in problem.lengths}


def _gather(
    results: Results, outcomes: Generator[Outcome], progress: bool, *, give_up: bool = False
) -> None:
    with (
        closing(outcomes),
        bar(len(results.status), "simulate", unit=" rows", show=progress) as shown,
    ):
        for outcome in outcomes:
            for block in outcome.blocks:
                shown.update(results.add(block))
                if give_up and results.hopeless:
                    raise SimulationError(results.all_failed())


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
    check_givens(problem, inputs)
    return inputs
