"""A posterior and its simulator: re-simulation, by the emulator or not, and rejection ABC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from sbi_inn.methods import abc
from sbi_inn.methods.row_generators import digests
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import distance, statistics
from sbi_inn.posterior.core import Core
from sbi_inn.simulation.again import at_givens_of, other_givens, resimulated
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.typing import FloatArray


def resimulate(
    core: Core,
    y: Any,
    n: int = 1000,
    *,
    given: Mapping[str, Any] | None = None,
    emulator: bool = False,
    seed: int | None = None,
) -> xr.Dataset:
    """Run the simulator at posterior draws, with the givens of the observation or with others.

    Parameters
    ----------
    y : one observation
    n : int
        Number of draws.
    given : mapping, optional
        Givens by name, in place of those of the observation, inside or outside the trained range. A
        later last day, as in `{"days": 150}`, makes a forecast, provided that only the noise of
        each day is random in the simulator. The result then has no `error` and `scaled_error`.
    emulator : bool
        Use the forward network (method "inn") instead of the simulator.
    seed : int, optional

    Returns
    -------
    xarray.Dataset
        Dim `draw`: the observables; `error`, the Euclidean distance from the observation in the
        observables' own units; `scaled_error`, the same with each observable divided by its spread
        over the simulations. Sets are compared by mean, standard deviation and quantiles; missing
        values are skipped. NaN if a simulation failed. For an INN, the attribute `remark` says how
        closely draws follow y.

    Raises
    ------
    SimulationError
        If there is no simulator, or some parameters were not inferred.
    ShapeError
        If `given` names something that is not a given, or has a value that does not fit.
    TypeError
        If `emulator` is true and the method has no forward network.
    ValueError
        If both `given` and `emulator` are used.
    """
    if emulator and given:
        raise ValueError("other givens need the simulator: pass given= or emulator=True, not both")
    observation = core.read(y)
    if emulator:
        again, rows = core.emulation.again(_drawn(core, observation, n, seed), observation)
    else:
        again, rows = _simulated(core, observation, n, given or {}, seed)
    if given:
        return again
    gap = rows - statistics(observation, core.schema)
    again["error"] = ("draw", distance(gap))
    again["scaled_error"] = ("draw", distance(gap / core.scale))
    if core.remark:
        again.attrs["remark"] = core.remark
    return again


def _drawn(core: Core, observation: Observations, n: int, seed: int | None) -> FloatArray:
    return core.draw(observation, n, core.rng(observation, seed))[0]


def _simulated(
    core: Core, observation: Observations, n: int, given: Mapping[str, Any], seed: int | None
) -> tuple[xr.Dataset, FloatArray]:
    """Simulate at draws: the observables, and rows of their statistics."""
    problem = core.simulator("to re-simulate")
    if core.nuisances:
        raise SimulationError(f"to re-simulate, every parameter is needed: {core.why_not_again}")
    others = other_givens(given, problem, core.schema)
    # What is random in the simulator belongs to the observation, as the draws do.
    own = digests(observation, core.seed if seed is None else seed, Stream.RESIMULATION)
    return resimulated(
        problem,
        core.simulations,
        _drawn(core, observation, n, seed),
        observation,
        seed=int(own[0, 0]),
        stream=Stream.RESIMULATION,
        given=others,
    )


def rejection_abc(
    core: Core,
    y: Any,
    *,
    quantile: float | None = None,
    epsilon: float | None = None,
    n_simulations: int | None = None,
    seed: int | None = None,
) -> xr.Dataset:
    """Draw by rejection ABC, a baseline to compare the network with.

    Parameters
    ----------
    y : one observation
    quantile, epsilon : float, optional
        As in `sbi_inn.rejection_abc`; by default the closest .005 of the simulations are kept.
    n_simulations : int, optional
        Run this many new simulations, with the givens of the observation. By default the
        simulations of the fit are used; if givens vary, as many new ones are run.
    seed : int, optional
        Seed of the new simulations.

    Returns
    -------
    xarray.Dataset
        Draws, with `acceptance_rate`, `epsilon` and `n_simulations` in the attributes.

    Raises
    ------
    SimulationError
        If new simulations are needed and there is no simulator.
    ValueError
        As in `sbi_inn.rejection_abc`.
    """
    observation = core.read(y)
    table = core.simulations
    if n_simulations is not None or core.schema.trained:
        problem = core.simulator("for ABC with fresh simulations")
        table = run(
            at_givens_of(observation, core.schema, problem),
            n=n_simulations or core.n_simulations,
            seed=core.seed if seed is None else seed,
            progress=False,
            stream=Stream.ABC,
        ).inferring(core.prior.names)
    return abc.rejection_abc(table, y, quantile=quantile, epsilon=epsilon)


def emulate(core: Core, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any]) -> xr.Dataset:
    """Predict the observables with the forward network (method "inn").

    Parameters
    ----------
    parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
        The parameters, and the givens that varied in training.

    Returns
    -------
    xarray.Dataset
        Dim `draw`; NaN outside the prior's support. The attribute `rmse` of each observable is
        the root-mean-square error on the test simulations, in its own units.

    Raises
    ------
    PriorError, ShapeError
        If a parameter or a given is missing.
    TypeError
        If the method has no forward network.
    """
    return core.emulation.predict(parameters)
