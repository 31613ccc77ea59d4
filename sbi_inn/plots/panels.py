"""Panels, their titles and their legend: what figures of several kinds share."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbi_inn.errors import ShapeError
from sbi_inn.plots.style import Canvas, PaperFigure, canvas
from sbi_inn.typing import FloatArray

NARROW_MM = 120.0  # below this width panels stand on top of each other
_HANDLE_MM = 13.0  # room of the line in a legend's entry
_LETTER_MM = 1.5  # room of a letter in a legend
_FEW_LABELS = 6  # of a legend, of which none is broken into lines
_LONG_LABEL = 16  # letters of a label that may be broken
_TITLE_LETTER_MM = 1.7  # room of a letter in a title
_LARGEST_PANEL_MM = 80.0
_LABELS_MM = 12.0  # room of the labels beside or below a panel
_GAP_MM = 8.0  # between panels
_MARGINS_MM = 15.0  # of a figure, where no title is written

# Where a legend goes: below the panels of a figure, or into the axes that a user brought.
Home = Figure | Axes


@contextmanager
def single_panel(
    ax: Axes | None, fig: Canvas | None, width_mm: float, heights: tuple[float, float]
) -> Iterator[tuple[Axes, Home]]:
    """Give one panel to draw into, and where its legend goes.

    Parameters
    ----------
    ax : Axes or None
        What a user brought. It keeps the user's own settings.
    fig : Figure, SubFigure or None
        What a user brought instead: it gets a panel in the style of the package.
    width_mm : float
        Of a new figure, where there is neither.
    heights : (float, float)
        Of a new figure, in widths: of a narrow one, and of a wide one.
    """
    if ax is None:
        height_mm = width_mm * heights[width_mm >= NARROW_MM]
        with canvas(fig, width_mm, height_mm) as figure:
            yield figure.add_subplot(), figure
    elif fig is None:
        yield ax, ax
    else:
        raise TypeError("expected ax or fig, the place to draw into; got both")


def figure_of(ax: Axes) -> Figure:
    """Return the figure, or the part of one, in which a panel stands."""
    return cast(Figure, ax.figure)


def width_of(place: Canvas | Axes | None, width_mm: float = 0.0) -> float:
    """Return how wide a figure or its axes are, in mm; `width_mm` where there are none yet."""
    if place is None:
        return width_mm
    figure = place.figure if isinstance(place, Axes) else place
    return 25.4 * place.bbox.width / cast(Figure, figure).dpi


def finite(caller: str, names: str, *arrays: ArrayLike) -> list[FloatArray]:
    """Return arrays of floats, or raise where a value is not finite."""
    found = [np.asarray(array, dtype=float) for array in arrays]
    bad = sum(int(np.count_nonzero(~np.isfinite(array))) for array in found)
    if bad:
        raise ShapeError(f"{caller}: {names} must be finite; got {bad} values that are not")
    return found


def explain(ax: Axes, above: str, below: str) -> None:
    """Say in the panel what it means to lie above or below zero; an empty text is left out."""
    for y, arrow, text, where in ((0.97, "↑", above, "top"), (0.03, "↓", below, "bottom")):
        said = f"{arrow} {text}" if text else ""
        ax.text(0.02, y, said, transform=ax.transAxes, va=where, color="#505050", fontsize="small")


def broken(text: str, home: Home) -> str:
    """Break a title or the label of an axis into lines that fit into a figure or its axes."""
    room_mm = width_of(home) - (0 if isinstance(home, Axes) else _MARGINS_MM)
    return textwrap.fill(text, max(int(room_mm / _TITLE_LETTER_MM), 1))


def add_legend(
    home: Home, handles: Sequence[Artist] = (), labels: Sequence[str] | None = None
) -> None:
    """Name what is drawn: inside axes that a user brought, or else below the panels.

    A figure of ours then grows, so that its panels do not shrink.

    Parameters
    ----------
    home : Figure or Axes
        Complete but for the legend.
    handles : sequence of Artist
        By default all of the axes, or of the figure's first, that have a label.
    labels : sequence of str
        Of as many; those longer than the figure is wide are broken into lines. By default
        what the handles say themselves.
    """
    if not handles:
        ax = home if isinstance(home, Axes) else home.axes[-1]
        handles, labels = ax.get_legend_handles_labels()
    labels = [str(handle.get_label()) for handle in handles] if labels is None else labels
    if isinstance(home, Axes):
        home.legend(handles, labels)
        return
    ncols, letters = _legend_shape(labels, width_of(home))
    labels = [textwrap.fill(label, letters) for label in labels]
    legend = home.legend(handles, labels, loc="outside lower center", ncols=ncols)
    _grow(home, legend.get_window_extent().height)


def _grow(figure: Figure, pixels: float) -> None:
    """Make a figure higher, if it is ours."""
    if isinstance(figure, PaperFigure):
        figure.set_figheight(figure.get_figheight() + pixels / figure.dpi)


def _legend_shape(labels: Sequence[str], width_mm: float) -> tuple[int, int]:
    """Return how many columns the legend has, and how many letters a line of its text.

    Where there are many labels, the long ones may take two lines: a second column saves more.
    """
    needed = max(map(len, labels))
    if len(labels) > _FEW_LABELS and needed > _LONG_LABEL:
        longest_word = max(len(word) for label in labels for word in label.split(" "))
        needed = max(longest_word, needed // 2 + 4)
    ncols = int(np.clip(width_mm // (_HANDLE_MM + _LETTER_MM * needed), 1, len(labels)))
    return ncols, max(int((width_mm / ncols - _HANDLE_MM) / _LETTER_MM + 1e-9), 1)


@contextmanager
def panel_grid(
    n: int, most: int, fig: Canvas | None, width_mm: float
) -> Iterator[tuple[Figure, list[Axes], float]]:
    """Give a figure of n panels, at most so many a row, and about their width in points.

    Rows are of about equal length; a single panel is no wider than 80 mm. A new figure is high
    enough for any labels: `square` cuts it to size.
    """
    rows = -(-n // most)
    across = -(-n // rows)
    width_mm = width_of(fig, width_mm)
    side_mm = min((width_mm - _LABELS_MM) / across - _GAP_MM, _LARGEST_PANEL_MM)
    with canvas(fig, width_mm, rows * (side_mm + 2 * _LABELS_MM)) as figure:
        cells = figure.add_gridspec(rows, across)
        panels = [figure.add_subplot(cells[divmod(i, across)]) for i in range(n)]
        yield figure, panels, 72 / 25.4 * side_mm


def lay_out(panels: Sequence[Axes]) -> float:
    """Let the layout give labels their room; return how wide the panels then are, in points."""
    root = cast(Figure, figure_of(panels[0]).figure)  # a SubFigure is laid out with the whole
    root.draw_without_rendering()
    return 72 / root.dpi * panels[0].get_window_extent().width


def square(figure: Figure, panels: Sequence[Axes], aspect: float = 1.0) -> None:
    """Give panels this aspect; a figure of ours, once drawn, gets the height that they need."""
    spec = panels[0].get_subplotspec()
    rows = spec.get_gridspec().nrows if spec else 1
    box = panels[0].get_window_extent()
    height = aspect * min(box.width, _LARGEST_PANEL_MM / 25.4 * figure.dpi)
    _grow(figure, rows * (height - box.height))
    for ax in panels:
        ax.set_box_aspect(aspect)


def is_leftmost(ax: Axes) -> bool:
    """Say whether a panel is the first of its row."""
    spec = ax.get_subplotspec()
    return spec is None or spec.is_first_col()


def is_lowest(ax: Axes, panels: Sequence[Axes]) -> bool:
    """Say whether none of the panels, laid out row by row, stands below one."""
    spec = ax.get_subplotspec()
    across = spec.get_gridspec().ncols if spec else 1
    return panels.index(ax) + across >= len(panels)
