"""The latent-space plot: what each point of two latent axes is mapped to."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch
from matplotlib.patheffects import AbstractPathEffect, withStroke
from numpy.typing import ArrayLike
from scipy.stats import chi2

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import axis_label, dress_axis, is_constant, widened
from sbi_inn.plots.panels import is_leftmost, is_lowest, lay_out, panel_grid, square, width_of
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, SMALL_PT, Canvas
from sbi_inn.typing import AnyArray, FloatArray, IntArray

_MAP = "viridis"
_MASSES = (0.5, 0.9)  # of the latent, that the circles hold
_SHOWN = 0.99  # mass of the latent inside which values set the colours: corners may be far out
_CATEGORY_COLOURS = (*COLOURS, "#F0E442", "#999999")  # Okabe and Ito's yellow, and their grey
_DARKEST = 0.1  # of a colour's brightness
_DARK = "#202020"

_PANEL_MM = 41.0  # the least room for a panel
_BAR_PT = 5.7  # height of a colour bar


def plot_latent(
    axis: ArrayLike,
    values: ArrayLike,
    columns: Sequence[Column],
    *,
    axes: tuple[int, int] = (0, 1),
    closeness: ArrayLike | None = None,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot what a grid over two latent axes is mapped to, one panel a parameter.

    Circles hold 50 % and 90 % of the latent's mass. Colours span the values inside 99 % of it; what
    lies beyond is marked by a pointed end of the colour bar. Integers are categories: a colour
    each, and a legend.

    Parameters
    ----------
    axis : array, shape (k,)
        Positions on either latent axis, increasing.
    values : array, shape (c, k, k)
        ``values[i, a, b]`` is column i at ``axis[a]`` on the first of the latent `axes` and
        ``axis[b]`` on the second. Of an integer dtype: categories, at most eight.
    columns : sequence of Column, length c
        Labels and units.
    axes : (int, int)
        Which latent axes are shown, counted from 0; the labels count from 1.
    closeness : array, shape (k, k), optional
        From 1 (full colour) to 0 (nearly black): how close a point is to its category.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, `axis` does not increase, a value is not finite, there are more
        than eight categories, or `closeness` is given without categories or leaves [0, 1].

    References
    ----------
    Ardizzone, dissertation (Heidelberg), fig. 4.5.

    Examples
    --------
    >>> axis = np.linspace(-3, 3, 61)
    >>> elbow = np.add.outer(axis, axis**2)
    >>> figure = plot_latent(axis, [elbow], [Column("elbow", "elbow", "elbow", "rad", 1.0)])
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('latent 1', 'latent 2')
    """
    axis, grids = np.asarray(axis, dtype=float), np.asarray(values)
    _check_grid(axis, grids, columns)
    categories = np.unique(grids).tolist() if np.issubdtype(grids.dtype, np.integer) else []
    fade = None if closeness is None else np.asarray(closeness, dtype=float)
    _check_categories(categories, fade, len(axis))
    most = max(int(width_of(fig, width_mm) // _PANEL_MM), 1)
    with panel_grid(len(columns), most, fig, width_mm) as (figure, panels, room_pt):
        for ax, grid, column in zip(panels, grids, columns, strict=True):
            if categories:
                ax.pcolormesh(axis, axis, _hues(grid, categories, fade), rasterized=True)
                ax.set_title(axis_label(column, room_pt=room_pt))
            else:
                bar = _draw_bar(figure, ax, _draw_values(ax, axis, grid), room_pt)
                dress_axis(bar.xaxis, bar.get_xlim(), room_pt, column)
            _draw_circles(ax)
        _dress(panels, axes, room_pt)
        if categories:
            _add_legend(figure, categories)
        lay_out(panels)
        square(figure, panels)
    return figure


def _check_grid(axis: FloatArray, grids: AnyArray, columns: Sequence[Column]) -> None:
    """Raise unless the axis increases, and there is one finite grid over it a column."""
    if axis.ndim != 1 or len(axis) < 2 or not np.all(np.diff(axis) > 0):
        raise ShapeError(
            "plot_latent: axis must be of shape (k,), k > 1, and increase; "
            f"got shape {axis.shape}, {axis}"
        )
    k = len(axis)
    if len(columns) == 0 or grids.shape != (len(columns), k, k):
        raise ShapeError(
            f"plot_latent: values must have shape ({len(columns)}, {k}, {k}) for the columns "
            f"{[column.name for column in columns]}, at least one; got {grids.shape}"
        )
    bad = {
        column.name: int(np.count_nonzero(~np.isfinite(grid)))
        for column, grid in zip(columns, grids, strict=True)
    }
    if any(bad.values()):
        raise ShapeError(f"plot_latent: values must be finite; not finite are {bad}")


def _check_categories(categories: Sequence[int], closeness: FloatArray | None, k: int) -> None:
    """Raise if there are too many categories, or a closeness that does not fit."""
    if len(categories) > len(_CATEGORY_COLOURS):
        raise ShapeError(
            f"plot_latent: at most {len(_CATEGORY_COLOURS)} categories have a colour; "
            f"got {len(categories)} distinct integers (values that are no categories: as floats)"
        )
    if closeness is None:
        return
    if not categories:
        raise ShapeError("plot_latent: closeness fades categories; values must then be integers")
    if closeness.shape != (k, k) or not np.all((closeness >= 0) & (closeness <= 1)):
        raise ShapeError(
            f"plot_latent: closeness must have shape ({k}, {k}) and lie in [0, 1]; "
            f"got {closeness.shape}, {np.min(closeness, initial=1)} to "
            f"{np.max(closeness, initial=0)}"
        )


def _draw_values(ax: Axes, axis: FloatArray, grid: FloatArray) -> QuadMesh:
    """Draw a grid of numbers; those where the latent hardly ever is do not set the colours."""
    inside = np.add.outer(axis**2, axis**2) <= chi2.ppf(_SHOWN, 2)
    shown = grid[inside] if inside.any() else grid
    low, high = float(shown.min()), float(shown.max())
    if is_constant(low, high):
        low, high = widened(low, high)
    return ax.pcolormesh(axis, axis, grid.T, cmap=_MAP, norm=Normalize(low, high), rasterized=True)


def _draw_bar(figure: Figure, ax: Axes, mesh: QuadMesh, room_pt: float) -> Axes:
    """Draw the colour bar above a panel, as wide as the panel; return its axes."""
    values = np.asarray(mesh.get_array())
    below, above = values.min() < mesh.norm.vmin, values.max() > mesh.norm.vmax
    bar = figure.colorbar(
        mesh,
        cax=ax.inset_axes((0, 1 + 0.7 * _BAR_PT / room_pt, 1, _BAR_PT / room_pt)),
        orientation="horizontal",
        ticklocation="top",
        extend={(False, False): "neither", (True, False): "min", (False, True): "max"}.get(
            (bool(below), bool(above)), "both"
        ),
        extendfrac=0.04,
    )
    bar.minorticks_off()
    return bar.ax


def _hues(grid: IntArray, categories: Sequence[int], fade: FloatArray | None) -> FloatArray:
    """Return the colours (k, k, 3) of a grid of categories, rows upwards."""
    colours = np.array([to_rgb(_CATEGORY_COLOURS[i]) for i in range(len(categories))])
    hues = colours[np.searchsorted(categories, grid)]
    if fade is not None:
        hues = hues * (_DARKEST + (1 - _DARKEST) * fade)[:, :, None]
    return hues.transpose(1, 0, 2)


def _draw_circles(ax: Axes) -> None:
    """Draw the circles that hold 50 % and 90 % of a standard normal in two dimensions."""
    limits = ax.get_xlim(), ax.get_ylim()
    outline: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground=_DARK)]
    for mass in _MASSES:
        radius = float(np.sqrt(chi2.ppf(mass, 2)))
        circle = Circle((0, 0), radius, fill=False, edgecolor="white", linewidth=1.0)
        circle.set_path_effects(outline)
        ax.add_patch(circle)
        ax.annotate(
            f"{100 * mass:.0f} %",
            (0, -radius),
            xytext=(0, 1.5),
            textcoords="offset points",
            color="white",
            fontsize=SMALL_PT,
            ha="center",
            va="bottom",
            path_effects=outline,
        )
    ax.set(xlim=limits[0], ylim=limits[1])


def _dress(panels: Sequence[Axes], axes: tuple[int, int], room_pt: float) -> None:
    """Set the ticks of every panel, and label the outer ones."""
    for ax in panels:
        dress_axis(ax.xaxis, ax.get_xlim(), room_pt, _latent_column(axes[0]))
        dress_axis(ax.yaxis, ax.get_ylim(), room_pt, _latent_column(axes[1]))
        if not is_lowest(ax, panels):
            ax.xaxis.set_ticklabels([])
            ax.set_xlabel("")
        if not is_leftmost(ax):
            ax.yaxis.set_ticklabels([])
            ax.set_ylabel("")


def _latent_column(i: int) -> Column:
    """Describe a latent axis, counted from 0."""
    name = f"latent {i + 1}"
    return Column(name, name, label=name, units="", prior_width95=nan)


def _add_legend(figure: Figure, categories: Sequence[int]) -> None:
    """Name the categories below the panels."""
    handles = [
        Patch(facecolor=colour, label=str(category))
        for colour, category in zip(_CATEGORY_COLOURS, categories, strict=False)
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        handlelength=1,
        columnspacing=1,
    )
