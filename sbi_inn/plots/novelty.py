"""The novelty plot: an observation's score among those of held-out simulations."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from sbi_inn.errors import ShapeError
from sbi_inn.plots.marginals import draw_histogram
from sbi_inn.plots.panels import NARROW_MM, add_legend, broken
from sbi_inn.plots.predictive import FLAGGED, p_text
from sbi_inn.plots.style import COLOURS, DASHES, DOUBLE_COLUMN_MM, GREY, new_figure, style

Array = NDArray[np.float64]

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

    Returns
    -------
    matplotlib.figure.Figure
        Save with ``.savefig("novelty.pdf")``.

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
    usual, here, p_values = (np.asarray(a, dtype=float) for a in (usual, here, p_values))
    _check(usual, here, p_values)
    with style():
        figure = new_figure(width_mm, width_mm * (0.62 if width_mm < NARROW_MM else 0.35))
        ax = figure.add_subplot()
        ax.set_xlim(_span(usual, here))
        handles = [_draw_tails(ax, usual, two_tailed)]
        tops = [draw_histogram(ax, usual, GREY)]
        handles.insert(0, _patch(GREY, 0.3, f"{len(usual):,} {usual_name}"))
        if len(here) <= _FEW:
            handles += _draw_lines(ax, here, p_values, here_name)
        else:
            tops.append(draw_histogram(ax, here, COLOURS[0]))
            handles.append(_patch(COLOURS[0], 0.3, _counted(p_values)))
        ax.set(ylabel="density", ylim=(0, 1.1 * max(tops) or 1.0))
        ax.set_xlabel(broken(label, width_mm - 15))
        add_legend(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _check(usual: Array, here: Array, p_values: Array) -> None:
    """Raise unless there are finite scores of shapes (n,) and (m,), and as many p-values."""
    if (
        usual.ndim != 1
        or here.ndim != 1
        or here.shape != p_values.shape
        or not len(usual) * len(here)
    ):
        raise ShapeError(
            "plot_novelty: usual must have shape (n,), here and p_values (m,), n and m > 0; "
            f"got {usual.shape}, {here.shape}, {p_values.shape}"
        )
    for name, scores in (("usual", usual), ("here", here)):
        bad = np.count_nonzero(~np.isfinite(scores))
        if bad:
            raise ShapeError(f"plot_novelty: scores must be finite; {bad} of {name} are not")


def _span(usual: Array, here: Array) -> tuple[float, float]:
    """Return the ends of an axis that shows all scores."""
    low, high = min(usual.min(), here.min()), max(usual.max(), here.max())
    margin = 0.06 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _draw_tails(ax: Axes, usual: Array, two_tailed: bool) -> Artist:
    """Shade where 1 % of the usual scores lie, half of them at either end, or all at the upper."""
    start, end = ax.get_xlim()
    lower = FLAGGED / 2 if two_tailed else 0.0
    low, high = np.quantile(usual, [lower, 1 - FLAGGED + lower])
    for edges in ((start, low), (high, end))[0 if two_tailed else 1 :]:
        ax.axvspan(*edges, color=COLOURS[1], alpha=0.12, linewidth=0)
    return _patch(COLOURS[1], 0.12, f"p < {FLAGGED:g}")


def _draw_lines(ax: Axes, here: Array, p_values: Array, alone: str) -> list[Artist]:
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


def _counted(p_values: Array) -> str:
    """Say how many observations there are, and which share of them is unusual."""
    share = 100 * np.mean(p_values < FLAGGED)
    return f"{len(p_values):,} observations, {share:.3g} % of them with p < {FLAGGED:g}"


def _patch(colour: str, alpha: float, label: str) -> Patch:
    """Return what the legend shows of an area."""
    return Patch(color=colour, alpha=alpha, linewidth=0, label=label)
