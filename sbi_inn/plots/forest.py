"""The forest plot: posteriors of many objects, one below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import dress_axis, widened
from sbi_inn.plots.panels import add_legend, finite, lay_out, width_of
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, SMALL_PT, Canvas, canvas
from sbi_inn.typing import FloatArray

MOST_OBJECTS = 60
"""Objects on a page: more are a list, which nobody reads as a figure."""

MOST_PARAMETERS = 6
"""Panels side by side on a page."""

_ROW_MM = 4.0  # of an object
_REST_MM = 22.0  # of the figure: labels and legend
_LINES = (("low95", "high95", 0.8, "95 %"), ("low68", "high68", 2.4, "68 % intervals"))

ENDS = ("low95", "low68", "median", "high68", "high95")
"""What is drawn of an object, in this order."""


def plot_forest(
    objects: Sequence[object],
    intervals: ArrayLike,
    columns: Sequence[Column],
    *,
    truth: Mapping[str, ArrayLike] | None = None,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot medians and intervals of 68 % and 95 %, one line an object and one panel a parameter.

    Parameters
    ----------
    objects : sequence, length n
        What they are called; the first stands at the top.
    intervals : array, shape (n, d, 5)
        The ends of the 95 % and the 68 % interval and the median, in the order of `ENDS`.
    columns : sequence of Column, length d
        Labels and units of the parameters.
    truth : mapping of str to array, shape (n,), optional
        True values, by the name of the column.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If shapes do not fit, a value is not finite, or there are none or more than 60 objects or 6
        parameters.

    Examples
    --------
    >>> ends = np.array([[[0.0, 1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0, 3.0, 4.0, 5.0]]])
    >>> age = Column("age", "age", "age", "Gyr", 10.0)
    >>> figure = plot_forest(["Vega", "Deneb"], ends, [age])
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['Vega', 'Deneb']
    """
    (found,) = finite("plot_forest", "intervals", intervals)
    n, d = len(objects), len(columns)
    if found.shape != (n, d, len(ENDS)):
        raise ShapeError(
            f"plot_forest: expected intervals of shape ({n}, {d}, {len(ENDS)}); got {found.shape}"
        )
    if not (0 < n <= MOST_OBJECTS and 0 < d <= MOST_PARAMETERS):
        raise ShapeError(
            f"plot_forest: expected 1 to {MOST_OBJECTS} objects and 1 to {MOST_PARAMETERS} "
            f"parameters, to be read on a page; got {n:,} and {d:,}: choose some"
        )
    width_mm = width_of(fig, width_mm)
    with canvas(fig, width_mm, n * _ROW_MM + _REST_MM) as figure:
        cells = figure.add_gridspec(1, d)
        panels: list[Axes] = []
        for i, column in enumerate(columns):
            ax = figure.add_subplot(cells[0, i], sharey=panels[0] if panels else None)
            true = np.asarray(truth[column.name], float) if truth and column.name in truth else None
            _draw_panel(ax, found[:, i], true)
            panels.append(ax)
        panels[0].set_yticks(range(n), labels=[str(name) for name in objects])
        panels[0].set_ylim(n - 0.5, -0.5)
        for ax in panels[1:]:
            ax.tick_params(labelleft=False)
        for _ in range(2):  # labels take room from the panels, and their size decides which fit
            room_pt = lay_out(panels)
            for ax, column in zip(panels, columns, strict=True):
                dress_axis(ax.xaxis, ax.get_xlim(), room_pt, column)
        add_legend(figure, _handles(truth is not None))
    return figure


def _draw_panel(ax: Axes, found: FloatArray, truth: FloatArray | None) -> None:
    """Draw one parameter of all objects."""
    rows = np.arange(len(found))
    by_name: dict[str, FloatArray] = dict(zip(ENDS, found.T, strict=True))
    for low, high, width, _ in _LINES:
        ax.hlines(rows, by_name[low], by_name[high], color=COLOURS[0], linewidth=width)
    ax.plot(by_name["median"], rows, "o", color="white", markeredgecolor=COLOURS[0], markersize=3)
    ends = [found.min(), found.max()]
    if truth is not None:
        ax.plot(truth, rows, "|", color="black", markersize=7, markeredgewidth=1.2)
        ends += [truth.min(), truth.max()]
    ax.set_xlim(*widened(min(ends), max(ends)))
    ax.tick_params(axis="y", length=0, labelsize=SMALL_PT)
    ax.grid(axis="y", color=GREY, alpha=0.2, linewidth=0.5)


def _handles(has_truth: bool) -> list[Artist]:
    look = {"color": COLOURS[0], "marker": "o", "markersize": 3, "markerfacecolor": "white"}
    handles: list[Artist] = [Line2D([], [], linewidth=0, label="median", **look)]
    handles += [
        Line2D([], [], color=COLOURS[0], linewidth=width, label=label)
        for _, _, width, label in reversed(_LINES)
    ]
    if has_truth:
        handles.append(
            Line2D([], [], color="black", marker="|", linewidth=0, markersize=7, label="truth")
        )
    return handles
