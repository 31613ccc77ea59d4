"""Simulate again at posterior draws, with the observation's own givens or with others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.description import numbers
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import statistics
from sbi_inn.simulation.blocks import OK
from sbi_inn.simulation.givens import is_function, is_whole
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import resimulate_blocks, resimulate_rows
from sbi_inn.simulation.seeds import Seeds, Stream
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray


def givens_of(observations: Observations, schema: Schema) -> dict[str, AnyArray]:
    """Read the givens off observations, set sizes included; each of shape (batch, ...)."""
    folded = schema.fold(observations.vector)
    sizes = {name: padded.sizes for name, padded in observations.sets.items()}
    return {name: folded[name] for name in schema.givens} | sizes


def at_givens_of(
    observation: Observations, schema: Schema, problem: Problem, *, constant: bool = True
) -> Problem:
    """Hold the givens of a problem fixed at those of one observation.

    Single numbers become constants, which tables leave out of observations. Without `constant` they
    stay among the givens that vary, so that a table can be joined to others; and what is computed
    is computed still, as its value may tell about the parameters.
    """
    given = dict(problem.given)
    for name, value in givens_of(observation, schema).items():
        if name not in given:  # the length of a series may be none
            continue
        if not constant and is_function(given[name]):
            continue
        whole = name in schema.sets or is_whole(given[name])
        row = value[:1].astype(np.int64) if whole and np.isfinite(value[:1]).all() else value[:1]
        # A single number is a constant; a table of one row is drawn from all the time.
        single = constant and value.ndim == 1 and np.isfinite(value[0])
        given[name] = row[0].item() if single else row
    return replace(problem, given=given)


def other_givens(
    given: Mapping[str, Any], problem: Problem, schema: Schema
) -> dict[str, FloatArray]:
    """Read what givens are to be in place of an observation's own.

    Returns
    -------
    dict of str to array
        Each of the shape that the given has in one simulation.

    Raises
    ------
    ShapeError
        If a name is no given, a shape differs, a value is infinite, or NaN where the simulations
        have none, or a length is no whole number of at least 1.

    Examples
    --------
    >>> import scipy.stats as st
    >>> from sbi_inn.prior import Prior
    >>> problem = Problem(lambda a, n, rng: a, Prior(a=st.norm()), given={"n": st.randint(1, 9)})
    >>> schema = Schema({"y": ()}, sets={}, givens=("n",), constants={}, trained={"n": (1, 8)})
    >>> other_givens({"n": 20}, problem, schema)
    {'n': array(20.)}
    """
    unknown = [name for name in given if name not in problem.given]
    if unknown:
        raise ShapeError(
            f"expected givens among {', '.join(problem.given) or '(there are none)'}; got "
            f"{', '.join(map(str, unknown))}"
        )
    found = {name: numbers(name, value) for name, value in given.items()}
    for name, value in found.items():
        if value.shape != schema.shape(name):
            raise ShapeError(
                f"expected the given {name} of shape {schema.shape(name)}; got {value.shape}"
            )
        if np.isinf(value).any() or (np.isnan(value).any() and name not in schema.missing):
            raise ShapeError(f"expected finite numbers in the given {name}; got {value}")
        if name in schema.sets and not (value >= 1 and value == np.rint(value)):
            raise ShapeError(
                f"{name} is a length: expected a whole number of at least 1; got {value:g}"
            )
    return found


def observe_again(
    problem: Problem,
    schema: Schema,
    flat: FloatArray,
    observations: Observations,
    *,
    seed: int,
    stream: Stream,
    n_jobs: int = 1,
    given: Mapping[str, FloatArray] | None = None,
) -> tuple[dict[str, FloatArray], Observations, BoolArray]:
    """Simulate at flat parameters, each with the givens of its own observation.

    Parameters
    ----------
    problem : Problem
    schema : Schema
    flat : array, shape (m, dim)
    observations : Observations
        As many rows.
    seed : int
    stream : Stream
    given : mapping, optional
        Of `other_givens`: what takes the place of the observations' own.

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
    for name, value in (given or {}).items():
        givens[name] = np.broadcast_to(value, (len(flat), *value.shape))
    return _observed(problem, schema, flat, givens, seed=seed, stream=stream, n_jobs=n_jobs)


def _observed(
    problem: Problem,
    schema: Schema,
    flat: FloatArray,
    givens: Mapping[str, AnyArray],
    *,
    seed: int,
    stream: Stream,
    n_jobs: int,
) -> tuple[dict[str, FloatArray], Observations, BoolArray]:
    parameters = problem.prior.unflatten(flat)
    values, ok = resimulate_rows(
        problem,
        parameters,
        givens,
        seed=seed,
        stream=stream,
        n_jobs=n_jobs,
    )
    held = {name: value[ok] for name, value in givens.items()}
    good = {name: values[name][ok] for name in schema.observables}
    if problem.noise is not None:
        constants = {n: np.full(len(ok[ok]), value) for n, value in schema.constants.items()}
        rng = Seeds(seed, stream).noise()
        drawn = {name: np.asarray(value)[ok] for name, value in parameters.items()}
        good = problem.noise(good, constants | held | drawn, schema, rng)
        for name, value in good.items():
            values[name][ok] = value
    return values, _stacked(good, held, schema), ok


def observed_in_pieces(
    problem: Problem,
    schema: Schema,
    flat: FloatArray,
    givens: Mapping[str, AnyArray],
    *,
    seed: int,
    stream: Stream,
    n_jobs: int = 1,
) -> Iterator[tuple[IntArray, Observations]]:
    """Simulate as `observe_again`, and give what succeeded piece by piece, in any order.

    For who sums up what was observed: hundreds of megabytes at once take longer to get hold of
    than to simulate. Noise needs them all the same, as it is drawn for all rows together.

    Parameters
    ----------
    problem : Problem
    schema : Schema
    flat : array, shape (m, dim)
    givens : dict of str to array, shape (m, ...)
        From `givens_of`.
    seed : int
    stream : Stream
    n_jobs : int

    Yields
    ------
    rows : int array, shape (r,)
        Of `flat`.
    again : Observations
        As many.

    Raises
    ------
    SimulationError
        As `observe_again`; if every simulation fails, only where noise is applied.
    """
    if problem.noise is not None:
        _, again, ok = _observed(
            problem, schema, flat, givens, seed=seed, stream=stream, n_jobs=n_jobs
        )
        yield np.flatnonzero(ok), again
        return
    parameters = problem.prior.unflatten(flat)
    for block in resimulate_blocks(
        problem, parameters, givens, seed=seed, stream=stream, n_jobs=n_jobs
    ):
        ok = block.status == OK
        if not ok.any():
            continue
        rows = block.start + np.flatnonzero(ok)
        good = {n: v if ok.all() else v[ok] for n, v in block.values.items()}
        yield rows, _stacked(good, {name: value[rows] for name, value in givens.items()}, schema)


def _stacked(
    observables: Mapping[str, FloatArray], givens: Mapping[str, AnyArray], schema: Schema
) -> Observations:
    """Build a batch from observables and givens, set sizes included, each (batch, ...)."""
    values = {name: observables[name] for name in schema.observables}
    values |= {name: givens[name] for name in schema.givens}
    return schema.stack(values, {name: givens[name] for name in schema.sets})


def resimulated(
    problem: Problem,
    simulations: Simulations,
    flat: FloatArray,
    observation: Observations,
    *,
    seed: int,
    stream: Stream,
    given: Mapping[str, FloatArray] | None = None,
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
    seed : int
    stream : Stream
    given : mapping, optional
        Of `other_givens`: what takes the place of the observation's own.

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
        problem, schema, flat, same, seed=seed, stream=stream, n_jobs=-1, given=given
    )
    found = statistics(again, schema)
    rows = np.full((len(flat), found.shape[1]), np.nan)
    rows[ok] = found
    names = tuple(schema.observables)
    about = simulations.attrs(names)
    variables = {n: (("draw", *table[n].dims[1:]), values[n], about[n]) for n in names}
    return xr.Dataset(variables), rows
