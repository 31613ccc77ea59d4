"""Coverage of the intervals of pixels, as a map or a line."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas, canvas
from sbi_inn.typing import FloatArray

_MAP = "RdBu"
_LEAST = 4.0  # bands on either side that the colours span, so that noise is pale
_LARGEST_MM = 90.0


def plot_coverage_map(
    coverage: FloatArray,
    level: float,
    band: float,
    *,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot how often intervals hold the truth, pixel by pixel: red too rarely, blue too often.

    Parameters
    ----------
    coverage : array, shape (height, width) or (n,)
    level : float
        What it should be.
    band : float
        By how much chance makes it differ.
    width_mm : float
        Width on paper.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

    Examples
    --------
    >>> figure = plot_coverage_map(np.full((4, 6), 0.9), 0.9, 0.02)
    >>> figure.axes[0].get_title()
    'coverage of 90 % intervals'
    """
    side = min(width_mm, _LARGEST_MM)
    with canvas(fig, side, 0.85 * side) as figure:
        axes = figure.add_subplot()
        axes.set_title(f"coverage of {100 * level:.0f} % intervals")
        if coverage.ndim == 1:
            axes.axhspan(level - band, level + band, color=GREY, alpha=0.3, linewidth=0)
            axes.plot(np.arange(len(coverage)), coverage, color=COLOURS[0])
            axes.set_xlabel("pixel")
            return figure
        reach = max(float(np.abs(coverage - level).max()), _LEAST * band)
        norm = TwoSlopeNorm(level, level - reach, level + reach)
        shown = axes.imshow(coverage, cmap=_MAP, norm=norm, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)
    return figure
