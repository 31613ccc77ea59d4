"""Panels, their titles and their legend: what figures of several kinds share."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn.plots.style import new_figure

NARROW_MM = 120.0  # below this width panels stand on top of each other
_HANDLE_MM, _LETTER_MM = 13.0, 1.5  # room of a legend's entry: its line, and a letter of its text
_FEW_LABELS, _LONG_LABEL = 6, 16
_TEXT_LETTER_MM = 1.7  # of a title
_LARGEST_PANEL_MM, _LABELS_MM, _GAP_MM = 80.0, 12.0, 8.0


def explain(ax: Axes, above: str, below: str) -> None:
    """Say in the panel what it means to lie above or below zero; an empty text is left out."""
    for y, arrow, text, where in ((0.97, "↑", above, "top"), (0.03, "↓", below, "bottom")):
        said = f"{arrow} {text}" if text else ""
        ax.text(0.02, y, said, transform=ax.transAxes, va=where, color="#505050", fontsize="small")


def broken(text: str, room_mm: float) -> str:
    """Break a title or the label of an axis into lines that fit into this room."""
    return textwrap.fill(text, max(int(room_mm / _TEXT_LETTER_MM), 1))


def add_legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Name what is drawn, below the panels; the figure grows, so that the panels do not shrink.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Complete but for the legend.
    handles : sequence of Artist
    labels : sequence of str
        Of as many; those longer than the figure is wide are broken into lines.
    """
    ncols, letters = _legend_shape(labels, 25.4 * figure.get_figwidth())
    labels = [textwrap.fill(label, letters) for label in labels]
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=ncols)
    room = legend.get_window_extent().height / figure.dpi
    figure.set_figheight(figure.get_figheight() + room)


def _legend_shape(labels: Sequence[str], width_mm: float) -> tuple[int, int]:
    """Return how many columns the legend has, and how many letters a line of its text.

    Where there are many labels, the long ones may take two lines: a second column saves more.
    """
    needed = max(map(len, labels))
    if len(labels) > _FEW_LABELS and needed > _LONG_LABEL:
        longest_word = max(len(word) for label in labels for word in label.split(" "))
        needed = max(longest_word, needed // 2 + 4)
    ncols = int(np.clip(width_mm // (_HANDLE_MM + _LETTER_MM * needed), 1, len(labels)))
    return ncols, int((width_mm / ncols - _HANDLE_MM) / _LETTER_MM + 1e-9)


def panel_grid(n: int, width_mm: float, most: int) -> tuple[Figure, list[Axes], float]:
    """Return a figure of n panels, at most so many a row, and about their width in points.

    Rows are of about equal length; a single panel is no wider than 80 mm. The figure is high enough
    for any labels: `square` cuts it to size.
    """
    rows = -(-n // most)
    across = -(-n // rows)
    side_mm = min((width_mm - _LABELS_MM) / across - _GAP_MM, _LARGEST_PANEL_MM)
    figure = new_figure(width_mm, rows * (side_mm + 2 * _LABELS_MM))
    cells = figure.add_gridspec(rows, across)
    panels = [figure.add_subplot(cells[divmod(i, across)]) for i in range(n)]
    return figure, panels, 72 / 25.4 * side_mm


def panel_width_pt(figure: Figure) -> float:
    """Return how wide the panels of a figure, once drawn, are on paper, in points."""
    return 72 / figure.dpi * figure.axes[0].get_window_extent().width


def square(figure: Figure, panels: Sequence[Axes], aspect: float = 1.0) -> None:
    """Make the figure, once drawn, as high as panels of this aspect and their labels need."""
    spec = panels[0].get_subplotspec()
    rows = spec.get_gridspec().nrows if spec else 1
    box = panels[0].get_window_extent()
    height = aspect * min(box.width, _LARGEST_PANEL_MM / 25.4 * figure.dpi)
    figure.set_figheight(figure.get_figheight() + rows * (height - box.height) / figure.dpi)
    for ax in panels:
        ax.set_box_aspect(aspect)


def is_leftmost(ax: Axes) -> bool:
    """Say whether a panel is the first of its row."""
    spec = ax.get_subplotspec()
    return spec is None or spec.is_first_col()
