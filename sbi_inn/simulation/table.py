"""From the outcome of a run to labelled simulations and their schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.blocks import FAILED, OK, STATUS, Call
from sbi_inn.simulation.covered import columns_of, missing_of, ranges, shapes_of
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
    layout, constants, lengths = results.layout, problem.constants, problem.lengths
    seen = {name: value[ok] for name, value in inputs.givens.items()}
    varying = tuple(name for name in seen if name not in (*constants, *lengths))
    shapes = {n: s[1:] if layout.series_of(n) else s for n, s in layout.shapes.items()}
    fixed = {length: float(layout.fixed_length(length)) for length in problem.fixed_series}
    return Schema(
        observables=shapes,
        sets=problem.simulator.ordered,
        givens=varying,
        constants=constants | fixed,
        trained=ranges({name: seen[name] for name in (*varying, *lengths)}, problem.given),
        given_shapes=shapes_of({name: seen[name] for name in varying}),
        missing=missing_of({name: seen[name] for name in varying}),
        series=tuple(problem.simulator.series),
        images=tuple(problem.simulator.images),
    )


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
    failures = sorted(results.failures, key=lambda failure: failure.row)
    rows = [failure.row for failure in failures]
    vector = inputs.vector()[rows]
    columns: dict[str, Any] = {"simulation": np.array(rows, np.int64)}
    columns |= {name: vector[:, i] for i, name in enumerate(problem.prior.columns)}
    for name, value in inputs.givens.items():
        columns |= columns_of(name, value[rows])
    columns["status"] = [STATUS[failure.status] for failure in failures]
    columns["error"] = [failure.error for failure in failures]
    columns["traceback"] = [failure.traceback for failure in failures]
    if call.random:
        seeds = [_seed(call, failure.row, failure.status) for failure in failures]
        columns["seed"] = pd.array(seeds, dtype="Int64")
    return pd.DataFrame(columns)


def _seed(call: Call, row: int, status: int) -> int | None:
    """Seed that runs a row alone; a row simulated within a batch has none."""
    if call.simulator.batched and status != FAILED:
        return None
    return call.handed(call.seeds.rows(row, row + 1)[0])
