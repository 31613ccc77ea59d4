"""What a posterior shows as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn import draws as labelled
from sbi_inn.checks import Subject
from sbi_inn.errors import ShapeError
from sbi_inn.methods import Decoder
from sbi_inn.plots import corner as corner_plot
from sbi_inn.plots import forecast, forest, latent, training
from sbi_inn.plots.marginals import LEVELS
from sbi_inn.plots.style import Canvas
from sbi_inn.posterior.catalogue import summary_each
from sbi_inn.posterior.checking import calibration, recovery
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.resimulation import resimulate
from sbi_inn.posterior.sampling import sample
from sbi_inn.typing import FloatArray


def corner(
    core: Core,
    y: Any,
    n: int = 10_000,
    *,
    truth: Mapping[str, Any] | None = None,
    compare: Mapping[str, xr.Dataset] | None = None,
    names: Sequence[str] | None = None,
    labels: Mapping[str, str] | Sequence[str] | None = None,
    levels: Sequence[float] = LEVELS,
    width_mm: float = 180.0,
    fig: Canvas | None = None,
    seed: int | None = None,
) -> Figure:
    """Plot the marginals of every parameter and every pair, with the prior in grey.

    Parameters
    ----------
    y : one observation
    n : int
        Number of draws.
    truth : mapping of str to float, optional
        True parameters, marked in the figure.
    compare : mapping of str to Dataset, optional
        Other draws to overlay, by label, such as `{"ABC": posterior.rejection_abc(y)}`.
    names : sequence of str, optional
        Parameters (`"theta"`) or entries of one (`"theta[0]"`) to show, in this order.
    labels : mapping of str to str, or sequence of str, optional
        Labels of some of these by name, or of all that are shown, for this figure. By default those
        of the `Problem`.
    levels : sequence of 1 to 4 floats
        Shares of the draws inside the regions; by default those inside 1 and 2 sigma of two
        Gaussian parameters.
    width_mm, fig
        See `Posterior`.
    seed : int, optional

    Raises
    ------
    ShapeError
        If a name is unknown, or `labels` do not fit what is shown.
    """
    mine, prior = sample(core, y, n, seed=seed), core.simulations.prior_draws
    sets = {core.fitted.settings.label: mine, **compare} if compare else mine
    return corner_plot.corner(
        sets,
        truth=truth,
        prior=prior,
        names=names,
        labels=labels,
        levels=levels,
        width_mm=width_mm,
        fig=fig,
    )


def plot_calibration(
    subject: Subject, width_mm: float = 180.0, *, fig: Canvas | None = None
) -> Figure:
    """Plot coverage and ranks over the test simulations."""
    return calibration(subject).plot(width_mm, fig=fig)


def plot_recovery(
    subject: Subject, width_mm: float = 180.0, *, fig: Canvas | None = None
) -> Figure:
    """Plot posterior medians and 68 % intervals against the truth of the test simulations."""
    return recovery(subject).plot(width_mm, fig=fig)


def plot_latent(
    core: Core,
    y: Any,
    *,
    axes: tuple[int, int] = (0, 1),
    n: int = 121,
    fig: Canvas | None = None,
) -> Figure:
    """Plot the parameters on a grid over two latent axes, one panel per parameter (fig. 4.5).

    Parameters
    ----------
    y : one observation
    axes : (int, int)
        The two latent axes, counted from 0; all other latents are 0.
    n : int
        Grid points per axis, from -3 to 3.
    fig : Figure or SubFigure, optional
        Draw into it.

    Raises
    ------
    TypeError
        If draws of the method do not come from latents.
    ValueError
        If there are no such axes.
    """
    axis = np.linspace(-3, 3, n)
    grid = latent_grid(core, y, axis, axes)
    names, flat = labelled.flat(grid)
    values = flat.T.reshape(len(names), n, n)
    return latent.plot_latent(axis, values, labelled.columns_of(grid), axes=axes, fig=fig)


def latent_grid(core: Core, y: Any, axis: FloatArray, axes: tuple[int, int] = (0, 1)) -> xr.Dataset:
    """Compute the parameters on a grid over two latent axes.

    Parameters
    ----------
    y : one observation
    axis : array, shape (n,)
        Values along each of the two axes.
    axes : (int, int)
        The two latent axes, counted from 0; all other latents are 0.

    Returns
    -------
    xarray.Dataset
        Dim `draw`, of size n * n; the second axis varies fastest.

    Raises
    ------
    TypeError
        If draws of the method do not come from latents.
    ValueError
        If there are no such axes.
    """
    if not isinstance(core.fitted, Decoder):
        raise TypeError(
            f"draws of the method {core.fitted.settings.label} do not come from latents"
        )
    dim = core.fitted.latent_dim
    if len(set(axes)) != 2 or not set(axes) <= set(range(dim)):
        raise ValueError(f"expected two different axes of the {dim} latents; got {axes}")
    z = np.zeros((len(axis) ** 2, dim))
    z[:, list(axes)] = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    found = core.fitted.decode(core.read(y), z)
    return core.simulations.label(core.prior.from_latent(found))


def plot_forecast(
    core: Core,
    y: Any,
    *,
    given: Mapping[str, Any] | None = None,
    later: npt.ArrayLike | None = None,
    observable: str | None = None,
    log: bool = False,
    n: int = 1000,
    width_mm: float = 180.0,
    ax: Axes | None = None,
    seed: int | None = None,
) -> Figure:
    """Plot an observed series with simulations from posterior draws, up to its end or beyond.

    Parameters
    ----------
    y : one observation
    given : mapping, optional
        A longer length, such as `{"days": 150}`: the part after the observation is a forecast.
        See `resimulate`, also for the errors that it raises.
    later : array, optional
        The values that followed, as far as they are known.
    observable : str, optional
        A column of a series, with one number per entry; by default the first.
    log : bool
        Use a logarithmic scale that also shows 0.
    n : int
        Number of draws.
    width_mm, ax
        See `Posterior`.
    seed : int, optional

    Raises
    ------
    ShapeError
        If there is no such series.
    """
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
    return forecast.plot_forecast(
        again.values,
        observed,
        later=later,
        across=_column(known[name], length),
        up=_column(name, again.attrs),
        log=log,
        width_mm=width_mm,
        ax=ax,
    )


def plot_forest(
    core: Core,
    ys: Any,
    n: int = 1000,
    *,
    names: Sequence[str] | None = None,
    truth: Mapping[str, npt.ArrayLike] | None = None,
    width_mm: float = 180.0,
    fig: Canvas | None = None,
    seed: int | None = None,
) -> Figure:
    """Plot the posteriors of a catalogue: medians and intervals, one line per observation.

    Parameters
    ----------
    ys : many observations
        Up to 60, named by the catalogue's own index; the first is at the top.
    n : int
        Number of draws for each.
    names : sequence of str, optional
        Parameters (`"theta"`) or entries of one (`"theta[0]"`) to show, at most 6; by default
        all.
    truth : mapping of str to array, optional
        True values of the parameters, one per observation.
    width_mm, fig
        See `Posterior`.
    seed : int, optional

    Raises
    ------
    ShapeError
        If a name is unknown, or there are too many observations or parameters for a page.
    """
    table = summary_each(core, ys, n, seed=seed, progress=False)
    columns = labelled.columns_of(core.simulations.prior_draws)
    chosen = columns if names is None else corner_plot.chosen(columns, names)
    ends = [[f"{column.name}_{end}" for end in forest.ENDS] for column in chosen]
    intervals = np.stack([table[keys].to_numpy() for keys in ends], axis=1)
    return forest.plot_forest(
        list(table.index), intervals, chosen, truth=truth, width_mm=width_mm, fig=fig
    )


def plot_training(core: Core, *, ax: Axes | None = None) -> Figure:
    """Plot training and validation loss; for an ensemble, also the validation losses of others."""
    own, *others = map(asdict, core.fitted.histories)
    return training.plot_training(own, others=others, ax=ax)


def _column(name: str, attrs: Mapping[Any, Any]) -> labelled.Column:
    """Describe a number by the attributes it is stored with."""
    label, units = str(attrs.get("label", name)), str(attrs.get("units", ""))
    return labelled.Column(name, name, label, units, np.nan)
