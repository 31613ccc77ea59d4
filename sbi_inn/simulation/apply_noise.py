"""Simulations that exist already, observed with other givens and noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from sbi_inn.errors import PriorError
from sbi_inn.names import check_names
from sbi_inn.simulation.covered import missing_of, ranges, shapes_of
from sbi_inn.simulation.givens import Drawer, check_given
from sbi_inn.simulation.noise import Noise, as_noise
from sbi_inn.simulation.seeds import Seeds, Stream, generator
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.simulation.table import with_noise


def apply_noise(
    simulations: Simulations,
    given: Mapping[str, Any] | None = None,
    noise: Noise | Callable[..., Any] | None = None,
    *,
    seed: int,
) -> Simulations:
    """Draw givens that only the noise needs, one a simulation, and apply the noise.

    Parameters
    ----------
    simulations : Simulations
        As the simulator made them.
    given : mapping, optional
        As in `Problem`; new names.
    noise : callable, optional
        As in `Problem`; it replaces that of the simulations.
    seed : int

    Raises
    ------
    PriorError
        If a given has the name of a parameter, observable or given of the table, or cannot be
        drawn.
    SimulationError
        If givens come without a noise that could use them, or the noise cannot be applied.
    """
    noise, given = as_noise(noise), dict(given or {})
    if simulations.schema is None or (noise is None and not given):
        return simulations
    if noise is None and simulations.noise is None:
        raise SimulationError(
            "the simulations exist already, so only noise= can use the givens "
            f"{', '.join(given)}: pass noise= a function of observables, givens and rng. Givens "
            "of the simulations are in their table: read_simulations(..., given=[...])",
            simulations,
        )
    simulations = _with_givens(simulations, given, seed)
    table = simulations.dataset.assign_attrs(deterministic=False)
    plain = replace(simulations, dataset=table, noise=None, noisy={})
    return with_noise(plain, noise or simulations.noise, Seeds(seed, Stream.NOISE_OF_A_TABLE))


def _with_givens(simulations: Simulations, given: dict[str, Any], seed: int) -> Simulations:
    schema, table, prior = simulations.schema, simulations.dataset, simulations.prior
    assert schema is not None
    taken = [str(name) for name in table.data_vars if name != "status"]
    check_names(given, role="given", error=PriorError)
    check_names((*taken, *given), role="variable and given", error=PriorError)
    for place, (name, value) in enumerate(given.items()):
        check_given(name, value, (*prior.names, *list(given)[:place]))
    rng = generator(seed, Stream.GIVENS_OF_A_TABLE)
    everything = np.arange(len(simulations))
    drawn = Drawer(given)(simulations.parameters(everything), len(everything), rng)
    variables = {}
    for name, value in drawn.items():
        dims = [f"{name}_dim_{i}" for i in range(value.ndim - 1)]
        variables[name] = xr.Variable(["simulation", *dims], value, {"label": name, "units": ""})
    constants = {name: float(v) for name, v in given.items() if isinstance(v, Real)}
    varied = {name: value[simulations.ok] for name, value in drawn.items() if name not in constants}
    return replace(
        simulations,
        dataset=table.assign(variables),
        schema=replace(
            schema,
            givens=(*schema.givens, *varied),
            constants=schema.constants | constants,
            trained=schema.trained | ranges(varied, given),
            given_shapes=schema.given_shapes | shapes_of(varied),
            missing=schema.missing | missing_of(varied),
        ),
    )
