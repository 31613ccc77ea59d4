"""Maps and profiles: what was observed, mean, spread, and a few draws."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbi_inn.errors import ShapeError
from sbi_inn.plots.panels import width_of
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas, canvas
from sbi_inn.typing import AnyArray, FloatArray

_MAP = "viridis"
_SPREAD = "magma"
_UNSEEN = "#DDDDDD"
_PANEL_MM = 45.0
_BANDS = ((0.025, 0.975, 0.2), (0.16, 0.84, 0.35))


def plot_field(
    draws: AnyArray,
    *,
    observed: Mapping[str, FloatArray] | None = None,
    truth: FloatArray | None = None,
    label: str = "field",
    units: str = "",
    shown: int = 3,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot draws of a map, panel by panel, or of a profile, as a band.

    Parameters
    ----------
    draws : array, shape (m, height, width) or (m, n)
    observed : mapping of str to array, optional
        What was observed, by label: images or profiles; NaN where nothing was seen.
    truth : array, shape (height, width) or (n,), optional
    label, units : str
        Of the field.
    shown : int
        Draws that are shown by themselves.
    width_mm : float
        Width on paper.
    fig : Figure or SubFigure, optional
        Draw into it, whatever `width_mm` is.

    Raises
    ------
    ShapeError
        If the draws are no maps and no profiles.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> figure = plot_field(rng.standard_normal((100, 8, 8)), label="sky")
    >>> [axes.get_title() for axes in figure.axes if axes.get_title()]
    ['mean of sky', 'sd of sky', 'draw 1', 'draw 2', 'draw 3']
    """
    if draws.ndim not in (2, 3) or not len(draws):
        raise ShapeError(
            "expected draws of a map (m, height, width) or a profile (m, n); got shape "
            f"{draws.shape}"
        )
    observed = observed or {}
    named = f"{label} [{units}]" if units else label
    if draws.ndim == 2:
        return _profile(draws, observed, truth, named, shown, width_mm, fig)
    return _map(draws, observed, truth, named, shown, width_mm, fig)


def _map(
    draws: AnyArray,
    observed: Mapping[str, FloatArray],
    truth: FloatArray | None,
    label: str,
    shown: int,
    width_mm: float,
    fig: Canvas | None,
) -> Figure:
    mean = draws.mean(axis=0)
    panels: list[tuple[str, AnyArray, str, tuple[float, float] | None]] = [
        (name, image, _MAP, None) for name, image in observed.items() if image.ndim == 2
    ]
    of_field = [mean, *draws[:shown], *([] if truth is None else [truth])]
    ends = float(min(map(np.min, of_field))), float(max(map(np.max, of_field)))
    if truth is not None:
        panels.append((f"true {label}", truth, _MAP, ends))
    panels += [(f"mean of {label}", mean, _MAP, ends)]
    panels += [(f"sd of {label}", draws.std(axis=0), _SPREAD, None)]
    panels += [(f"draw {i + 1}", draws[i], _MAP, ends) for i in range(min(shown, len(draws)))]
    most = max(1, int(width_of(fig, width_mm) // _PANEL_MM))
    rows = -(-len(panels) // most)
    columns = -(-len(panels) // rows)
    with canvas(fig, width_mm, 0.9 * rows * width_mm / columns) as figure:
        for number, (title, image, colours, limits) in enumerate(panels):
            axes = figure.add_subplot(rows, columns, number + 1)
            _image(figure, axes, title, image, colours, limits)
    return figure


def _image(
    figure: Figure,
    axes: Axes,
    title: str,
    image: FloatArray,
    colours: str,
    limits: tuple[float, float] | None,
) -> None:
    low, high = limits or (None, None)
    shown = axes.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    axes.set_facecolor(_UNSEEN)  # shows where there is NaN
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)


def _profile(
    draws: AnyArray,
    observed: Mapping[str, FloatArray],
    truth: FloatArray | None,
    label: str,
    shown: int,
    width_mm: float,
    fig: Canvas | None,
) -> Figure:
    data = {name: values for name, values in observed.items() if values.ndim == 1}
    columns = 1 + bool(data)
    with canvas(fig, width_mm, 0.6 * width_mm / columns) as figure:
        if data:
            axes = figure.add_subplot(1, columns, 1)
            for (name, values), colour in zip(data.items(), COLOURS, strict=False):
                axes.plot(values, ".", color=colour, markersize=2.5, label=name)
            axes.set_title("observed")
            axes.legend()
        axes = figure.add_subplot(1, columns, columns)
        place = np.arange(draws.shape[1])
        for low, high, alpha in _BANDS:
            ends = np.quantile(draws, [low, high], axis=0)
            said = f"{100 * (high - low):.0f} % interval"
            axes.fill_between(place, *ends, color=COLOURS[0], alpha=alpha, linewidth=0, label=said)
        axes.plot(place, draws[:shown].T, color=GREY, linewidth=0.5)
        axes.plot(place, draws.mean(axis=0), color=COLOURS[0], label="mean")
        if truth is not None:
            axes.plot(place, truth, color=COLOURS[1], label="truth")
        axes.set_title(label)
        axes.legend()
    return figure
