"""The training plot: how the losses fell, and which weights were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn.errors import ShapeError
from sbi_inn.plots.panels import figure_of, single_panel
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import FloatArray

_TRANSIENT = 0.1  # share of the training whose losses may leave the axis at the top


def plot_training(
    history: Mapping[str, Any],
    *,
    others: Sequence[Mapping[str, Any]] = (),
    width_mm: float = DOUBLE_COLUMN_MM / 2,
    ax: Axes | None = None,
    fig: Canvas | None = None,
) -> Figure:
    """Plot training and validation loss, and mark the weights that were kept.

    The steep fall over the first tenth of the training may leave the axis at the top, so that
    the rest can be read.

    Parameters
    ----------
    history : mapping
        ``"train_loss"`` and ``"validation_loss"``, arrays of one entry an epoch; ``"quantity"``,
        what they are, where it is known. ``"epoch"`` or, where there is none, ``"step"``: an
        increasing array to plot them against. ``"best_epoch"``: the epoch whose weights were kept,
        as in ``"epoch"``, or its position in the arrays where there is only ``"step"``.
    others : sequence of mapping
        Histories of other networks in an ensemble, whose validation losses are drawn pale.
    width_mm : float
        Width on paper.
    ax, fig : Axes, and Figure or SubFigure, optional
        Draw into one of them, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If an entry is missing, the arrays differ in length, or there is no such epoch.

    Examples
    --------
    >>> history = {"epoch": [0, 1, 2], "train_loss": [3.0, 2.0, 1.5],
    ...            "validation_loss": [3.1, 2.0, 2.2], "best_epoch": 1}
    >>> plot_training(history).axes[0].get_xlabel()
    'epoch'
    """
    axis_name, x, train, validation, best = _read(history)
    with single_panel(ax, fig, width_mm, (0.65, 0.4)) as (ax, _):
        for other in others:
            _, epochs, _, losses, _ = _read(other)
            ax.plot(epochs, losses, color=COLOURS[1], alpha=0.4, linewidth=0.6)
        ax.plot(x, train, color=COLOURS[0], label="training")
        ax.plot(x, validation, color=COLOURS[1], label="validation")
        ax.axvline(x[best], color=GREY, linewidth=0.6, linestyle="--", label="weights kept")
        ax.plot(x[best], validation[best], "o", color=COLOURS[1], markersize=4)
        _set_limits(ax, x, np.stack([train, validation]))
        ax.set(xlabel=axis_name, ylabel=history.get("quantity", "loss"))
        ax.legend(loc="upper right")
    return figure_of(ax)


def _read(
    history: Mapping[str, Any],
) -> tuple[str, FloatArray, FloatArray, FloatArray, int]:
    """Return name and values of the x axis, the two losses, and the position of the best epoch."""
    axis_name = "epoch" if "epoch" in history else "step"
    wanted = (axis_name, "train_loss", "validation_loss")
    missing = [name for name in (*wanted, "best_epoch") if name not in history]
    if missing:
        raise ShapeError(f"plot_training: history lacks {missing}; got {list(history)}")
    x, train, validation = (np.asarray(history[name], dtype=float) for name in wanted)
    if x.ndim != 1 or x.size == 0 or not x.shape == train.shape == validation.shape:
        raise ShapeError(
            f"plot_training: {wanted} must be of one shape (n,), n > 0; "
            f"got {x.shape}, {train.shape}, {validation.shape}"
        )
    epochs = x if axis_name == "epoch" else np.arange(len(x))
    found = np.flatnonzero(epochs == history["best_epoch"])
    if len(found) != 1:
        raise ShapeError(
            f"plot_training: best_epoch must be one of {epochs[0]:.0f} to {epochs[-1]:.0f}; "
            f"got {history['best_epoch']}"
        )
    return axis_name, x, train, validation, int(found[0])


def _set_limits(ax: Axes, x: FloatArray, losses: FloatArray) -> None:
    """Fit the axes to the finite losses after the transient."""
    if len(x) > 1:
        ax.set_xlim(x[0], x[-1])
    settled = losses[:, int(_TRANSIENT * len(x)) :]
    settled = settled[np.isfinite(settled)]
    if settled.size == 0 or np.ptp(settled) == 0:
        return
    margin = 0.08 * np.ptp(settled)
    ax.set_ylim(settled.min() - margin, settled.max() + margin)
