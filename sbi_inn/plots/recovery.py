"""Recovery of the parameters: estimates against the truth, and what the data add to the prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import Span, dress_axis, widened
from sbi_inn.plots.panels import (
    NARROW_MM,
    add_legend,
    broken,
    figure_of,
    finite,
    is_leftmost,
    lay_out,
    panel_grid,
    single_panel,
    square,
    width_of,
)
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, SMALL_PT, Canvas
from sbi_inn.typing import FloatArray, IntArray

CONTRACTION = "contraction: 1 − posterior variance / prior variance"
_MOST_PANELS = {False: 20, True: 15}  # on a page, by whether the figure is narrow
_MOST_BARS = 150  # observations a panel of the recovery plot shows
_MOST_POINTS = 300  # observations a parameter of the contraction plot shows
_FAR = 6.0  # posterior sd: z-scores beyond are drawn here
_LEAST_CONTRACTION = -0.5  # contractions below are drawn here
_MARKERS = ("o", "s", "^", "D")  # of the second six parameters, and so on
_SMALL_PANEL_PT = 75.0  # width of a panel, below which it has no numbers upwards
_SCORES_PT = 85.0  # below which the scores take two lines
_LABEL_PT = 95.0  # below which the label is shorter


def plot_recovery(
    truth: ArrayLike,
    estimate: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    columns: Sequence[Column],
    *,
    r_squared: ArrayLike,
    nrmse: ArrayLike,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot posterior medians against true values, one panel a parameter.

    At most 150 observations are shown, spread evenly over the rows; one that lies far outside
    the others may leave the panel. Of more than 20 parameters (15 in a narrow figure) those with
    the lowest R².

    Parameters
    ----------
    truth, estimate, low, high : array, shape (n, d)
        True values, posterior medians, and the ends of the 68 % intervals, in parameter units.
    columns : sequence of Column, length d
        Labels and units.
    r_squared, nrmse : array, shape (d,)
        Over all observations, to be written above the panels.
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
    >>> truth = np.random.default_rng(0).normal(size=(50, 1))
    >>> figure = plot_recovery(
    ...     truth, 0.9 * truth, 0.9 * truth - 0.1, 0.9 * truth + 0.1,
    ...     [Column("elbow", "elbow", "elbow", "rad", 1.0)], r_squared=[0.99], nrmse=[0.1])
    >>> figure.axes[0].get_xlabel()
    'true elbow [rad]'
    """
    bars = finite("plot_recovery", "values", truth, estimate, low, high)
    scores = finite("plot_recovery", "scores", r_squared, nrmse)
    _check("plot_recovery", bars, columns, scores)
    narrow = width_of(fig, width_mm) < NARROW_MM
    shown = sorted(np.argsort(scores[0], kind="stable")[: _MOST_PANELS[narrow]].tolist())
    rows = _spread_out(len(bars[0]), _MOST_BARS)
    most = 5 if not narrow else 2 if len(shown) <= 4 else 3
    with panel_grid(len(shown), most, fig, width_mm) as (figure, panels, room_pt):
        for ax, i in zip(panels, shown, strict=True):
            _draw_recovery(ax, *(array[rows, i] for array in bars))
            ax.set_title(
                _scores(float(scores[0][i]), float(scores[1][i]), room_pt), fontsize=SMALL_PT
            )
        if len(shown) < len(columns):
            figure.suptitle(f"the {len(shown)} of {len(columns)} parameters with the lowest R²")
        # Labels take room from the panels, and the panels' size decides which labels fit.
        _dress(panels, [columns[i] for i in shown], room_pt)
        _dress(panels, [columns[i] for i in shown], lay_out(panels))
        lay_out(panels)
        square(figure, panels)
    return figure


def plot_contraction(
    z: ArrayLike,
    contraction: ArrayLike,
    columns: Sequence[str],
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot z-scores against posterior contraction: bias and gain of each posterior.

    Small: single observations, at most 300 a parameter. Large: their mean. To the right the data
    say much more than the prior. Beyond the lines at -2 and 2 an exact posterior has 5 % of
    the points. What lies off the axes is drawn at their edge.

    Parameters
    ----------
    z : array, shape (n, d)
        (posterior mean - truth) / posterior sd.
    contraction : array, shape (n, d)
        1 - posterior variance / prior variance.
    columns : sequence of str, length d
        Names of the parameters.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, there is nothing to show, or a value is not finite.

    References
    ----------
    Schad, Betancourt & Vasishth (2021), Psychological Methods 26, 103.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> figure = plot_contraction(rng.normal(size=(50, 1)), rng.random((50, 1)), ["elbow"])
    >>> figure.axes[0].get_xlabel()
    'contraction: 1 − posterior variance / prior variance'
    """
    arrays = finite("plot_contraction", "values", z, contraction)
    _check("plot_contraction", arrays, columns)
    clipped = np.clip(arrays[0], -_FAR, _FAR), np.clip(arrays[1], _LEAST_CONTRACTION, 1)
    with single_panel(ax, fig, width_mm, (0.85, 0.42)) as (ax, home):
        for level, dashes in ((0, "-"), (-2, "--"), (2, "--")):
            ax.axhline(level, color=GREY, linewidth=0.6, linestyle=dashes)
        for i, name in enumerate(columns):
            _draw_cloud(ax, i, clipped[1][:, i], clipped[0][:, i], name)
        _set_limits(ax, *clipped)
        ax.set_xlabel(broken(CONTRACTION, home))
        ax.set_ylabel("posterior mean − truth [posterior sd]")
        add_legend(home)
    return figure_of(ax)


def _check(
    caller: str,
    arrays: Sequence[FloatArray],
    columns: Sequence[object],
    scores: Sequence[FloatArray] = (),
) -> None:
    """Raise unless all arrays are (n, d), for d columns, and the scores (d,)."""
    d, shape = len(columns), arrays[0].shape
    fits = all(array.shape == shape for array in arrays) and all(s.shape == (d,) for s in scores)
    if len(shape) != 2 or shape[1] != d or 0 in shape or not fits:
        raise ShapeError(
            f"{caller}: one shape (n, {d}), not empty, is needed for {d} columns, and ({d},) for "
            f"what is known of each; got {[array.shape for array in (*arrays, *scores)]}"
        )


def _spread_out(n: int, most: int) -> IntArray:
    """Return at most so many of n rows, evenly spread."""
    return np.linspace(0, n - 1, min(n, most)).astype(int)


def _dress(panels: Sequence[Axes], columns: Sequence[Column], room_pt: float) -> None:
    """Set ticks and labels; small panels say the numbers, which both axes share, once."""
    for ax, column in zip(panels, columns, strict=True):
        true = replace(column, label=f"true {column.label}")
        dress_axis(ax.xaxis, ax.get_xlim(), room_pt, true)
        texts = [label.get_text() for label in ax.get_xticklabels()]
        ax.set_yticks(ax.get_xticks(), labels=texts)  # the same span
        estimate = "median and" if room_pt < _LABEL_PT else "posterior median and"
        ax.set_ylabel(f"{estimate}\n68 % interval" if is_leftmost(ax) else "")
        if room_pt < _SMALL_PANEL_PT:
            ax.yaxis.set_ticklabels([])


def _draw_recovery(
    ax: Axes, truth: FloatArray, estimate: FloatArray, low: FloatArray, high: FloatArray
) -> None:
    """Draw medians with their intervals over the identity, on axes of one span."""
    span = _common_span(truth, estimate)
    ax.plot(span, span, color=GREY, linewidth=0.6)
    ax.vlines(truth, low, high, color=COLOURS[0], linewidth=0.5, alpha=0.45)
    ax.plot(truth, estimate, "o", color=COLOURS[0], markersize=1.8, markeredgewidth=0)
    ax.set(xlim=span, ylim=span)


def _common_span(truth: FloatArray, estimate: FloatArray) -> Span:
    """Return the ends of axes that show both, but for a few that lie far outside the others."""
    values = np.concatenate([truth, estimate])
    inner_low, inner_high = np.quantile(values, [0.01, 0.99])
    reach = 0.5 * (inner_high - inner_low)
    low, high = max(values.min(), inner_low - reach), min(values.max(), inner_high + reach)
    return widened(low, high)


def _scores(r_squared: float, nrmse: float, room_pt: float) -> str:
    """Write R² and NRMSE for the title of a panel, in two lines where it is small."""
    between = "\n" if room_pt < _SCORES_PT else ", "
    return f"R² = {r_squared:.2f}{between}NRMSE = {nrmse:.2f}".replace("-", "−")


def _set_limits(ax: Axes, z: FloatArray, contraction: FloatArray) -> None:
    """Fit the axes to the points: no contraction and z-scores of 3 are always on them."""
    farthest = 1.1 * max(3.0, float(np.abs(z).max()))
    lowest = min(0.0, float(contraction.min()))
    ax.set(xlim=(lowest - 0.05, 1.05), ylim=(-farthest, farthest))


def _draw_cloud(ax: Axes, i: int, x: FloatArray, y: FloatArray, name: str) -> None:
    """Draw the observations of one parameter, small, and their mean, large."""
    colour = COLOURS[i % len(COLOURS)]
    marker = _MARKERS[i // len(COLOURS) % len(_MARKERS)]
    look: dict[str, Any] = {"linestyle": "", "marker": marker, "color": colour}
    rows = _spread_out(len(x), _MOST_POINTS)
    ax.plot(x[rows], y[rows], markersize=2, markeredgewidth=0, alpha=0.4, rasterized=True, **look)
    ax.plot(x.mean(), y.mean(), markersize=6, markeredgecolor="black", zorder=3, label=name, **look)
