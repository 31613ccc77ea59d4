"""Where an observation lies in the latent space between two models (dissertation, fig. 5.20)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import ArrayLike
from scipy import stats

from sbi_inn.plots.panels import add_legend, figure_of, single_panel
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import FloatArray

_MASS = 0.9  # of a component, in either direction, inside its ellipse
_HEADROOM = 1.15


def plane(latent: ArrayLike, first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Give the place along the axis from one mean to another, and the distance from that axis.

    Parameters
    ----------
    latent : array, shape (n, dim)
    first, second : array, shape (dim,)

    Returns
    -------
    array, shape (n, 2)
        The first mean lies at (0, 0), the second at (their distance, 0).

    Examples
    --------
    >>> plane([[1.0, 3.0]], [0.0, 0.0], [5.0, 0.0])
    array([[1., 3.]])
    """
    rows, origin = np.asarray(latent, float), np.asarray(first, float)
    axis = np.asarray(second, float) - origin
    axis = axis / max(float(np.linalg.norm(axis)), 1e-12)
    along = (rows - origin) @ axis
    across = np.linalg.norm(rows - origin - along[:, None] * axis, axis=1)
    return np.column_stack([along, across])


def plot_decision(
    latent: ArrayLike,
    clouds: tuple[ArrayLike, ArrayLike],
    means: tuple[ArrayLike, ArrayLike],
    names: tuple[str, str],
    *,
    title: str = "",
    width_mm: float = DOUBLE_COLUMN_MM,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot an observation between the two models that it speaks for most.

    Parameters
    ----------
    latent : array, shape (dim,)
        Of the observation.
    clouds : two arrays, shape (n, dim)
        Latents of simulations of both models.
    means : two arrays, shape (dim,)
        Of the components of both models.
    names : (str, str)
    title : str
    width_mm : float
        Width on paper: 180 for a double column, 85 for a single one.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    References
    ----------
    Ardizzone, dissertation (Heidelberg), figure 5.20. Across the axis, the distance in all other
    dimensions is shown, of which there are dim - 1: that of a component is chi-distributed.
    """
    here = plane(np.asarray(latent, float)[None], *means)[0]
    gap = float(np.linalg.norm(np.asarray(means[1], float) - np.asarray(means[0], float)))
    others = len(here) and np.asarray(latent).shape[0] - 1
    wide = float(stats.norm.ppf((1 + _MASS) / 2))
    high = float(stats.chi.ppf(_MASS, others)) if others else 0.5
    with single_panel(ax, fig, width_mm, (0.8, 0.45)) as (ax, home):
        for place, name, cloud, colour in zip((0.0, gap), names, clouds, COLOURS, strict=False):
            points = plane(cloud, *means)
            ax.scatter(*points.T, s=1.5, color=colour, alpha=0.25, linewidths=0, rasterized=True)
            ax.add_patch(
                Ellipse((place, 0), 2 * wide, 2 * high, fill=False, edgecolor=colour, linewidth=1)
            )
            ax.plot([place], [0], "o", color=colour, markersize=5, label=name, clip_on=False)
        ax.axvline(gap / 2, color=GREY, linewidth=0.8, linestyle="--", label="equally probable")
        ax.plot(*here[:, None], "*", color="black", markersize=10, label="this observation")
        reach = max(wide, abs(here[0] - gap / 2) - gap / 2)
        ax.set_xlim(-_HEADROOM * (reach + 0.5), gap + _HEADROOM * (reach + 0.5))
        ax.set_ylim(0, _HEADROOM * max(high, float(here[1])))
        ax.set(xlabel="latent, along the axis between the models", ylabel="distance from the axis")
        if title:
            ax.set_title(title)
        add_legend(home, ax.get_legend_handles_labels()[0])
    return figure_of(ax)
