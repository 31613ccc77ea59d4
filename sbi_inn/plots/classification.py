"""What there is to see of probabilities of models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.reliability import Reliability
from sbi_inn.plots.marginals import draw_histogram
from sbi_inn.plots.panels import add_legend, broken, figure_of, single_panel
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas, line_style
from sbi_inn.typing import FloatArray

_SQUARE = (1.0, 0.5)  # heights of a narrow and of a wide figure, in widths
_MOST_SHOWN = 20  # statistics of a figure
_DARK = 0.5  # of a colour scale, from which on numbers are written in white


def plot_reliability(
    curve: Reliability,
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how often what has a probability is true.

    Parameters
    ----------
    curve : Reliability
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.
    """
    with single_panel(ax, fig, width_mm, _SQUARE) as (ax, home):
        there = curve.count > 0
        p = curve.probability[there]
        low, high = curve.low[there], curve.high[there]
        ax.fill_between(
            p, low, high, color=GREY, alpha=0.3, linewidth=0,
            label=f"an exact classifier, {100 * curve.level:g} %",
        )  # fmt: skip
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
        ax.plot(p, curve.frequency[there], "o-", color=COLOURS[0], markersize=2.5, label="this one")
        out = curve.outside[there]
        ax.plot(
            p[out], curve.frequency[there][out], "o", color=COLOURS[1], markersize=5,
            label="outside the band",
        )  # fmt: skip
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        ax.set(xlabel="probability of a model", ylabel="share that is true")
        add_legend(home, ax.get_legend_handles_labels()[0])
    return figure_of(ax)


def plot_confusion(
    counts: pd.DataFrame,
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how often each model, in rows, is taken for each, as shares of the row."""
    shares = counts.to_numpy(float) / np.maximum(counts.to_numpy().sum(axis=1, keepdims=True), 1)
    return plot_matrix(
        shares,
        list(counts.index),
        label="share of its simulations",
        axes=("taken for", "true model"),
        written="{:.0%}",
        width_mm=width_mm,
        ax=ax,
        fig=fig,
    )


def plot_matrix(
    values: ArrayLike,
    names: Sequence[str],
    *,
    label: str,
    axes: tuple[str, str] = ("", ""),
    written: str = "{:.2f}",
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot a square matrix of models, each number written in its cell.

    Examples
    --------
    >>> figure = plot_matrix(np.eye(2), ["a", "b"], label="likeness")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.00', '0.00', '0.00', '1.00']
    """
    found = np.asarray(values, dtype=float)
    with single_panel(ax, fig, width_mm, _SQUARE) as (ax, _):
        image = ax.imshow(found, cmap="Blues", vmin=0, vmax=max(float(np.nanmax(found)), 1e-9))
        for (i, j), value in np.ndenumerate(found):
            if np.isfinite(value):
                dark = image.norm(value) > _DARK
                ax.text(
                    j, i, written.format(value), ha="center", va="center",
                    color="white" if dark else "black",
                )  # fmt: skip
        places = range(len(names))
        ax.set_xticks(places, labels=list(names))
        ax.set_yticks(places, labels=list(names))
        ax.tick_params(length=0)
        ax.set(xlabel=axes[0], ylabel=axes[1])
        figure_of(ax).colorbar(image, ax=ax, label=label)
    return figure_of(ax)


def plot_residuals(
    slopes: ArrayLike,
    names: Sequence[str],
    statistics: Sequence[str],
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how each statistic goes with what is left of each model, given its probability.

    Parameters
    ----------
    slopes : array, shape (models, statistics)
        Correlations; zero where all was read.
    names, statistics : sequence of str
        Of many statistics, those that stand out most.
    """
    found = np.asarray(slopes, dtype=float)
    order = np.argsort(-np.abs(found).max(axis=0), kind="stable")[:_MOST_SHOWN][::-1]
    with single_panel(ax, fig, width_mm, (1.0, 0.6)) as (ax, home):
        ax.axvline(0, color=GREY, linewidth=0.6)
        for k, name in enumerate(names):
            colour, _ = line_style(k)
            ax.plot(found[k, order], range(len(order)), "o", color=colour, markersize=3, label=name)
        ax.set_yticks(range(len(order)), labels=[str(statistics[i]) for i in order])
        widest = max(0.1, 1.1 * float(np.abs(found).max(initial=0.0)))
        ax.set(xlim=(-widest, widest))
        ax.set_xlabel(broken("correlation with what the probability of a model leaves", home))
        add_legend(home, ax.get_legend_handles_labels()[0])
    return figure_of(ax)


def plot_spreads(
    spreads: FloatArray,
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot the spread of each learned feature, in that of training: 1 is right."""
    with single_panel(ax, fig, width_mm, (0.62, 0.35)) as (ax, home):
        ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--")
        ax.plot(np.arange(1, len(spreads) + 1), spreads, "o", color=COLOURS[0], markersize=3)
        ax.set(xlabel="learned feature", ylim=(0, max(2.0, 1.1 * float(np.max(spreads)))))
        ax.set_ylabel(broken("spread, in that of training", home))
    return figure_of(ax)


def plot_false_alarms(
    p_values: FloatArray,
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot the distribution of p-values, which is flat where they are right."""
    with single_panel(ax, fig, width_mm, (0.62, 0.35)) as (ax, home):
        draw_histogram(ax, np.asarray(p_values, float), COLOURS[0])
        ax.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--")
        ax.set(ylabel="density", ylim=(0, None))
        ax.set_xlabel(broken('p-value of "none of them" at simulations', home))
    return figure_of(ax)
