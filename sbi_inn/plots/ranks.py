"""The rank plot: how far the ranks of a test quantity are from uniform."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from sbi_inn.diagnostics.calibration import LEVELS
from sbi_inn.errors import ShapeError
from sbi_inn.plots.calibration import shares_below
from sbi_inn.plots.panels import NARROW_MM, add_legend, broken, explain
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, GREY, line_style, new_figure, style

Array = NDArray[np.float64]

_MOST_NAMED = 8  # columns that each have a line of their own; of more, those that stand out
_MOST_OUTSIDE = 6
_LEAST = 1.0  # per cent that the axis shows at either side of zero
_THICK = 1.7  # of a line that leaves the band


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

    Returns
    -------
    matplotlib.figure.Figure
        Save with ``.savefig("ranks.pdf")``.

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
    lines = shares_below(ranks) - LEVELS[:, None]
    with style():
        figure = new_figure(width_mm, width_mm * (0.8 if width_mm < NARROW_MM else 0.4))
        ax = figure.add_subplot()
        handles = _draw_band(ax, edges) | _draw_lines(ax, lines, _beyond(lines, edges), columns)
        _set_limits(ax, lines, edges)
        ax.set(xlabel=broken(f"{quantity} [%]", width_mm - 15), ylabel=f"{excess} [%]")
        ax.set_title(broken(title, width_mm - 15))
        explain(ax, above, below)
        add_legend(figure, list(handles.values()), list(handles))
    return figure


def _check(ranks: Array, columns: Sequence[str], band: tuple[Array, Array] | None) -> None:
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


def _beyond(excess: Array, band: tuple[Array, Array] | None) -> Array:
    """Return how far each line goes beyond the band, 0 where it stays inside, shape (q,)."""
    if band is None:
        return np.abs(excess).max(axis=0)
    low, high = (edge[:, None] - LEVELS[:, None] for edge in band)
    return np.maximum(np.maximum(excess - high, low - excess), 0).max(axis=0)


def _draw_band(ax: Axes, band: tuple[Array, Array] | None) -> dict[str, Artist]:
    """Draw zero and the band; return what the legend names."""
    ax.axhline(0, color=GREY, linewidth=0.6)
    if band is None:
        return {}
    low, high = (100 * (edge - LEVELS) for edge in band)
    area = ax.fill_between(100 * LEVELS, low, high, color=GREY, alpha=0.25, linewidth=0)
    return {"exact posterior": area}


def _draw_lines(
    ax: Axes, excess: Array, beyond: Array, columns: Sequence[str]
) -> dict[str, Artist]:
    """Draw a line a column; return what the legend names."""
    x, handles = 100 * LEVELS, {}
    named = list(range(len(columns)))
    if len(columns) > _MOST_NAMED:
        furthest = np.argsort(-beyond, kind="stable")[:_MOST_OUTSIDE]
        named = [int(i) for i in furthest if beyond[i] > 0]
        others = np.delete(100 * excess, named, axis=1)
        lines = ax.plot(x, others, color=GREY, linewidth=0.5, alpha=0.7, label="_others")
        handles[f"{others.shape[1]} others" if named else f"all {len(columns)}"] = lines[0]
    for order, i in enumerate(named):
        colour, dashes = line_style(order)
        width = _THICK if beyond[i] > 0 and len(columns) <= _MOST_NAMED else 1.0
        (line,) = ax.plot(x, 100 * excess[:, i], color=colour, linestyle=dashes, linewidth=width)
        line.set_label(columns[i])
        handles[columns[i]] = line
    return handles


def _set_limits(ax: Axes, excess: Array, band: tuple[Array, Array] | None) -> None:
    """Fit the axes to the lines and the band, zero in the middle, with room for the words."""
    edges = () if band is None else tuple(edge - LEVELS for edge in band)
    largest = max(_LEAST, *(100 * np.abs(part).max() for part in (excess, *edges)))
    ax.set(xlim=(0, 100), ylim=(-1.35 * largest, 1.35 * largest))
    ax.locator_params(axis="y", nbins=7)
