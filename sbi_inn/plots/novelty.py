"""The novelty plot: an observation's score among those of held-out simulations."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import widened
from sbi_inn.plots.marginals import draw_histogram
from sbi_inn.plots.panels import add_legend, broken, figure_of, finite, single_panel
from sbi_inn.plots.predictive import FLAGGED, p_text
from sbi_inn.plots.style import COLOURS, DASHES, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import FloatArray

_LINES = (*DASHES, (0, (1, 3)))
_FEW = len(_LINES)  # observations that have a line each; more are a histogram


def plot_novelty(
    usual: ArrayLike,
    here: ArrayLike,
    p_values: ArrayLike,
    *,
    label: str = "log distance to the nearest simulations",
    usual_name: str = "held-out simulations",
    here_name: str = "this observation",
    two_tailed: bool = True,
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how unusual observations are: their scores among those of held-out simulations.

    Up to five observations are lines, coloured where p < .01; more are a histogram of their own.
    The two tails that hold 1 % of the usual scores together are shaded, or the upper one that does.

    Parameters
    ----------
    usual : array, shape (n,)
        Scores of simulations.
    here : array, shape (m,)
        Scores of the observations.
    p_values : array, shape (m,)
    label : str
        What the scores are.
    usual_name, here_name : str
        What the legend calls the simulations, and an observation that is the only one.
    two_tailed : bool
        Whether scores can be too low, too.
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the shapes do not fit, one is empty, or a score is not finite.

    Examples
    --------
    >>> usual = np.random.default_rng(0).normal(size=500)
    >>> plot_novelty(usual, [0.3], [0.8]).axes[0].get_xlabel()
    'log distance to the nearest simulations'
    """
    (usual,) = finite("plot_novelty", "usual", usual)
    (here,) = finite("plot_novelty", "here", here)
    p_values = np.asarray(p_values, dtype=float)
    m = (len(p_values),) if p_values.ndim == 1 else (0,)
    if usual.ndim != 1 or here.shape != m or not len(usual) * len(here):
        raise ShapeError(
            "plot_novelty: usual must have shape (n,), here and p_values (m,), n and m > 0; "
            f"got {usual.shape}, {here.shape}, {p_values.shape}"
        )
    with single_panel(ax, fig, width_mm, (0.62, 0.35)) as (ax, home):
        both = np.concatenate([usual, here])
        ax.set_xlim(widened(both.min(), both.max()))
        handles: list[Artist] = [_patch(GREY, 0.3, f"{len(usual):,} {usual_name}")]
        handles.append(_draw_tails(ax, usual, two_tailed))
        tops = [draw_histogram(ax, usual, GREY)]
        if len(here) <= _FEW:
            handles += _draw_lines(ax, here, p_values, here_name)
        else:
            tops.append(draw_histogram(ax, here, COLOURS[0]))
            handles.append(_patch(COLOURS[0], 0.3, _counted(p_values)))
        ax.set(ylabel="density", ylim=(0, 1.1 * max(tops) or 1.0))
        ax.set_xlabel(broken(label, home))
        add_legend(home, handles)
    return figure_of(ax)


def _draw_tails(ax: Axes, usual: FloatArray, two_tailed: bool) -> Artist:
    """Shade where 1 % of the usual scores lie, half of them at either end, or all at the upper."""
    start, end = ax.get_xlim()
    lower = FLAGGED / 2 if two_tailed else 0.0
    low, high = np.quantile(usual, [lower, 1 - FLAGGED + lower])
    for edges in ((start, low), (high, end))[0 if two_tailed else 1 :]:
        ax.axvspan(*edges, color=COLOURS[1], alpha=0.12, linewidth=0)
    return _patch(COLOURS[1], 0.12, f"p < {FLAGGED:g}")


def _draw_lines(ax: Axes, here: FloatArray, p_values: FloatArray, alone: str) -> list[Artist]:
    """Draw a line an observation, coloured where its p-value is small; return the handles."""
    handles: list[Artist] = []
    for i, (score, p) in enumerate(zip(here, p_values, strict=True)):
        name = alone if len(here) == 1 else f"observation {i + 1}"
        handles.append(
            ax.axvline(
                score,
                color=COLOURS[1] if p < FLAGGED else COLOURS[0],
                linestyle=_LINES[i],
                linewidth=1.5,
                label=f"{name}, {p_text(p)}".replace(" ", "\u00a0"),
            )
        )
    return handles


def _counted(p_values: FloatArray) -> str:
    """Say how many observations there are, and which share of them is unusual."""
    share = 100 * np.mean(p_values < FLAGGED)
    return f"{len(p_values):,} observations, {share:.3g} % of them with p < {FLAGGED:g}"


def _patch(colour: str, alpha: float, label: str) -> Patch:
    """Return what the legend shows of an area."""
    return Patch(color=colour, alpha=alpha, linewidth=0, label=label)
