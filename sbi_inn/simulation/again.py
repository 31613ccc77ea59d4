"""Simulate again at posterior draws, with the observation's own givens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.schema import Observations, Schema
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import resimulate_rows
from sbi_inn.statistics import statistics

FloatArray = npt.NDArray[np.float64]


def givens_of(observations: Observations, schema: Schema) -> dict[str, npt.NDArray[Any]]:
    """Read the givens off observations, set sizes included; each of shape (batch,)."""
    first = len(schema.columns) - len(schema.givens)
    values = {name: observations.vector[:, first + i] for i, name in enumerate(schema.givens)}
    return values | {name: padded.sizes for name, padded in observations.sets.items()}


def simulate_again(
    problem: Problem,
    schema: Schema,
    flat: FloatArray,
    observations: Observations,
    *,
    seed: int,
    stream: int,
    n_jobs: int = 1,
) -> tuple[dict[str, FloatArray], FloatArray]:
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
        The observables; NaN where a simulation failed.
    rows : array, shape (m, k)
        Their statistics, NaN where a simulation failed.
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
    sizes = {name: givens[name][ok] for name in schema.sets}
    good = {name: values[name][ok] for name in schema.observables}
    good |= {name: givens[name][ok] for name in schema.givens}
    found = statistics(schema.stack(good, sizes), schema)
    rows = np.full((len(flat), found.shape[1]), np.nan)
    rows[ok] = found
    return values, rows
