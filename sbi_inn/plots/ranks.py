"""The rank plot: how far the ranks of a test quantity are from uniform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.calibration import LEVELS
from sbi_inn.errors import ShapeError
from sbi_inn.plots.panels import add_legend, broken, explain, figure_of, single_panel
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, GREY, Canvas, line_style
from sbi_inn.typing import FloatArray

_MOST_NAMED = 8  # columns that each have a line of their own; of more, those that stand out
_MOST_OUTSIDE = 6  # of those
_LEAST = 1.0  # per cent that the axis shows at either side of zero
_THICK = 1.7  # points, of a line that leaves the band
_HEADROOM = 1.35  # of the axis, for the words above and below the lines

Band = tuple[FloatArray, FloatArray]


def plot_ranks(
    ranks: ArrayLike,
    columns: Sequence[str],
    *,
    band: tuple[ArrayLike, ArrayLike] | None = None,
    title: str = "",
    quantity: str = "rank of the truth",
    excess: str = "share below − expected",
    above: str = "",
    below: str = "",
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot the share of ranks below each level, minus the level: zero where they are uniform.

    A line a column, thick where it leaves the band. Of more than eight columns those that leave
    the band furthest (at most six) are coloured and named; the others are thin and grey.

    Parameters
    ----------
    ranks : array, shape (n, q)
        Ranks in [0, 1] of n truths, of q parameters or other test quantities.
    columns : sequence of str, length q
        Their names.
    band : (low, high), arrays of shape (99,), optional
        Shares between which the whole line of uniform ranks stays, at the levels .01 to .99.
        Without it, a line's distance from zero counts.
    title : str
        Above the panel.
    quantity : str
        What is ranked, for the label of the axis.
    excess : str
        What the lines show, for the other.
    above, below : str
        What it means to lie above or below zero, written in the panel.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If `ranks` is not of shape (n, q), n > 0, for q > 0 columns, or not in [0, 1], or an edge of
        the band not of shape (99,).

    References
    ----------
    Säilynoja et al. (2022), arXiv:2103.10522, figure 1: the difference of the two ECDFs.

    Examples
    --------
    >>> ranks = np.random.default_rng(0).random((500, 2))
    >>> plot_ranks(ranks, ["elbow", "wrist"]).axes[0].get_xlabel()
    'rank of the truth [%]'
    """
    ranks = np.asarray(ranks, dtype=float)
    edges = None if band is None else (np.asarray(band[0], float), np.asarray(band[1], float))
    _check(ranks, columns, edges)
    lines = excess_below(ranks)
    beyond = beyond_band(lines, edges)
    named = list(range(len(columns)))
    if len(columns) > _MOST_NAMED:
        named = [int(i) for i in np.argsort(-beyond, kind="stable")[:_MOST_OUTSIDE] if beyond[i]]
    with single_panel(ax, fig, width_mm, (0.8, 0.4)) as (ax, home):
        handles = draw_excess(ax, lines, columns, edges, named, beyond)
        ax.set(xlabel=broken(f"{quantity} [%]", home), ylabel=f"{excess} [%]")
        ax.set_title(broken(title, home))
        explain(ax, above, below)
        add_legend(home, handles)
    return figure_of(ax)


def _check(ranks: FloatArray, columns: Sequence[str], band: Band | None) -> None:
    """Raise unless there are ranks in [0, 1] for every column, and a band at every level."""
    if ranks.ndim != 2 or ranks.size == 0 or ranks.shape[1] != len(columns):
        raise ShapeError(
            f"plot_ranks: ranks must have shape (n, {len(columns)}), not be empty, for the columns "
            f"{list(columns)}; got {ranks.shape}"
        )
    if not np.all((ranks >= 0) & (ranks <= 1)):
        raise ShapeError(
            f"plot_ranks: ranks must lie in [0, 1]; got {ranks.min()} to {ranks.max()}"
        )
    if band is not None and any(edge.shape != LEVELS.shape for edge in band):
        raise ShapeError(
            f"plot_ranks: the edges of band must have shape {LEVELS.shape}, one entry a level; "
            f"got {band[0].shape} and {band[1].shape}"
        )


def excess_below(ranks: FloatArray) -> FloatArray:
    """Return the share of ranks (n, q) at or below each level, minus the level, shape (99, q)."""
    below = [np.searchsorted(np.sort(column), LEVELS, side="right") for column in ranks.T]
    return np.stack(below, axis=1) / len(ranks) - LEVELS[:, None]


def beyond_band(excess: FloatArray, band: Band | None) -> FloatArray:
    """Return how far each line goes beyond the band, 0 where it stays inside, shape (q,).

    Without a band, how far from zero.
    """
    if band is None:
        return np.abs(excess).max(axis=0)
    low, high = (edge[:, None] - LEVELS[:, None] for edge in band)
    return np.maximum(np.maximum(excess - high, low - excess), 0).max(axis=0)


def draw_excess(
    ax: Axes,
    excess: FloatArray,
    columns: Sequence[str],
    band: Band | None,
    named: Sequence[int],
    beyond: FloatArray,
) -> list[Artist]:
    """Draw a line a column over the band; return what the legend names.

    Those in `named` are coloured, the others thin and grey. Where all are named, those that go
    `beyond` the band are thick.
    """
    x, excess = 100 * LEVELS, 100 * excess
    handles: list[Artist] = []
    shown = [excess]
    ax.axhline(0, color=GREY, linewidth=0.6)
    if band is not None:
        shown += [100 * (edge - LEVELS) for edge in band]
        handles.append(ax.fill_between(x, shown[1], shown[2], color=GREY, alpha=0.25, linewidth=0))
        handles[0].set_label("exact posterior")
    others = np.delete(excess, list(named), axis=1)
    if others.size:
        look: dict[str, Any] = {"color": GREY, "linewidth": 0.5, "alpha": 0.7}
        ax.plot(x, others, label="_others", **look)
        said = f"{others.shape[1]} others" if named else f"all {len(columns)}"
        handles.append(Line2D([], [], label=said, **look))
    thick = (beyond > 0) & (len(named) == len(columns))
    for order, i in enumerate(named):
        colour, dashes = line_style(order)
        look = {"color": colour, "linewidth": _THICK if thick[i] else 1.0}
        handles += ax.plot(x, excess[:, i], dashes, label=columns[i], **look)
    largest = max(_LEAST, *(float(np.abs(part).max()) for part in shown))
    ax.set(xlim=(0, 100), ylim=(-_HEADROOM * largest, _HEADROOM * largest))
    ax.locator_params(axis="y", nbins=7)
    return handles
