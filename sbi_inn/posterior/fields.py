"""Fields of a posterior: maps of mean, spread and probability, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.figure import Figure

from sbi_inn.draws import axes_of
from sbi_inn.errors import PriorError, ShapeError
from sbi_inn.observation.batch import Observations
from sbi_inn.plots import field as field_plot
from sbi_inn.plots.style import Canvas
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.sampling import sample
from sbi_inn.prior import FieldPlace
from sbi_inn.typing import FloatArray

SHOWN = 3
"""Draws that a figure shows."""


def maps(
    core: Core,
    y: Any,
    n: int = 500,
    *,
    name: str | None = None,
    quantiles: Sequence[float] = (0.025, 0.5, 0.975),
    exceeds: float | None = None,
    seed: int | None = None,
) -> xr.Dataset:
    """Summarise a field pixel by pixel.

    Parameters
    ----------
    y : one observation
    n : int
        Number of draws.
    name : str, optional
        Name of the field, if the prior has more than one.
    quantiles : sequence of float
    exceeds : float, optional
        A threshold, in units of the field.
    seed : int, optional

    Returns
    -------
    xarray.Dataset
        `mean` and `sd`, in units of the field; `quantiles`, with dim `quantile`; `contraction`,
        which is 1 - posterior variance / prior variance: near 1 where the observation determines
        the field, near 0 where it says nothing; with `exceeds` also the probability that a pixel is
        above it.

    Raises
    ------
    PriorError
        If the prior has no such field.
    ValueError
        If a quantile is not between 0 and 1.
    """
    place = field_of(core, name)
    levels = np.asarray(quantiles, dtype=float)
    if levels.ndim != 1 or not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"expected quantiles between 0 and 1; got {quantiles!r}")
    drawn = sample(core, y, n, seed=seed)[place.name]
    values = drawn.values
    prior_variance = core.simulations.prior_draws[place.name].values.var(axis=0)
    dims = axes_of(place.name, len(place.shape))
    found: dict[str, Any] = {
        "mean": (dims, values.mean(axis=0), drawn.attrs),
        "sd": (dims, values.std(axis=0, ddof=1), drawn.attrs),
        "quantiles": (["quantile", *dims], np.quantile(values, levels, axis=0), drawn.attrs),
        "contraction": (dims, 1 - values.var(axis=0) / prior_variance),
    }
    if exceeds is not None:
        found["exceeds"] = (dims, (values > exceeds).mean(axis=0), {"threshold": float(exceeds)})
    return xr.Dataset(found, coords={"quantile": levels}, attrs={"draws": n})


def plot_field(
    core: Core,
    y: Any,
    n: int = 500,
    *,
    name: str | None = None,
    truth: Mapping[str, Any] | npt.ArrayLike | None = None,
    width_mm: float = 180.0,
    fig: Canvas | None = None,
    seed: int | None = None,
) -> Figure:
    """Plot a field: the observation, the truth if known, mean, standard deviation and three draws.

    A profile is drawn as a line with its 68 % and 95 % intervals.

    Parameters
    ----------
    y : one observation
    n : int
        Number of draws.
    name : str, optional
        Name of the field, if the prior has more than one.
    truth : array, or mapping of str to array, optional
        The true field.
    width_mm, fig
        See `Posterior`.
    seed : int, optional

    Raises
    ------
    PriorError
        If the prior has no such field.
    ShapeError
        If the truth has another shape.
    """
    place = field_of(core, name)
    drawn = sample(core, y, n, seed=seed)[place.name]
    true = _truth(place, truth)
    label = str(drawn.attrs.get("label", place.name))
    units = str(drawn.attrs.get("units", ""))
    return field_plot.plot_field(
        drawn.values,
        observed=_observed(core, core.read(y)),
        truth=true,
        label=label,
        units=units,
        shown=SHOWN,
        width_mm=width_mm,
        fig=fig,
    )


def field_of(core: Core, name: str | None = None) -> FieldPlace:
    """Find a field of the prior.

    Raises
    ------
    PriorError
        If there is none of this name.
    """
    fields = {place.name: place for place in core.prior.fields}
    if name is None and len(fields) == 1:
        name = next(iter(fields))
    if name not in fields:
        raise PriorError(
            f"expected a field of the prior, one of {', '.join(fields) or '(there are none)'}; got "
            f"{name or 'none'}"
        )
    return fields[name]


def _truth(place: FieldPlace, truth: Any) -> FloatArray | None:
    if truth is None:
        return None
    if isinstance(truth, Mapping):
        truth = truth[place.name]
    found = np.asarray(truth, dtype=float)
    if found.shape != place.shape:
        raise ShapeError(f"expected a true field of shape {place.shape}; got {found.shape}")
    return found


def _observed(core: Core, observation: Observations) -> dict[str, FloatArray]:
    """Give what was observed as an image or a profile, by its label."""
    schema, table = core.schema, core.simulations.dataset
    values = schema.unstack(observation, 0)
    found = {}
    for name in schema.fixed:
        array = np.asarray(values[name], dtype=float)
        if array.ndim in (1, 2) and min(array.shape) > 1:
            found[str(table[name].attrs.get("label", name))] = array
    return found
