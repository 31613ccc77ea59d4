"""Simulations that exist already, in any form that a fit accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from sbi_inn.errors import PriorError
from sbi_inn.prior import Prior
from sbi_inn.simulation.apply_noise import apply_noise
from sbi_inn.simulation.noise import Noise
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import as_problem
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.simulation.store import is_store
from sbi_inn.tables import is_table, read_simulations, with_prior

DONE = (Simulations, pd.DataFrame, xr.Dataset, Path)


def is_done(simulator: Any) -> bool:
    """Whether these are simulations already done, and no simulator."""
    return isinstance(simulator, DONE) or is_table(simulator) or is_store(simulator)


def taken(
    source: Any,
    prior: Prior | None,
    given: Mapping[str, Any] | None,
    noise: Noise | Callable[..., Any] | None,
    *,
    seed: int,
    progress: bool,
) -> tuple[Simulations, Problem | None]:
    """Give simulations that are already done, and what more like them would be made with.

    Parameters
    ----------
    source : Simulations, table or path
    prior : Prior or None
        What they were drawn from, if that is stated now.
    given, noise
        What is applied afterwards, as in `apply_noise`.
    seed : int
    progress : bool

    Raises
    ------
    PriorError
        If a table comes without a prior; else as `read_simulations` and `apply_noise`.
    """
    simulations = _read(source, prior, progress)
    problem = _simulated_with(simulations, given, noise)
    return apply_noise(simulations, given, noise, seed=seed), problem


def _read(table: Any, prior: Prior | None, progress: bool) -> Simulations:
    """Take simulations as they are, with a prior that is stated now, or read them."""
    if isinstance(table, Simulations):
        return table if prior is None else with_prior(table, prior)
    if is_store(table):
        return read_simulations(table, prior=prior, progress=progress)
    if prior is None:
        raise PriorError(
            "a table needs to say which columns are parameters: state its prior, or read it with "
            "read_simulations(table, parameters=[...])"
        )
    return read_simulations(table, parameters=prior.names, prior=prior, progress=progress)


def _simulated_with(
    simulations: Simulations,
    given: Mapping[str, Any] | None,
    noise: Noise | Callable[..., Any] | None,
) -> Problem | None:
    """Find out how more simulations like these would be made, if that is known."""
    known = simulations.problem
    if known is None:
        return None
    prior = simulations.prior if set(simulations.prior.names) == set(known.prior.names) else None
    return as_problem(known, prior, given, noise)
