"""The forecast plot: an observed series among its re-simulations, beyond its last entry."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from sbi_inn.errors import ShapeError
from sbi_inn.plots.panels import add_legend
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, new_figure, style

Array = NDArray[np.float64]

MASSES = (0.5, 0.9)
_ALPHAS = (0.45, 0.2)  # of the bands, for `MASSES`
_HEIGHT = 0.45  # of the figure, in widths
_LEAST_MM, _MOST_MM = 55.0, 75.0


def plot_forecast(
    again: ArrayLike,
    observed: ArrayLike,
    *,
    later: ArrayLike | None = None,
    across: str = "",
    up: str = "",
    log: bool = False,
    width_mm: float = DOUBLE_COLUMN_MM,
) -> Figure:
    """Plot central intervals of re-simulated series, entry by entry, and what was observed.

    Parameters
    ----------
    again : array, shape (m, L)
        Series of m re-simulated draws; those with a NaN (failed simulations) are left out.
    observed : array, shape (k,)
        Their first k entries, as they were observed; NaN (missing) is left out.
    later : array, shape (l,), optional
        The entries that followed, as far as they are known.
    across, up : str
        Labels of the axes: what is counted from 1, and what is observed.
    log : bool
        Draw what is observed on a logarithmic scale; values of less than 1 are drawn at 0, below
        it, so that it suits counts.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.

    Returns
    -------
    matplotlib.figure.Figure
        Save with ``.savefig("forecast.pdf")``.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or fewer than two re-simulations succeeded.

    Examples
    --------
    >>> again = np.random.default_rng(0).poisson(np.arange(1, 31), (500, 30))
    >>> figure = plot_forecast(again, again[0, :20], across="day", up="cases")
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['50 % of re-simulations', '90 %', 'observed']
    """
    again, observed = np.asarray(again, np.float64), np.asarray(observed, np.float64)
    after = np.empty(0) if later is None else np.asarray(later, np.float64)
    good = _checked(again, observed, after)
    day = np.arange(1, good.shape[1] + 1)
    with style():
        figure = new_figure(width_mm, float(np.clip(_HEIGHT * width_mm, _LEAST_MM, _MOST_MM)))
        ax = figure.add_subplot()
        handles = []
        for mass, alpha in zip(MASSES, _ALPHAS, strict=True):
            low, high = np.quantile(good, [0.5 - mass / 2, 0.5 + mass / 2], axis=0)
            label = f"{mass:.0%}".replace("%", " %")
            label += " of re-simulations" if not handles else ""
            band = ax.fill_between(
                day, low, high, color=COLOURS[0], alpha=alpha, linewidth=0, label=label
            )
            handles.append(band)
        seen = len(observed)
        points = {
            "color": "black",
            "linestyle": "",
            "marker": "o",
            "markersize": 2.5,
            "clip_on": False,
        }
        handles += ax.plot(day[:seen], observed, label="observed", **points)
        if len(after):
            points |= {"markerfacecolor": "white", "markeredgewidth": 0.6}
            days = day[seen : seen + len(after)]
            handles += ax.plot(days, after, label="what followed", **points)
        if seen < len(day):
            ax.axvline(seen + 0.5, color=GREY, linewidth=0.6)
        ax.set_xlim(0.5, len(day) + 0.5)
        if log:
            ax.set_yscale("symlog", linthresh=1, linscale=0.4)
        ax.set_ylim(bottom=0 if good.min() >= 0 else None)
        ax.set(xlabel=across, ylabel=up)
        add_legend(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _checked(again: Array, observed: Array, later: Array) -> Array:
    """Return the re-simulations that succeeded, or raise where the shapes do not fit."""
    known = len(observed) + len(later) if observed.ndim == later.ndim == 1 else np.inf
    if again.ndim != 2 or not known <= again.shape[1]:
        raise ShapeError(
            "plot_forecast: again must have shape (m, L), observed (k,) and later (l,) with "
            f"k + l <= L; got {again.shape}, {observed.shape}, {later.shape}"
        )
    good = again[np.isfinite(again).all(axis=1)]
    if len(good) < 2:
        raise ShapeError(
            "plot_forecast: at least two re-simulations must be finite; got "
            f"{len(good)} of {len(again)}"
        )
    return good
