"""The failures plot: where in parameter space simulations fail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import beta

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import axis_label, widened
from sbi_inn.plots.panels import add_legend, is_leftmost, lay_out, panel_grid, square
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import AnyArray, FloatArray, IntArray

MOST = 12
"""Parameters that are shown: those along which the share of failures changes most."""

ACROSS = 4
"""Panels in a row."""

IN_BIN = 25
"""Simulations in a bin at least."""

BINS = 20
"""Bins at most, of equally many simulations."""

BAND = 0.95
"""Of the shares."""

OK = "ok"


def plot_failures(
    columns: Sequence[Column],
    values: FloatArray,
    status: AnyArray,
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot the share of simulations that failed along each parameter, and how.

    Bins hold equally many simulations; the bands are 95 % intervals (Clopper and Pearson, 1934).
    Parameters come in the order in which the share changes along them.

    Parameters
    ----------
    columns : sequence of Column
        What the columns are.
    values : array, shape (n, k)
    status : array of str, shape (n,)
        "ok", or what went wrong.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    fig : Figure or SubFigure, optional
        Draw into it.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or no simulation failed.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((1000, 1))
    >>> found = np.where(x[:, 0] > 0.8, "timeout", "ok")
    >>> figure = plot_failures([Column("x", "x", "x", "", 1.0)], x, found)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['timeout: 21.2 % of 1,000', 'all of them']
    """
    if values.shape != (len(status), len(columns)):
        raise ShapeError(
            f"expected values of shape ({len(status)}, {len(columns)}); got {values.shape}"
        )
    kinds = [str(kind) for kind in np.unique(status[status != OK])]
    if not kinds:
        raise ShapeError("no simulation failed, so that there is nothing to show")
    bins = [_bins(values[:, i]) for i in range(len(columns))]
    strength = [_strength(b, status != OK) for b in bins]
    order = np.argsort(strength, kind="stable")[::-1][:MOST]
    with panel_grid(len(order), ACROSS, fig, width_mm) as (figure, panels, room_pt):
        for ax, i in zip(panels, order, strict=True):
            _draw(ax, values[:, i], bins[i], status, kinds)
            ax.set_xlabel(axis_label(columns[i], room_pt=room_pt))
            if is_leftmost(ax):
                ax.set_ylabel("share that failed")
        lay_out(panels)
        square(figure, panels)
        add_legend(figure)
    return figure


def _bins(values: FloatArray) -> IntArray:
    """Give the bin of each value; equal values share one."""
    count = int(np.clip(len(values) // IN_BIN, 1, BINS))
    edges = np.quantile(values, np.arange(1, count) / count)
    return np.searchsorted(np.unique(edges), values, side="right")


def _strength(bins: IntArray, failed: AnyArray) -> float:
    """Give Pearson's chi-squared of the counts, for each degree of freedom."""
    n = np.bincount(bins)
    n, found = n[n > 0], np.bincount(bins, failed)[n > 0]
    expected = n * failed.mean()
    spread = np.maximum(expected * (1 - failed.mean()), 1e-9)
    return float(((found - expected) ** 2 / spread).sum() / max(len(n) - 1, 1))


def _draw(
    ax: Axes, values: FloatArray, bins: IntArray, status: AnyArray, kinds: Sequence[str]
) -> None:
    """Draw a step and a band for each kind of failure, and the share of all."""
    there = np.unique(bins)
    n = np.array([(bins == b).sum() for b in there])
    lows = np.array([values[bins == b].min() for b in there])
    edges = np.append(lows, values.max())
    for kind, colour in zip(kinds, COLOURS, strict=False):
        k = np.array([((bins == b) & (status == kind)).sum() for b in there])
        low = np.where(k > 0, beta.ppf((1 - BAND) / 2, k, n - k + 1), 0)
        high = np.where(k < n, beta.ppf((1 + BAND) / 2, k + 1, n - k), 1)
        share = f"{kind}: {(status == kind).mean():.1%} of {len(status):,}".replace("%", " %")
        ax.stairs(k / n, edges, color=colour, label=share, baseline=None)
        ax.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=0.2, linewidth=0)
    ax.axhline((status != OK).mean(), color=GREY, linestyle="--", label="all of them")
    ax.set_xlim(*widened(float(values.min()), float(values.max())))
    ax.set_ylim(0, None)
