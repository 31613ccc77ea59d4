"""The calibration plot: coverage of central intervals, and where the truth lies in the draws."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.calibration import (
    LEVELS,
    CalibrationFloor,
    calibration_error,
    coverage,
)
from sbi_inn.diagnostics.uniformity import simultaneous_band
from sbi_inn.errors import ShapeError
from sbi_inn.plots.panels import NARROW_MM, add_legend, explain, width_of
from sbi_inn.plots.ranks import beyond_band, draw_excess, excess_below
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas, canvas
from sbi_inn.typing import FloatArray

_MOST_NAMED = 24  # lines that all differ; of more parameters, those furthest from the band


def plot_calibration(
    ranks: ArrayLike,
    columns: Sequence[str],
    *,
    floor: CalibrationFloor | None = None,
    limit: float | None = None,
    objection: str = "",
    confidence: float = 0.95,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how far a posterior is from calibrated, one line a parameter.

    Left: the share of truths inside the central interval of each level, minus the level; below zero
    the posterior is too narrow, above zero too wide. Right: the share of truths whose rank is
    below r, minus r; above zero the draws are too high, below zero too low. Grey: the
    simultaneous band, which a line of an exact posterior leaves anywhere in 5 % of cases only.
    A line that leaves it is thick. Of more than 24 parameters
    those that leave it furthest are coloured and named.

    The calibration error is the median distance from zero of all points on the left. So it is above
    the `limit`, which is dashed, where more than half of the points lie beyond it.

    Parameters
    ----------
    ranks : array, shape (n, d)
        Ranks of n truths among their draws, from `sbi_inn.diagnostics.calibration.ranks`.
    columns : sequence of str, length d
        Names of the parameters.
    floor : CalibrationFloor, optional
        The error of an exact posterior, to be written beside the error found.
    limit : float, optional
        The calibration error of all parameters together, as a fraction, up to which it is too small
        to matter.
    objection : str
        What is too large to matter in a single parameter, for the title.
    confidence : float
        Of the band.
    width_mm : float
        Width on paper: 180 for a double column; 85 for a single one, with the panels stacked.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

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
    lines = coverage(ranks) - LEVELS[:, None], excess_below(ranks)
    band = simultaneous_band(len(ranks), LEVELS, confidence)
    beyond = [beyond_band(one, band) for one in lines]
    farthest = np.maximum(*beyond)
    named = np.sort(np.argsort(-farthest, kind="stable")[:_MOST_NAMED]).tolist()
    width_mm = width_of(fig, width_mm)
    stacked = width_mm < NARROW_MM
    with canvas(fig, width_mm, width_mm * (1.3 if stacked else 0.47)) as figure:
        left, right = figure.subplots(2, 1) if stacked else figure.subplots(1, 2)
        draw_excess(right, lines[1], columns, band, named, beyond[1])
        handles = draw_excess(left, lines[0], columns, band, named, beyond[0])
        handles[0].set_label(f"{100 * confidence:g} % band")
        left.set(xlabel="level of the central interval [%]", ylabel="coverage − level [%]")
        right.set(xlabel="rank r of the truth [%]", ylabel="share below r − r [%]")
        explain(left, "too wide", "too narrow")
        explain(right, "draws too high", "draws too low")
        if limit is not None:
            handles.insert(1, _draw_limit(left, limit))
        between = "\n" if stacked else "; "
        said = _errors(ranks, floor, between)
        if limit is not None:
            judged = _judgement(ranks, columns, limit, bool(farthest.any()), objection)
            said = f"{said}\n{textwrap.fill(judged, 45 if stacked else 100)}"
        figure.suptitle(said)
        add_legend(figure, handles)
    return figure


def _draw_limit(ax: Axes, limit: float) -> Artist:
    """Draw the limit of the calibration error at either side of zero; return the line."""
    for side in (-100, 100):
        line = ax.axhline(side * limit, color="black", linewidth=0.9, linestyle=(0, (6, 3)))
    line.set_label(f"limit ({_percent(limit)})")
    farthest = max(*ax.get_ylim(), 115 * limit)
    ax.set_ylim(-farthest, farthest)
    return line


def _errors(ranks: FloatArray, floor: CalibrationFloor | None, between: str) -> str:
    """Say the calibration error of all parameters together beside that of an exact posterior."""
    error = calibration_error(ranks).pooled
    lines = [f"calibration error {_percent(error)} at {len(ranks):,} observations"]
    if floor is not None:
        names = ("median" if q == 0.5 else f"{100 * q:g} % quantile" for q in floor.quantiles)
        exact = zip(floor.pooled, names, strict=True)
        lines.append("exact: " + ", ".join(f"{_percent(e)} ({name})" for e, name in exact))
    return between.join(lines)


def _judgement(
    ranks: FloatArray, columns: Sequence[str], limit: float, outside: bool, objection: str
) -> str:
    """Say whether the calibration error matters, of all parameters together and of the worst."""
    found = calibration_error(ranks)
    worst = int(found.per_parameter.argmax())
    beyond = "half of the points lie beyond the limit"
    if found.pooled > limit:
        return f"too large: over {beyond}"
    if objection:
        return objection
    if not outside:
        return f"inside the band: less than {beyond}"
    if found.per_parameter[worst] > limit:
        return f"outside the band: of {columns[worst]}, over {beyond}; of all together, less"
    return f"outside the band, yet too small to matter: less than {beyond}"


def _percent(share: float) -> str:
    """Write a share in per cent."""
    return f"{100 * share:.2f} %"
