"""What a posterior shows as figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn import draws as labelled
from sbi_inn.errors import ShapeError
from sbi_inn.methods import Decoder
from sbi_inn.plots.axes import axis_label
from sbi_inn.plots.corner import corner
from sbi_inn.plots.forecast import plot_forecast
from sbi_inn.plots.latent import plot_latent
from sbi_inn.plots.style import Canvas
from sbi_inn.plots.training import plot_training
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.resimulation import resimulate
from sbi_inn.typing import FloatArray


def corner_of(
    core: Core,
    mine: xr.Dataset,
    *,
    truth: Mapping[str, Any] | None,
    compare: Mapping[str, xr.Dataset] | None,
    width_mm: float,
    fig: Canvas | None,
) -> Figure:
    """Plot draws among those of the prior, and others to compare them with."""
    sets = {core.fitted.settings.label: mine, **compare} if compare else mine
    prior = core.simulations.prior_draws
    return corner(sets, truth=truth, prior=prior, width_mm=width_mm, fig=fig)


def latent(core: Core, y: Any, *, axes: tuple[int, int], n: int, fig: Canvas | None) -> Figure:
    """Plot what a grid over two latent axes maps to, one panel a parameter."""
    axis = np.linspace(-3, 3, n)
    grid = latent_grid(core, y, axis, axes)
    names, flat = labelled.flat(grid)
    values = flat.T.reshape(len(names), n, n)
    return plot_latent(axis, values, labelled.columns_of(grid), axes=axes, fig=fig)


def latent_grid(core: Core, y: Any, axis: FloatArray, axes: tuple[int, int]) -> xr.Dataset:
    """Give the parameters of a grid over two latent axes, the second fastest, dim `draw`."""
    if not isinstance(core.fitted, Decoder):
        raise TypeError(f"draws of the method {core.fitted.settings.label} come from no latent")
    dim = core.fitted.latent_dim
    if len(set(axes)) != 2 or not set(axes) <= set(range(dim)):
        raise ValueError(f"expected two different axes of the {dim} latents; got {axes}")
    latent = np.zeros((len(axis) ** 2, dim))
    latent[:, list(axes)] = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    found = core.fitted.decode(core.schema.read(y), latent)
    return core.simulations.label(core.prior.from_latent(found))


def forecast(
    core: Core,
    y: Any,
    n: int,
    *,
    given: Mapping[str, Any] | None,
    later: npt.ArrayLike | None,
    observable: str | None,
    log: bool,
    width_mm: float,
    ax: Axes | None,
    seed: int | None,
) -> Figure:
    """Plot an observed series among re-simulated ones, up to its end or beyond it."""
    schema, table = core.schema, core.simulations.dataset
    known = {c: n for n in schema.series for c in schema.sets[n] if not schema.shape(c)}
    name = next(iter(known), "") if observable is None else observable
    if name not in known:
        raise ShapeError(
            f"expected a column of a series, one of {', '.join(known) or '(there are none)'}; "
            f"got {name or 'observables that are no series of numbers'}"
        )
    observed = schema.unstack(schema.read(y), 0)[name]
    again = resimulate(core, y, n, given=given, seed=seed)[name]
    length = table[known[name]].attrs if known[name] in table else {}
    return plot_forecast(
        again.values,
        observed,
        later=later,
        across=axis_label(_column(known[name], length)),
        up=axis_label(_column(name, again.attrs)),
        log=log,
        width_mm=width_mm,
        ax=ax,
    )


def training(core: Core, ax: Axes | None) -> Figure:
    """Plot training and validation loss; of an ensemble, the other validation losses too."""
    own, *others = map(asdict, core.fitted.histories)
    return plot_training(own, others=others, ax=ax)


def _column(name: str, attrs: Mapping[Any, Any]) -> labelled.Column:
    """Describe a number by the attributes it is stored with."""
    label, units = str(attrs.get("label", name)), str(attrs.get("units", ""))
    return labelled.Column(name, name, label, units, np.nan)
