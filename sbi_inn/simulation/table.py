"""From the outcome of a run to labelled simulations and their schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.blocks import INVALID, OK, STATUS, Call, Failure
from sbi_inn.simulation.covered import columns_of
from sbi_inn.simulation.declared import Declared
from sbi_inn.simulation.failure import carry
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.results import Results
from sbi_inn.simulation.seeds import Seeds
from sbi_inn.simulation.simulations import Redrawn, Simulations, variable
from sbi_inn.typing import AnyArray


def to_simulations(problem: Problem, call: Call, inputs: Inputs, results: Results) -> Simulations:
    """Make a table of the simulations done so far, without noise."""
    done = results.done
    inputs = inputs[:done]
    status = results.status[:done]
    variables = {n: _variable(problem, n, v, parameter=True) for n, v in inputs.parameters.items()}
    variables |= {n: _variable(problem, n, v) for n, v in inputs.givens.items()}
    layout = results.layout
    for name, value in results.values.items():
        length = (layout.length_of(name) or layout.series_of(name)) if layout else None
        variables[name] = _variable(problem, name, value[:done], length)
    if layout is not None:
        for length in problem.fixed_series:
            sizes = np.full(done, layout.fixed_length(length))
            variables[length] = _variable(problem, length, sizes)
    variables["status"] = xr.Variable("simulation", np.array(STATUS)[status])
    attrs = {
        "seed": call.seeds.seed,
        "seconds_per_simulation": results.seconds,
        "deterministic": not call.random and problem.noise is None,
    }
    return with_gaps(
        Simulations(
            xr.Dataset(variables, attrs=attrs),
            problem.prior,
            _schema(problem, inputs, results),
            _failures(problem, call, inputs, results),
            problem=problem,
        )
    )


def _variable(
    problem: Problem,
    name: str,
    value: AnyArray,
    length: str | None = None,
    *,
    parameter: bool = False,
) -> xr.Variable:
    label, units = problem.labels.get(name, name), problem.units.get(name, "")
    return variable(name, value, label=label, units=units, length=length, parameter=parameter)


def _schema(problem: Problem, inputs: Inputs, results: Results) -> Schema | None:
    ok = results.status[: results.done] == OK
    if results.layout is None or not ok.any():
        return None
    seen = {name: value[ok] for name, value in inputs.givens.items()}
    return Declared.of(problem).schema(results.layout, seen)


def with_gaps(simulations: Simulations) -> Simulations:
    """Write into the schema how much of what is missing; names without gaps are left out."""
    schema = simulations.schema
    if schema is None or not schema.missing:
        return simulations
    found = schema.shares_missing(simulations.observations())
    return replace(simulations, schema=replace(schema, missing=found))


def with_noise(simulations: Simulations, noise: Redrawn | None, seeds: Seeds) -> Simulations:
    """Apply noise once, for validation and tests, and keep it for training.

    Parameters
    ----------
    simulations : Simulations
        Without noise.
    noise : Noise or None
    seeds : Seeds
        Of its randomness.

    Raises
    ------
    SimulationError
        If the noise cannot be applied; `.simulations` holds the table without it.
    """
    schema, rows = simulations.schema, simulations.ok
    if noise is None or schema is None:
        return simulations
    noisy_one = replace(simulations, noise=noise)
    try:
        drawn = noisy_one.drawn(rows, seeds.noise())
        noisy = {}
        for name, value in drawn.items():
            noisy[name] = np.full(simulations.dataset[name].shape, np.nan)
            noisy[name][(rows, *map(slice, value.shape[1:]))] = value
        # Padding is NaN too: what is a gap is found with the observations.
        missing = schema.missing | dict.fromkeys(drawn, 0.0)
        return with_gaps(replace(noisy_one, noisy=noisy, schema=replace(schema, missing=missing)))
    except BaseException as error:
        carry(error, simulations)
        raise


def _failures(problem: Problem, call: Call, inputs: Inputs, results: Results) -> pd.DataFrame:
    done = [failure for failure in results.failures if failure.row < results.done]
    failures = sorted(done, key=lambda failure: failure.row)
    rows = [failure.row for failure in failures]
    vector = inputs.vector()[rows]
    values = {name: vector[:, i] for i, name in enumerate(problem.prior.columns)}
    for name, value in inputs.givens.items():
        values |= columns_of(name, value[rows])
    seeds = [seed_of(call, failure) for failure in failures] if call.random else None
    return failures_table(failures, rows, values, seeds)


def failures_table(
    failures: Sequence[Failure],
    rows: Sequence[int],
    values: Mapping[str, AnyArray],
    seeds: Sequence[int | None] | None,
) -> pd.DataFrame:
    """List failures with their rows in the table, parameters and givens by column, and seeds."""
    columns: dict[str, Any] = {"simulation": np.array(rows, np.int64), **values}
    columns["status"] = [STATUS[failure.status] for failure in failures]
    columns["error"] = [failure.error for failure in failures]
    columns["traceback"] = [failure.traceback for failure in failures]
    if seeds is not None:
        columns["seed"] = pd.array(list(seeds), dtype="Int64")
    return pd.DataFrame(columns)


def seed_of(call: Call, failure: Failure) -> int | None:
    """Seed that runs a row alone; a row simulated within a batch has none."""
    if call.simulator.batched and failure.status == INVALID:
        return None
    return call.handed(call.seeds.rows(failure.row, failure.row + 1)[0])
