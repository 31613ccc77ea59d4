"""How much is gained by more: simulations for the training, or data for the posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import axis_label, dress_axis
from sbi_inn.plots.panels import (
    NARROW_MM,
    add_legend,
    figure_of,
    finite,
    is_lowest,
    lay_out,
    panel_grid,
    single_panel,
    square,
    width_of,
)
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, SMALL_PT, Canvas
from sbi_inn.typing import FloatArray

_WIDE = 8.0  # largest over smallest value, beyond which an axis is logarithmic
_DIGIT_PT = 0.62 * SMALL_PT  # width of a digit
_GAP_PT = 4.0  # between the labels of two ticks
_ASPECT = 0.75  # height of a panel, in widths
_AXIS_SHARE = 0.8  # of a figure's width that a single panel has


def plot_learning_curve(
    n: ArrayLike,
    score: ArrayLike,
    error: ArrayLike,
    fitted: tuple[ArrayLike, ArrayLike],
    predicted: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike],
    *,
    quantity: str = "held-out log-likelihood",
    width_mm: float = DOUBLE_COLUMN_MM / 2,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how well held-out simulations are explained against the number of simulations.

    Filled: measured, with standard errors. Open: predicted by the fitted curve, with intervals.

    Parameters
    ----------
    n, score, error : array, shape (k,)
        Numbers of simulations, mean scores of held-out ones [nats per observation], and their
        standard errors.
    fitted : (n, score), arrays of shape (g,)
        The fitted curve; empty arrays where there is none.
    predicted : (n, score, low, high), arrays of shape (p,)
        Predictions and their intervals.
    quantity : str
        What the scores are.
    width_mm : float
        Width on paper.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, nothing was measured, or a number of simulations is not positive.

    Examples
    --------
    >>> figure = plot_learning_curve(
    ...     [500, 1000], [0.8, 0.9], [0.02, 0.02], ([500, 2000], [0.8, 1.0]),
    ...     ([2000], [1.0], [0.95], [1.05]))
    >>> figure.axes[0].get_xscale()
    'log'
    """
    measured = _arrays("n, score and error", (n, score, error), least=1)
    curve = _arrays("fitted", fitted)
    ahead = _arrays("predicted", predicted)
    numbers = np.concatenate([measured[0], curve[0], ahead[0]])
    if not np.all(numbers > 0):
        raise ShapeError(
            f"plot_learning_curve: numbers of simulations must be positive; got {numbers.min()}"
        )
    with single_panel(ax, fig, width_mm, (0.65, 0.4)) as (ax, home):
        ax.plot(*curve, color=GREY, linewidth=0.8, label="fitted curve")
        ax.errorbar(*measured, fmt="o", color=COLOURS[0], markersize=4, label="measured")
        if len(ahead[0]):
            _draw_predicted(ax, *ahead)
        ax.set(xlabel="number of simulations")
        ax.set_ylabel(f"{quantity}\n[nats per observation]")
        room_pt = _AXIS_SHARE * 72 / 25.4 * width_of(home)
        _set_x_axis(ax, numbers, np.concatenate([measured[0], ahead[0]]), room_pt, True)
        add_legend(home)
    return figure_of(ax)


def plot_plan(
    values: ArrayLike,
    width: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    columns: Sequence[Column],
    given: str,
    *,
    level: float = 0.95,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how wide intervals will be, against what the experimenter can choose.

    A panel a parameter: the width to be expected, and the band in which single observations lie.

    Parameters
    ----------
    values : array, shape (v,)
        Of the given.
    width, low, high : array, shape (v, d)
        Expected width of the interval, and the ends of the band, in parameter units.
    columns : sequence of Column, length d
        Labels and units.
    given : str
        What is varied, for example ``"n_trials"``.
    level : float
        Of the central intervals.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, there is nothing to show, or a value is not finite.

    Examples
    --------
    >>> columns = [Column("drift", "drift", "drift rate", "1/s", 1.0)]
    >>> figure = plot_plan([80, 900], [[0.4], [0.1]], [[0.3], [0.1]], [[0.5], [0.2]],
    ...                    columns, "n_trials")
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_xscale()
    ('n_trials', 'log')
    """
    values, *arrays = finite("plot_plan", "values, width, low and high", values, width, low, high)
    _check_plan(values, arrays, columns)
    order = np.argsort(values)
    values, arrays = values[order], [array[order] for array in arrays]
    percent = f"{100 * level:g} %"
    most = 2 if width_of(fig, width_mm) < NARROW_MM else 4
    with panel_grid(len(columns), most, fig, width_mm) as (figure, panels, room_pt):
        for i, ax in enumerate(panels):
            _draw_plan(ax, percent, values, *(array[:, i] for array in arrays))
        add_legend(figure, *panels[0].get_legend_handles_labels())
        # Labels take room from the panels, and the panels' size decides which labels fit.
        _dress(panels, values, columns, given, percent, room_pt)
        _dress(panels, values, columns, given, percent, lay_out(panels))
        lay_out(panels)
        square(figure, panels, _ASPECT)
    return figure


def _arrays(what: str, given: Sequence[ArrayLike], least: int = 0) -> list[FloatArray]:
    """Return arrays of one shape (k,), finite, or raise."""
    arrays = finite("plot_learning_curve", what, *given)
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1 or arrays[0].ndim != 1 or len(arrays[0]) < least:
        raise ShapeError(
            f"plot_learning_curve: {what} must have one shape (k,), k >= {least}; got {shapes}"
        )
    return arrays


def _check_plan(
    values: FloatArray, arrays: Sequence[FloatArray], columns: Sequence[Column]
) -> None:
    """Raise unless the shapes are (v,) and (v, d), and not empty."""
    shape = (values.size, len(columns))
    if values.ndim != 1 or 0 in shape or any(array.shape != shape for array in arrays):
        raise ShapeError(
            f"plot_plan: values must have shape (v,), v > 0, and width, low, high (v, "
            f"{len(columns)}) for the columns {[column.name for column in columns]}, at least "
            f"one; got {values.shape} and {[array.shape for array in arrays]}"
        )


def _draw_predicted(
    ax: Axes, n: FloatArray, score: FloatArray, low: FloatArray, high: FloatArray
) -> None:
    """Draw the predicted points, open, with their intervals."""
    ax.vlines(n, low, high, color=COLOURS[1], linewidth=0.8)
    points = ax.plot(n, score, "o", color=COLOURS[1], markersize=4.5, label="predicted")
    points[0].set_markerfacecolor("white")


def _draw_plan(
    ax: Axes, percent: str, values: FloatArray, width: FloatArray, low: FloatArray, high: FloatArray
) -> None:
    """Draw the expected width over the band of single observations, from zero upwards."""
    band = ax.fill_between(values, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    (line,) = ax.plot(values, width, "o-", color=COLOURS[0], markersize=3)
    band.set_label("single observations")
    line.set_label(f"expected width of the {percent} interval")
    ax.set_ylim(0, 1.08 * max(width.max(), high.max()) or 1.0)


def _dress(
    panels: Sequence[Axes],
    values: FloatArray,
    columns: Sequence[Column],
    given: str,
    percent: str,
    room_pt: float,
) -> None:
    """Set ticks and labels of every panel; the lowest of a column names what is varied."""
    log = values.min() > 0 and values.max() > _WIDE * values.min()
    for ax, column in zip(panels, columns, strict=True):
        _set_x_axis(ax, values, values, room_pt, log)
        ax.set_xlabel(given if is_lowest(ax, panels) else "")
        width = replace(column, label=f"{percent} width", discrete=False)  # a mean of widths
        dress_axis(ax.yaxis, ax.get_ylim(), _ASPECT * room_pt, width)
        texts = [label.get_text() for label in ax.get_yticklabels()]
        ax.set_yticks([0, *ax.get_yticks()], labels=["0", *texts])
        ax.set_title(axis_label(replace(column, units=""), room_pt=room_pt))


def _set_x_axis(ax: Axes, shown: FloatArray, ticked: FloatArray, room_pt: float, log: bool) -> None:
    """Set scale and limits to what is shown, and ticks where there are points and room."""
    ends = np.array([shown.min(), shown.max()])
    ends = np.log10(ends) if log else ends
    margin = 0.06 * (ends[1] - ends[0]) or 0.5
    low, high = ends[0] - margin, ends[1] + margin
    points = room_pt / (high - low)
    ticks: dict[float, str] = {}
    free = np.inf
    for tick in np.unique(ticked)[::-1].tolist():
        at = points * (np.log10(tick) if log else tick)
        text = f"{tick:,.0f}" if tick == round(tick) else f"{tick:.3g}"
        half = _DIGIT_PT * len(text) / 2
        if at + half <= free:
            ticks[tick] = text.replace("-", "−")
            free = at - half - _GAP_PT
    ax.set_xscale("log" if log else "linear")
    ax.set_xlim((10**low, 10**high) if log else (low, high))
    ax.set_xticks(list(ticks), labels=list(ticks.values()))
    ax.minorticks_off()
