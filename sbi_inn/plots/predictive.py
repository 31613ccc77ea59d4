"""The posterior predictive plot: observed statistics among those of re-simulated draws."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from sbi_inn.errors import ShapeError
from sbi_inn.plots.panels import NARROW_MM, add_legend, figure_of, single_panel, width_of
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, SMALL_PT, Canvas
from sbi_inn.typing import FloatArray

FLAGGED = 0.01  # a p-value below it is coloured
_MOST_ROWS = 12  # that can be read on a page
_FAR = 8.0  # sd of the re-simulations: what lies beyond is an arrow with its number
_QUANTILES = (0.025, 0.25, 0.75, 0.975)  # the ends of the bars
_LINE_MM = 3.1  # of a name
_GAP_MM = 2.6  # between rows
_MARGINS_MM = 12.0  # of the figure, above and below the rows
_NAME_LETTERS = {True: 22, False: 40}  # a line of a statistic's name has, on a narrow figure or not


def plot_predictive(
    again: ArrayLike,
    observed: ArrayLike,
    names: Sequence[str],
    p_values: ArrayLike,
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot where each observed statistic lies among its re-simulations, one row a statistic.

    Bars hold 50 % and 95 % of the re-simulations, in their own standard deviations from their
    median. An observed value beyond 8 of them is an arrow with its number. The twelve smallest
    p-values are shown, the smallest first; those below .01 are coloured.

    Parameters
    ----------
    again : array, shape (m, k)
        Statistics of m re-simulated draws; rows with a NaN (failed simulations) are left out.
    observed : array, shape (k,)
        The same of the observation; NaN (missing) is left out.
    names : sequence of str, length k
        Of the statistics.
    p_values : array, shape (k,)
        Two-tailed, to be written beside the rows.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, fewer than two re-simulations succeeded, or nothing was observed.

    References
    ----------
    Gelman et al., Bayesian Data Analysis (3rd ed.), section 6.3.

    Examples
    --------
    >>> again = np.random.default_rng(0).normal(size=(500, 2))
    >>> figure = plot_predictive(again, [0.1, 4.0], ["across", "up"], [0.9, 0.0001])
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['up', 'across']
    """
    again, observed = np.asarray(again, dtype=float), np.asarray(observed, dtype=float)
    p_values = np.asarray(p_values, dtype=float)
    again = _checked(again, observed, names, p_values)
    order = np.argsort(p_values, kind="stable")
    shown = order[np.isfinite(observed[order])][:_MOST_ROWS]
    quantiles, here = _scaled(again[:, shown], observed[shown])
    letters = _NAME_LETTERS[width_of(ax or fig, width_mm) < NARROW_MM]
    labels = [textwrap.fill(str(names[i]), letters) for i in shown]
    edges = np.cumsum([0, *(_GAP_MM + _LINE_MM * (1 + label.count("\n")) for label in labels)])
    rows = (edges[1:] + edges[:-1]) / 2
    height = (_MARGINS_MM + edges[-1]) / width_mm
    with single_panel(ax, fig, width_mm, (height, height)) as (ax, home):
        ax.set_ylim(edges[-1], 0)
        end = _set_limits(ax, quantiles, here)
        _draw_bars(ax, rows, quantiles)
        for row, value, i in zip(rows.tolist(), here.tolist(), shown, strict=True):
            _draw_observed(ax, row, value, float(p_values[i]), end)
        ax.set_yticks(rows, labels=labels)
        ax.set_xlabel("value − median re-simulated [sd]")
        add_legend(home, _handles(bool(np.any(p_values[shown] < FLAGGED))))
    return figure_of(ax)


def _checked(
    again: FloatArray, observed: FloatArray, names: Sequence[str], p_values: FloatArray
) -> FloatArray:
    """Return the re-simulations that succeeded, or raise where the shapes do not fit."""
    k = len(names)
    if again.ndim != 2 or not again.shape[1:] == observed.shape == p_values.shape == (k,):
        raise ShapeError(
            f"plot_predictive: again must have shape (m, {k}), observed and p_values ({k},) for "
            f"the statistics {list(names)}; got {again.shape}, {observed.shape}, {p_values.shape}"
        )
    good = again[np.isfinite(again).all(axis=1)]
    if len(good) < 2 or not np.isfinite(observed).any():
        raise ShapeError(
            "plot_predictive: at least two re-simulations and one observed value must be finite; "
            f"got {len(good)} of {len(again)} and {np.isfinite(observed).sum()} of {k}"
        )
    return good


def _scaled(again: FloatArray, observed: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return quantiles (4, k) of the re-simulations and the observed values (k,), in their sd.

    Where all re-simulations agree, another observed value is infinitely far away.
    """
    centre, sd = np.median(again, axis=0), again.std(axis=0)
    constant = sd <= 1e-9 * np.abs(centre)
    sd = np.where(constant, 1, sd)
    here = (observed - centre) / sd
    same = np.abs(here) <= 1e-9 * np.abs(centre)
    here = np.where(constant, np.where(same, 0, np.copysign(np.inf, here)), here)
    return (np.quantile(again, _QUANTILES, axis=0) - centre) / sd, here


def _set_limits(ax: Axes, quantiles: FloatArray, here: FloatArray) -> float:
    """Set the limits across, to show all but what is far away; return the right one."""
    near = here[np.abs(here) <= _FAR]
    end = 1.12 * max(3.0, float(np.abs(quantiles).max()), float(np.abs(near).max(initial=0)))
    if len(near) < len(here):
        end = max(end, 1.3 * _FAR)
    ax.set_xlim(-end, end)
    return end


def _draw_bars(ax: Axes, rows: FloatArray, quantiles: FloatArray) -> None:
    """Draw the central intervals of the re-simulations, and their median."""
    low95, low50, high50, high95 = quantiles
    ax.axvline(0, color=GREY, linewidth=0.6)
    ax.barh(rows, high95 - low95, 1.6, low95, color=COLOURS[5], alpha=0.5)
    ax.barh(rows, high50 - low50, 3.0, low50, color=COLOURS[0], alpha=0.6)


def _draw_observed(ax: Axes, row: float, value: float, p: float, end: float) -> None:
    """Mark the observed value, or point to where it lies, and write its p-value at the right."""
    flagged = p < FLAGGED
    colour = COLOURS[1] if flagged else "black"
    if abs(value) <= _FAR:
        ax.plot([value], [row], "D", color=colour, markersize=4)
    else:
        side = float(np.copysign(end, value))
        ax.annotate(
            f"{value:.0f}".replace("-", "−").replace("inf", "∞"),
            (side, row),
            (-np.copysign(12, value), 0),
            textcoords="offset points",
            color=colour,
            fontsize=SMALL_PT,
            ha="right" if side > 0 else "left",
            va="center",
            arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 1, "shrinkB": 0},
        )
    where = ax.get_yaxis_transform()
    ax.text(1.02, row, p_text(p), transform=where, va="center", color=colour, fontsize=SMALL_PT)


def p_text(p: float) -> str:
    """Write a p-value.

    Examples
    --------
    >>> p_text(0.0314), p_text(1e-9)
    ('p = 0.031', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _handles(flagged: bool) -> list[Line2D]:
    """Return what the legend names."""
    handles = [
        Line2D([], [], color=COLOURS[0], alpha=0.6, linewidth=5, label="50 % of re-simulations"),
        Line2D([], [], color=COLOURS[5], alpha=0.5, linewidth=2.6, label="95 %"),
    ]
    points = {"black": "observed", COLOURS[1]: f"observed, p < {FLAGGED:g}"}
    for colour, label in list(points.items())[: 1 + flagged]:
        handles.append(Line2D([], [], color=colour, marker="D", ms=4, linewidth=0, label=label))
    return handles
