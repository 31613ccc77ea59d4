"""Draws of a posterior at one observation, their density and their summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from sbi_inn import draws as labelled
from sbi_inn.posterior.core import Core


def sample(core: Core, y: Any, n: int = 1000, *, seed: int | None = None) -> xr.Dataset:
    """Draw from the posterior.

    Parameters
    ----------
    y : one observation
    n : int
        Number of draws.
    seed : int, optional

    Returns
    -------
    xarray.Dataset
        One variable per parameter, dim `draw`, with labels and units. Every draw lies inside the
        prior's support.
    """
    observation = core.read(y)
    core.simulations.warn_units(y)
    flat = core.draw(observation, n, core.rng(observation, seed))[0]
    return core.simulations.label(core.prior.unflatten(flat))


def summary(core: Core, y: Any, n: int = 10_000, *, seed: int | None = None) -> pd.DataFrame:
    """Summarise the posterior, one row per parameter.

    Parameters
    ----------
    y : one observation
    n : int
        Number of draws.
    seed : int, optional

    Returns
    -------
    DataFrame
        Mean, standard deviation, median, 68 % and 95 % intervals, and the width of the 95 %
        interval relative to that of the prior.
    """
    return labelled.summary(sample(core, y, n, seed=seed))


def log_prob(
    core: Core, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any], y: Any
) -> xr.DataArray:
    """Evaluate the log posterior density, normalised, in parameter units.

    For discrete parameters it is the log probability, plus the log density of the others.

    Parameters
    ----------
    parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
        Variables that are not parameters, such as derived quantities, are ignored.
    y : one observation

    Returns
    -------
    xarray.DataArray
        Dim `draw`; -inf outside the prior's support.

    Raises
    ------
    PriorError
        If a parameter is missing.
    NoDensityError
        If the method has no density, or there are more than eight discrete parameters.
    """
    observation = core.read(y)
    named = labelled.by_name(parameters, core.prior.names)
    found = core.density.log_prob(named, observation)
    return xr.DataArray(found, dims="draw", name="log_prob")


def map_estimate(core: Core, y: Any, *, seed: int | None = None) -> dict[str, Any]:
    """Find the parameters of highest posterior density (in parameter units, as in `log_prob`).

    The search starts at the best of 4,096 draws and climbs from there, for each of the best values
    of the discrete parameters. A field is optimised by gradient, at the best values of the other
    parameters.

    Returns
    -------
    dict
        From parameter names to numbers, or to arrays for vector parameters.
    """
    observation = core.read(y)
    found = core.density.highest(observation, core.rng(observation, seed))
    return {n: v[0].item() if v.ndim == 1 else v[0] for n, v in found.items()}
