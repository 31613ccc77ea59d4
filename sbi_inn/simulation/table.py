"""From the outcome of a run to labelled simulations and their schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from sbi_inn.data import Simulations
from sbi_inn.schema import Range, Schema
from sbi_inn.simulation.blocks import FAILED, OK, STATUS, Call
from sbi_inn.simulation.collect import Collected
from sbi_inn.simulation.inputs import Array, Inputs
from sbi_inn.simulation.problem import Problem


def to_simulations(
    problem: Problem, call: Call, inputs: Inputs, collected: Collected, seconds: float
) -> Simulations:
    """Make a table of the simulations done so far.

    Parameters
    ----------
    problem : Problem
    call : Call
    inputs : Inputs
    collected : Collected
    seconds : float
        Time of one simulation on one core.
    """
    done = collected.done
    inputs = inputs[:done]
    status = collected.status[:done]
    variables = {n: _variable(problem, n, v) for n, v in inputs.parameters.items()}
    variables |= {n: _variable(problem, n, v) for n, v in inputs.givens.items()}
    layout = collected.layout
    for name, value in collected.values.items():
        length = (layout.length_of(name) or layout.series_of(name)) if layout else None
        variables[name] = _variable(problem, name, value[:done], length)
    if layout is not None:
        for length in problem.fixed_series:
            sizes = np.full(done, layout.fixed_length(length))
            variables[length] = _variable(problem, length, sizes)
    variables["status"] = xr.Variable("simulation", np.array(STATUS)[status])
    attrs = {
        "seed": call.seeds.seed,
        "seconds_per_simulation": seconds,
        "deterministic": not call.random,
    }
    return Simulations(
        xr.Dataset(variables, attrs=attrs),
        problem.prior,
        _schema(problem, inputs, collected),
        _failures(problem, call, inputs, collected),
    )


def _variable(problem: Problem, name: str, value: Array, length: str | None = None) -> xr.Variable:
    entry = [f"{length}_entry"] if length else []
    axes = value.ndim - 1 - len(entry)
    own = [f"{name}_dim"] if axes == 1 else [f"{name}_dim_{i}" for i in range(axes)]
    attrs = {"label": problem.labels.get(name, name), "units": problem.units.get(name, "")}
    return xr.Variable(["simulation", *entry, *own], value, attrs)


def _schema(problem: Problem, inputs: Inputs, collected: Collected) -> Schema | None:
    ok = collected.status[: collected.done] == OK
    if collected.layout is None or not ok.any():
        return None
    layout, constants, lengths = collected.layout, problem.constants, problem.lengths
    varying = tuple(name for name in problem.given if name not in (*constants, *lengths))
    shapes = {n: s[1:] if layout.series_of(n) else s for n, s in layout.shapes.items()}
    fixed = {length: float(layout.fixed_length(length)) for length in problem.fixed_series}
    return Schema(
        observables=shapes,
        sets=problem.simulator.ordered,
        givens=varying,
        constants=constants | fixed,
        trained={name: _range(inputs.givens, name, ok) for name in (*varying, *lengths)},
        series=tuple(problem.simulator.series),
        images=tuple(problem.simulator.images),
    )


def _range(givens: Mapping[str, Array], name: str, ok: npt.NDArray[np.bool_]) -> Range:
    seen = givens[name][ok]
    return float(seen.min()), float(seen.max())


def _failures(problem: Problem, call: Call, inputs: Inputs, collected: Collected) -> pd.DataFrame:
    failures = sorted(collected.failures, key=lambda failure: failure.row)
    rows = [failure.row for failure in failures]
    vector = inputs.vector()[rows]
    columns: dict[str, Any] = {"simulation": np.array(rows, np.int64)}
    columns |= {name: vector[:, i] for i, name in enumerate(problem.prior.columns)}
    columns |= {n: value[rows] for n, value in inputs.givens.items()}
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
