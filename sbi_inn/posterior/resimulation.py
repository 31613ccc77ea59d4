"""A posterior and its simulator: re-simulation, by the emulator or not, and rejection ABC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from sbi_inn.methods.abc import rejection_abc
from sbi_inn.methods.row_generators import digests
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import distance, statistics
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.emulation import Emulation
from sbi_inn.simulation.again import at_givens_of, other_givens, resimulated
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.typing import FloatArray


def resimulate(
    core: Core,
    y: Any,
    n: int,
    *,
    given: Mapping[str, Any] | None = None,
    emulation: Emulation | None = None,
    seed: int | None = None,
) -> xr.Dataset:
    """Simulate again at draws, or predict by an emulation; `error` is left out for other givens."""
    observation = core.schema.read(y)
    if emulation is not None:
        again, rows = emulation.again(_drawn(core, observation, n, seed), observation)
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


def abc_draws(
    core: Core,
    y: Any,
    *,
    quantile: float | None,
    epsilon: float | None,
    n_simulations: int | None,
    seed: int | None,
) -> xr.Dataset:
    """Draw by rejection ABC, from the fit's simulations or from fresh ones at y's own givens."""
    observation = core.schema.read(y)
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
    return rejection_abc(table, y, quantile=quantile, epsilon=epsilon)
