"""Map between parameters and the latents of draws (dissertation, figs. 3.5 and 3.12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from sbi_inn import draws as labelled
from sbi_inn.errors import ShapeError
from sbi_inn.methods import Decoder
from sbi_inn.methods.abilities import Levelled
from sbi_inn.methods.protocols import Encoder
from sbi_inn.posterior.core import Core


def encode(
    core: Core, parameters: xr.Dataset | pd.DataFrame | Mapping[str, Any], y: Any
) -> xr.DataArray:
    """Map parameters to the latents that `decode` maps back to them.

    If the posterior is exact, the latents of true parameters are distributed as N(0, I).

    Parameters
    ----------
    parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
    y : one observation

    Returns
    -------
    xarray.DataArray
        Dims `draw` and `latent`; latents of a field are ordered by level, the coarsest first.

    Raises
    ------
    PriorError
        If a parameter is missing.
    TypeError
        If a draw of the method does not come from a single latent vector.
    """
    fitted, observation = core.fitted, core.read(y)
    if not isinstance(fitted, Encoder):
        raise TypeError(f"draws of the method {fitted.settings.label} have no unique latents")
    named = labelled.by_name(parameters, core.prior.names)
    latents, _ = fitted.encode(observation, core.prior.to_latent(named))
    return xr.DataArray(latents, dims=("draw", "latent"), name="latents")


def decode(
    core: Core,
    latents: npt.ArrayLike,
    y: Any,
    *,
    temperature: float = 1.0,
    levels: Sequence[int] | None = None,
) -> xr.Dataset:
    """Map latents to parameters; latents from N(0, I) become draws of the posterior.

    Parameters
    ----------
    latents : array, shape (draws, latents) or (latents,)
        As returned by `encode`.
    y : one observation
    temperature : float
        Factor by which the latents are multiplied: below 1, draws are closer to typical ones.
    levels : sequence of int, optional
        Levels of a field that keep their latents, from 0, the coarsest; -1 is the finest. Latents
        of all other levels are set to 0, which is typical.

    Returns
    -------
    xarray.Dataset
        As from `sample`.

    Raises
    ------
    TypeError
        If draws of the method do not come from latents; if levels are given for a method without.
    ShapeError
        If the number of latents is wrong, or they are not finite.
    ValueError
        If the temperature is negative or infinite, or there is no such level.
    """
    fitted, observation = core.fitted, core.read(y)
    if not isinstance(fitted, Decoder):
        raise TypeError(f"draws of the method {fitted.settings.label} do not come from latents")
    z = np.atleast_2d(np.asarray(latents, dtype=np.float64))
    if z.ndim != 2 or z.shape[1] != fitted.latent_dim or not np.isfinite(z).all():
        raise ShapeError(
            f"expected finite latents of shape (draws, {fitted.latent_dim}); got shape {z.shape}"
        )
    if not 0 <= temperature < np.inf:
        raise ValueError(f"expected a temperature of 0 or more; got {temperature}")
    z = temperature * z
    if levels is not None:
        z[:, _left_out(fitted, levels)] = 0.0
    return core.simulations.label(core.prior.from_latent(fitted.decode(observation, z)))


def _left_out(fitted: Any, levels: Sequence[int]) -> npt.NDArray[np.int64]:
    """Find the latents of the levels that are not named."""
    if not isinstance(fitted, Levelled):
        raise TypeError(f"latents of the method {fitted.settings.label} have no levels")
    known = len(fitted.levels)
    wrong = [level for level in levels if not -known <= level < known]
    if wrong:
        raise ValueError(f"expected levels among 0 to {known - 1}, 0 the coarsest; got {wrong[0]}")
    kept = {level % known for level in levels}
    rest = [where for level, where in enumerate(fitted.levels) if level not in kept]
    return np.concatenate([np.empty(0, np.int64), *rest])
