"""Simulate again at posterior draws, with the observation's own givens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sbi_inn.data import Simulations
from sbi_inn.observations import Observations
from sbi_inn.schema import Schema
from sbi_inn.simulation.givens import is_whole
from sbi_inn.simulation.noise import NOISE
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import resimulate_rows
from sbi_inn.statistics import statistics

FloatArray = npt.NDArray[np.float64]


def givens_of(observations: Observations, schema: Schema) -> dict[str, npt.NDArray[Any]]:
    """Read the givens off observations, set sizes included; each of shape (batch, ...)."""
    folded = schema.fold(observations.vector)
    sizes = {name: padded.sizes for name, padded in observations.sets.items()}
    return {name: folded[name] for name in schema.givens} | sizes


def at_givens_of(observation: Observations, schema: Schema, problem: Problem) -> Problem:
    """Hold the givens of a problem fixed at those of one observation."""
    given = dict(problem.given)
    for name, value in givens_of(observation, schema).items():
        if name not in given:  # the length of a series may be none
            continue
        # A single number is a constant; a table of one row is drawn from all the time.
        whole = name in schema.sets or is_whole(given[name])
        varied = value.ndim > 1 or not np.isfinite(value[0])
        given[name] = value[:1] if varied else int(value[0]) if whole else float(value[0])
    return replace(problem, given=given)


def observe_again(
    problem: Problem,
    schema: Schema,
    flat: FloatArray,
    observations: Observations,
    *,
    seed: int,
    stream: int,
    n_jobs: int = 1,
) -> tuple[dict[str, FloatArray], Observations, npt.NDArray[np.bool_]]:
    """Simulate at flat parameters, each with the givens of its own observation.

    Parameters
    ----------
    problem : Problem
    schema : Schema
    flat : array, shape (m, dim)
    observations : Observations
        As many rows.
    seed, stream : int

    Returns
    -------
    values : dict of str to array, shape (m, ...)
        The observables, with noise; NaN where a simulation failed.
    again : Observations
        Those that succeeded.
    ok : array of bool, shape (m,)
        Which ones did.

    Raises
    ------
    SimulationError
        If every simulation fails, or the noise cannot be applied.
    """
    givens = givens_of(observations, schema)
    values, ok = resimulate_rows(
        problem,
        problem.prior.unflatten(flat),
        givens,
        seed=seed,
        stream=stream,
        n_jobs=n_jobs,
    )
    held = {name: value[ok] for name, value in givens.items()}
    good = {name: values[name][ok] for name in schema.observables}
    if problem.noise is not None:
        constants = {n: np.full(len(ok[ok]), value) for n, value in schema.constants.items()}
        rng = np.random.default_rng([seed, stream, NOISE])
        good = problem.noise(good, constants | held, schema, rng)
        for name, value in good.items():
            values[name][ok] = value
    sizes = {name: held[name] for name in schema.sets}
    return values, schema.stack(good | {n: held[n] for n in schema.givens}, sizes), ok


def resimulated(
    problem: Problem,
    simulations: Simulations,
    flat: FloatArray,
    observation: Observations,
    *,
    seed: int,
    stream: int,
) -> tuple[xr.Dataset, FloatArray]:
    """Simulate at draws of one observation's posterior, and label the observables.

    Parameters
    ----------
    problem : Problem
    simulations : Simulations
        For labels, units and dims of the observables.
    flat : array, shape (m, dim)
    observation : Observations
        A batch of one.
    seed, stream : int

    Returns
    -------
    observables : xarray.Dataset
        Dim `draw`; NaN where a simulation failed.
    rows : array, shape (m, k)
        Their statistics, NaN where a simulation failed.
    """
    schema, table = simulations.schema, simulations.dataset
    assert schema is not None
    same = observation[np.zeros(len(flat), np.int64)]
    values, again, ok = observe_again(
        problem, schema, flat, same, seed=seed, stream=stream, n_jobs=-1
    )
    found = statistics(again, schema)
    rows = np.full((len(flat), found.shape[1]), np.nan)
    rows[ok] = found
    names = tuple(schema.observables)
    about = simulations.attrs(names)
    variables = {n: (("draw", *table[n].dims[1:]), values[n], about[n]) for n in names}
    return xr.Dataset(variables), rows
