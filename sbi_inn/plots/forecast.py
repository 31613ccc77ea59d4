"""The forecast plot: an observed series among its re-simulations, beyond its last entry."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import axis_label, shorten_numbers
from sbi_inn.plots.panels import add_legend, figure_of, single_panel
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import FloatArray

_MASSES = (0.5, 0.9)  # of the re-simulations, that the bands hold
_ALPHAS = (0.45, 0.2)
_HEIGHT = 0.45  # of the figure, in widths
_LEAST_MM = 55.0  # of its height
_MOST_MM = 75.0
_POINTS: dict[str, Any] = {
    "color": "black",
    "linestyle": "",
    "marker": "o",
    "markersize": 2.5,
    "clip_on": False,
}


def plot_forecast(
    again: ArrayLike,
    observed: ArrayLike,
    *,
    later: ArrayLike | None = None,
    across: Column | None = None,
    up: Column | None = None,
    log: bool = False,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot central intervals of re-simulated series, entry by entry, and what was observed.

    Parameters
    ----------
    again : array, shape (m, L)
        Series of m re-simulated draws; those with a NaN (failed simulations) are left out.
    observed : array, shape (k,)
        Their first k entries, as they were observed; NaN (missing) is left out.
    later : array, shape (l,), optional
        The entries that followed, as far as they are known.
    across, up : Column, optional
        Labels and units of the axes: what is counted from 1, and what is observed.
    log : bool
        Draw what is observed on a logarithmic scale; values of less than 1 are drawn at 0, below
        it, so that it suits counts.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or fewer than two re-simulations succeeded.

    Examples
    --------
    >>> again = np.random.default_rng(0).poisson(np.arange(1, 31), (500, 30))
    >>> cases = Column("cases", "cases", "reported cases", "", np.nan)
    >>> figure = plot_forecast(again, again[0, :20], up=cases)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['50 % of re-simulations', '90 %', 'observed']
    """
    again, observed = np.asarray(again, np.float64), np.asarray(observed, np.float64)
    after = np.empty(0) if later is None else np.asarray(later, np.float64)
    good = _checked(again, observed, after)
    day = np.arange(1, good.shape[1] + 1)
    height = float(np.clip(_HEIGHT * width_mm, _LEAST_MM, _MOST_MM)) / width_mm
    with single_panel(ax, fig, width_mm, (height, height)) as (ax, home):
        handles = _draw_bands(ax, day, good)
        seen = len(observed)
        handles += ax.plot(day[:seen], observed, label="observed", **_POINTS)
        if len(after):
            open_points = _POINTS | {"markerfacecolor": "white", "markeredgewidth": 0.6}
            days = day[seen : seen + len(after)]
            handles += ax.plot(days, after, label="what followed", **open_points)
        if seen < len(day):
            ax.axvline(seen + 0.5, color=GREY, linewidth=0.6)
        ax.set_xlim(0.5, len(day) + 0.5)
        whole = MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
        ax.xaxis.set_major_locator(whole)
        if log:
            ax.set_yscale("symlog", linthresh=1, linscale=0.4)
        ax.set_ylim(bottom=0 if good.min() >= 0 else None)
        if across:
            ax.set_xlabel(axis_label(across))
        if up:
            shorten_numbers(ax.yaxis, up)
        add_legend(home, handles)
    return figure_of(ax)


def _draw_bands(ax: Axes, day: FloatArray, good: FloatArray) -> list[Artist]:
    """Draw the central intervals; return what the legend names."""
    handles: list[Artist] = []
    for mass, alpha in zip(_MASSES, _ALPHAS, strict=True):
        low, high = np.quantile(good, [0.5 - mass / 2, 0.5 + mass / 2], axis=0)
        band = ax.fill_between(day, low, high, color=COLOURS[0], alpha=alpha, linewidth=0)
        band.set_label(f"{100 * mass:.0f} %" + (" of re-simulations" if not handles else ""))
        handles.append(band)
    return handles


def _checked(again: FloatArray, observed: FloatArray, later: FloatArray) -> FloatArray:
    """Return the re-simulations that succeeded, or raise where the shapes do not fit."""
    known = len(observed) + len(later) if observed.ndim == later.ndim == 1 else np.inf
    if again.ndim != 2 or not known <= again.shape[1]:
        raise ShapeError(
            "plot_forecast: again must have shape (m, L), observed (k,) and later (l,) with "
            f"k + l <= L; got {again.shape}, {observed.shape}, {later.shape}"
        )
    good = again[np.isfinite(again).all(axis=1)]
    if len(good) < 2:
        raise ShapeError(
            "plot_forecast: at least two re-simulations must be finite; got "
            f"{len(good)} of {len(again)}"
        )
    return good
