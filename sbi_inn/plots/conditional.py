"""Scores of ranks against what might predict them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn.plots.panels import (
    NARROW_MM,
    add_legend,
    figure_of,
    panel_grid,
    single_panel,
    width_of,
)
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import FloatArray

_MOST_POINTS = 1_000
_BINS = 20  # of as many rows each
_FAR = 3.5  # scores beyond are drawn here
_FEWEST = 10  # rows in a bin
_MOST_SHOWN = 8  # scores near an observation

Panel = tuple[FloatArray, FloatArray, str, str]


def plot_conditional(
    panels: Sequence[Panel], *, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None
) -> Figure:
    """Plot scores against what might predict them, with their means in twentieths of the rows.

    The means of an exact posterior lie within the band in 95 % of the twentieths.

    Parameters
    ----------
    panels : sequence of (x, score, name, title)
        x, shape (n,): the share of the rows below, in [0, 1]; score, shape (n,): N(0, 1) where all
        is well; what x is of; what the score is of.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

    Examples
    --------
    >>> x = np.linspace(0, 1, 500)
    >>> figure = plot_conditional([(x, np.sin(9 * x), "y1", "location of a")])
    >>> figure.axes[0].get_xlabel()
    'y1: share below [%]'
    """
    most = 3 if width_of(fig, width_mm) >= NARROW_MM else 1
    with panel_grid(len(panels), most, fig, width_mm) as (figure, axes, _):
        for ax, (x, score, name, title) in zip(axes, panels, strict=True):
            _draw(ax, x, score)
            ax.set_title(title)
            ax.set(xlabel=f"{name}: share below [%]", xlim=(0, 100), ylim=(-_FAR, _FAR))
        axes[0].set_ylabel("score of the truth [sd]")
    return figure


def _draw(ax: Axes, x: FloatArray, score: FloatArray) -> None:
    order = np.argsort(x, kind="stable")
    bins = np.array_split(order, max(1, min(_BINS, len(x) // _FEWEST)))
    shown = np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int)
    points = np.clip(score[shown], -_FAR, _FAR)
    ax.plot(100 * x[shown], points, ".", color=GREY, markersize=2, alpha=0.5, rasterized=True)
    middle = np.array([100 * x[rows].mean() for rows in bins])
    mean = np.array([score[rows].mean() for rows in bins])
    chance = 1.96 / np.sqrt([len(rows) for rows in bins])
    ax.fill_between(middle, -chance, chance, color=GREY, alpha=0.25, linewidth=0)
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.plot(middle, mean, "o-", color=COLOURS[1], markersize=3)


def plot_around(
    predicted: Mapping[str, FloatArray],
    noise: Mapping[str, float],
    names: Sequence[str],
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot mean scores near an observation, by several predictions, each with its 95 % interval.

    Of more than eight scores those that stray furthest are shown.

    Parameters
    ----------
    predicted : mapping of str to array, shape (s,)
        By what predicts them.
    noise : mapping of str to float
        Standard errors.
    names : sequence of str, length s
        What the scores are of.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

    Examples
    --------
    >>> figure = plot_around({"linear": np.array([0.1])}, {"linear": 0.1}, ["location of a"])
    >>> figure.axes[0].get_xlabel()
    'mean score of the truth [sd]'
    """
    strays = np.max([np.abs(v) / noise[name] for name, v in predicted.items()], axis=0)
    shown = np.sort(np.argsort(-strays, kind="stable")[:_MOST_SHOWN])
    with single_panel(None, fig, width_mm, (0.9, 0.4)) as (ax, home):
        ax.axvline(0, color=GREY, linewidth=0.6)
        for order, (name, values) in enumerate(predicted.items()):
            y = np.arange(len(shown)) + 0.15 * (order - (len(predicted) - 1) / 2)
            look = {"color": COLOURS[order % len(COLOURS)], "markersize": 3, "label": name}
            ax.errorbar(values[shown], y, xerr=1.96 * noise[name], fmt="o", **look)
        ax.set_yticks(range(len(shown)), labels=[str(names[i]) for i in shown])
        ax.invert_yaxis()
        ax.set_xlabel("mean score of the truth [sd]")
        add_legend(home)
    return figure_of(ax)
