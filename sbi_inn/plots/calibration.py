"""The calibration plot: coverage of central intervals, and where the truth lies in the draws."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from sbi_inn.diagnostics.calibration import (
    LEVELS,
    CalibrationFloor,
    calibration_error,
    coverage,
    pointwise_band,
)
from sbi_inn.errors import ShapeError
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, GREY, line_style, new_figure, style

SINGLE_COLUMN_MM = 120.0  # below this width the panels stand on top of each other
_HANDLE_MM, _LETTER_MM = 13.0, 1.5  # room of a legend's entry: its line, and a letter of its text
_FEW_LABELS = 6
_TEXT_LETTER_MM = 1.7  # of a title
_LARGEST_PANEL_MM, _LABELS_MM, _GAP_MM = 80.0, 12.0, 8.0


def plot_calibration(
    ranks: ArrayLike,
    columns: Sequence[str],
    *,
    floor: CalibrationFloor | None = None,
    confidence: float = 0.95,
    width_mm: float = DOUBLE_COLUMN_MM,
) -> Figure:
    """Plot how far a posterior is from calibrated, one line a parameter.

    Left: the share of truths inside the central interval of each level, minus the level; below zero
    the posterior is too narrow, above zero too wide. Right: the share of truths whose rank is
    below r, minus r; above zero the draws are too high, below zero too low. Grey: where an
    exact posterior lies, point by point (exact binomial band; a whole line leaves it more often).

    Parameters
    ----------
    ranks : array, shape (n, d)
        Ranks of n truths among their draws, from `sbi_inn.diagnostics.calibration.ranks`.
    columns : sequence of str, length d
        Names of the parameters.
    floor : CalibrationFloor, optional
        The error of an exact posterior, to be written beside the error found.
    confidence : float
        Of the band.
    width_mm : float
        Width on paper: 180 for a double column; 85 for a single one, with the panels stacked.

    Returns
    -------
    matplotlib.figure.Figure
        Save with ``.savefig("calibration.pdf")``.

    Raises
    ------
    ShapeError
        If `ranks` is not of shape (n, d) for d columns, or not in [0, 1].

    Examples
    --------
    >>> ranks = np.random.default_rng(0).random((500, 2))
    >>> len(plot_calibration(ranks, ["elbow", "wrist"]).axes)
    2
    """
    ranks = np.asarray(ranks, dtype=float)
    if ranks.ndim != 2 or ranks.shape[1] != len(columns):
        raise ShapeError(
            f"plot_calibration: ranks must have shape (n, {len(columns)}) for the columns "
            f"{list(columns)}; got {ranks.shape}"
        )
    stacked = width_mm < SINGLE_COLUMN_MM
    with style():
        figure = new_figure(width_mm, width_mm * (1.2 if stacked else 0.47))
        left, right = figure.subplots(2, 1) if stacked else figure.subplots(1, 2)
        _draw_panels(left, right, ranks, columns, confidence)
        figure.suptitle(_verdict(ranks, floor, stacked))
        handles, labels = left.get_legend_handles_labels()
        labels[0] = f"{100 * confidence:g} % band"
        add_legend(figure, handles, labels)
    return figure


def _draw_panels(
    left: Axes,
    right: Axes,
    ranks: NDArray[np.float64],
    columns: Sequence[str],
    confidence: float,
) -> None:
    """Draw the coverage on the left and the distribution of the ranks on the right."""
    band = pointwise_band(len(ranks), LEVELS, confidence)
    _draw_excess(left, coverage(ranks, LEVELS), columns, band)
    _draw_excess(right, shares_below(ranks), columns, band)
    left.set(xlabel="level of the central interval [%]", ylabel="coverage − level [%]")
    right.set(xlabel="rank r of the truth [%]", ylabel="share below r − r [%]")
    explain(left, "too wide", "too narrow")
    explain(right, "draws too high", "draws too low")


def shares_below(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of ranks (n, d) at or below each level, shape (99, d)."""
    below = [np.searchsorted(np.sort(column), LEVELS, side="right") for column in ranks.T]
    return np.stack(below, axis=1) / len(ranks)


def _draw_excess(
    ax: Axes,
    shares: NDArray[np.float64],
    columns: Sequence[str],
    band: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Draw shares minus levels, in per cent, over the band of an exact posterior."""
    x = 100 * LEVELS
    low, high = (100 * (edge - LEVELS) for edge in band)
    ax.fill_between(x, low, high, color=GREY, alpha=0.25, linewidth=0, label="band")
    ax.axhline(0, color=GREY, linewidth=0.6)
    for i, column in enumerate(columns):
        colour, dashes = line_style(i)
        excess = 100 * (shares[:, i] - LEVELS)
        ax.plot(x, excess, color=colour, linestyle=dashes, label=column)
    largest = max(np.abs(low).max(), np.abs(high).max(), np.abs(100 * (shares.T - LEVELS)).max())
    ax.set(xlim=(0, 100), ylim=(-1.35 * largest, 1.35 * largest))
    ax.locator_params(axis="y", nbins=7)


def explain(ax: Axes, above: str, below: str) -> None:
    """Say in the panel what it means to lie above or below zero; an empty text is left out."""
    for y, arrow, text, where in ((0.97, "↑", above, "top"), (0.03, "↓", below, "bottom")):
        said = f"{arrow} {text}" if text else ""
        ax.text(0.02, y, said, transform=ax.transAxes, va=where, color="#505050", fontsize="small")


def _verdict(ranks: NDArray[np.float64], floor: CalibrationFloor | None, stacked: bool) -> str:
    """Return the calibration error in words, beside that of an exact posterior."""
    error = calibration_error(ranks).pooled
    text = f"calibration error {_percent(error)} at {len(ranks):,} observations"
    if floor is None:
        return text
    exact = ", ".join(
        f"{_percent(error)} ({'median' if quantile == 0.5 else f'{100 * quantile:g} % quantile'})"
        for quantile, error in zip(floor.quantiles, floor.pooled, strict=True)
    )
    return f"{text}{chr(10) if stacked else '; '}exact: {exact}"


def _percent(share: float) -> str:
    """Write a share in per cent."""
    return f"{100 * share:.2f} %"


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
    height = figure.get_figheight()
    figure.set_figheight(2 * height + 0.4 * len(labels))  # room enough, to measure it
    figure.draw_without_rendering()
    figure.set_figheight(height + legend.get_window_extent().height / figure.dpi)


def _legend_shape(labels: Sequence[str], width_mm: float) -> tuple[int, int]:
    """Return how many columns the legend has, and how many letters a line of its text.

    Where there are many labels, the long ones may take two lines: a second column saves more.
    """
    needed = max(map(len, labels))
    if len(labels) > _FEW_LABELS:
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
