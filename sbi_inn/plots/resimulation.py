"""Figure of re-simulation errors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from sbi_inn.plots.calibration import SINGLE_COLUMN_MM, add_legend, broken
from sbi_inn.plots.style import GREY, line_style, new_figure, style

WIDTH_MM = 90.0


def plot_errors(
    errors: npt.NDArray[np.float64],
    *,
    noise: npt.NDArray[np.float64] | None = None,
    noise_label: str = "new simulation at the truth",
    remark: str = "",
    width_mm: float = WIDTH_MM,
) -> Figure:
    """Plot how large re-simulation errors are: the share of draws below each error.

    Parameters
    ----------
    errors : array, shape (n,)
        Scaled errors; NaN (failed simulations) is left out.
    noise : array, shape (m,), optional
        Errors to compare with; left out where they are all zero.
    noise_label : str
    remark : str
        Title: what has to be known about the draws.
    width_mm : float
        Width on paper.
    """
    sets = [("re-simulated draws", errors, line_style(0)[0])]
    if noise is not None and np.nanmax(noise, initial=0) > 0:
        sets.append((noise_label, noise, GREY))
    with style():
        figure = new_figure(width_mm, width_mm * (0.68 if width_mm < SINGLE_COLUMN_MM else 0.4))
        ax = figure.add_subplot()
        for label, values, colour in sets:
            ordered = np.sort(values[np.isfinite(values)])
            share = np.arange(1, len(ordered) + 1) / max(len(ordered), 1)
            shown = np.linspace(0, len(ordered) - 1, min(len(ordered), 500)).astype(int)
            ax.plot(np.maximum(ordered[shown], 1e-12), share[shown], color=colour, label=label)
        ax.set_xscale("log")
        ax.set_xlabel("re-simulation error [spreads of the observables]")
        ax.set_ylabel("share of draws below")
        ax.set_ylim(0, 1)
        ax.set_title(broken(remark, width_mm - 15))
        add_legend(figure, *ax.get_legend_handles_labels())
        return figure
