"""Between parameters and the latents that draws come from (dissertation, figs. 3.5 and 3.12)."""

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
    """Give the latents of parameters: what `decode` makes these parameters of.

    Where the posterior is exact, parameters that may have led to y have latents from N(0, I).

    Parameters
    ----------
    parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays
    y : one observation

    Returns
    -------
    xarray.DataArray
        Dims `draw` and `latent`; those of a field come level by level, coarsest first.

    Raises
    ------
    PriorError
        If a parameter is missing.
    TypeError
        If each draw of the method does not come from one latent.
    """
    fitted, observation = core.fitted, core.read(y)
    if not isinstance(fitted, Encoder):
        raise TypeError(f"draws of the method {fitted.settings.label} have no latents of their own")
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
    """Give the parameters that latents stand for; those of N(0, I) are draws of the posterior.

    Parameters
    ----------
    latents : array, shape (draws, latents) or (latents,)
        As `encode` gives them.
    y : one observation
    temperature : float
        What latents are multiplied by: below 1 draws are nearer to what is typical.
    levels : sequence of int, optional
        Levels of a field that keep their latents, 0 the coarsest; at the others they are 0, and so
        what is typical. -1 is the finest.

    Returns
    -------
    xarray.Dataset
        As `sample`.

    Raises
    ------
    TypeError
        If draws of the method come from no latent; if levels are asked of one that has none.
    ShapeError
        If the latents are of another number, or not finite.
    ValueError
        If the temperature is negative, or there is no such level.
    """
    fitted, observation = core.fitted, core.read(y)
    if not isinstance(fitted, Decoder):
        raise TypeError(f"draws of the method {fitted.settings.label} come from no latent")
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
