"""Figure of re-simulation errors."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn.plots.axes import dress_log_axis
from sbi_inn.plots.panels import add_legend, broken, figure_of, single_panel
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import FloatArray

_SMALLEST = 1e-12  # errors below it are drawn here: zero has no logarithm
_FIRST = 0.005  # share of the errors that may lie to the left of the axis
_MOST_POINTS = 500  # of a line


def plot_errors(
    errors: FloatArray,
    *,
    noise: FloatArray | None = None,
    noise_label: str = "new simulation at the truth",
    remark: str = "",
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how large re-simulation errors are: the share below each error.

    Parameters
    ----------
    errors : array, shape (n,)
        Scaled errors; NaN (failed simulations) is left out; the title says so if all are.
    noise : array, shape (m,), optional
        Errors to compare with; left out where they are all zero.
    noise_label : str
    remark : str
        Title: what has to be known about the draws.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Examples
    --------
    >>> errors = np.random.default_rng(0).random(500)
    >>> plot_errors(errors, noise=errors / 2).axes[0].get_xscale()
    'log'
    """
    again, beside = _increasing(errors), _increasing(np.empty(0) if noise is None else noise)
    sets = {"re-simulated draws": (again, COLOURS[0])} if len(again) else {}
    if beside.max(initial=0) > _SMALLEST:
        sets[noise_label] = (beside, GREY)
    with single_panel(ax, fig, width_mm, (0.68, 0.4)) as (ax, home):
        for label, (ordered, colour) in sets.items():
            _draw_shares(ax, ordered, label, colour)
        ax.set_xlabel("re-simulation error [spreads of the observables]")
        ax.set(ylabel="share below [%]", ylim=(0, 103))
        ax.set_title(broken(remark if len(again) else "no draw could be simulated again", home))
        if sets:
            _set_x_axis(ax, [ordered for ordered, _ in sets.values()])
            add_legend(home)
    return figure_of(ax)


def _increasing(errors: FloatArray) -> FloatArray:
    """Return the finite errors in order, none of them zero."""
    return np.maximum(np.sort(errors[np.isfinite(errors)], axis=None), _SMALLEST)


def _draw_shares(ax: Axes, ordered: FloatArray, label: str, colour: str) -> None:
    """Draw which share of errors in increasing order lies below each."""
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    shown = np.linspace(0, len(ordered) - 1, min(len(ordered), _MOST_POINTS)).astype(int)
    ax.plot(ordered[shown], 100 * share[shown], color=colour, label=label)


def _set_x_axis(ax: Axes, sets: list[FloatArray]) -> None:
    """Fit a logarithmic axis to all but the smallest errors, with ticks that can be read."""
    low = min(float(np.quantile(ordered, _FIRST, method="lower")) for ordered in sets)
    high = max(float(ordered[-1]) for ordered in sets)
    margin = max((high / low) ** 0.04, 1.2)
    dress_log_axis(ax.xaxis, (low / margin, high * margin))
