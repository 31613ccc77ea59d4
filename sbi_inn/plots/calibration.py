"""The calibration plot: coverage of central intervals, and where the truth lies in the draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from sbi_inn.diagnostics.calibration import (
    LEVELS,
    CalibrationFloor,
    calibration_error,
    coverage,
)
from sbi_inn.diagnostics.uniformity import simultaneous_band
from sbi_inn.errors import ShapeError
from sbi_inn.plots.panels import NARROW_MM, add_legend, explain
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, GREY, line_style, new_figure, style


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
    below r, minus r; above zero the draws are too high, below zero too low. Grey: the
    simultaneous band, which a line of an exact posterior leaves anywhere in 5 % of cases only.

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
    stacked = width_mm < NARROW_MM
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
    band = simultaneous_band(len(ranks), LEVELS, confidence)
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
