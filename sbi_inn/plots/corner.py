"""The corner plot: marginals of one and two parameters, several sets of draws overlaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any, TypeVar, cast

import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sbi_inn.draws import Column, columns_of, flat, make_draws
from sbi_inn.errors import ShapeError
from sbi_inn.plots.axes import Span, dress_axis, widened
from sbi_inn.plots.marginals import (
    LEVELS,
    checked_levels,
    draw_histogram,
    draw_pair,
    draw_prior,
    region_patches,
    span_of,
)
from sbi_inn.plots.panels import lay_out, width_of
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas, canvas, check_width
from sbi_inn.typing import FloatArray

_T = TypeVar("_T")
Values = dict[str, FloatArray]  # draws by the name of their column

_NARROWEST_MM = 6.0  # of a panel and its share of the margins
_TRUTH: dict[str, Any] = {"color": "black", "linewidth": 0.6, "linestyle": "--"}


def corner(
    draws: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    truth: Mapping[str, Any] | xr.Dataset | None = None,
    prior: Mapping[str, Any] | xr.Dataset | None = None,
    names: Sequence[str] | None = None,
    labels: Mapping[str, str] | Sequence[str] | None = None,
    levels: Sequence[float] = LEVELS,
    width_mm: float = DOUBLE_COLUMN_MM,
    fig: Canvas | None = None,
) -> Figure:
    """Plot the marginals of every parameter and every pair.

    The diagonal shows histograms, normalised to densities. The panels below it show the smallest
    regions that hold 39.3 % and 86.5 % of the draws (as the 1 and 2 sigma regions of two Gaussian
    parameters do), or what `levels` says. Bins and smoothing are chosen by cross-validation; few
    draws are smoothed more, but never beyond the range of the prior's draws. If there are fewer
    than 50 draws, or a parameter is constant, the draws themselves are shown. A discrete parameter
    (integers) has a bar for each value, as high as its probability, and pairs with it are smoothed
    along the other axis only. If it has more than 100 values, each bin but the last holds as many
    of them as the others. Axes span the draws of all sets, except for .1 % at either end.

    Parameters
    ----------
    draws : xarray.Dataset, or mapping of label to Dataset
        One or several sets of draws, such as ``{"cINN": draws, "ABC": other}``. Shown are the
        parameters that all sets have, in the order of the first.
    truth : mapping of name to value, or Dataset, optional
        True parameters, drawn in black; for a vector parameter, an array. Names that are not shown
        are ignored.
    prior : Dataset, or mapping of name to array, optional
        Draws of the prior, whose density is drawn in grey on the diagonal. Without it, regions
        end where the draws do.
    names : sequence of str, optional
        Variables (``"theta"``) or columns (``"theta[0]"``) to show, in this order.
    labels : mapping of str to str, or sequence of str, optional
        Labels of some columns by name, or of all that are shown, for this figure. By default those
        of the draws, which a `Problem` states once for all figures and tables.
    levels : sequence of 1 to 4 floats
        Shares of the draws inside the regions, each between 0 and 1.
    width_mm : float
        Width on paper: 180 for two columns, 85 for one. With many parameters the figure is wider if
        needed, to give 6 mm to each.
    fig : Figure or SubFigure, optional
        Draw into it; `width_mm` is then ignored.

    Returns
    -------
    matplotlib.figure.Figure
        Save it with ``.savefig("corner.pdf")``.

    Raises
    ------
    ShapeError
        If the sets share no parameter, a name is unknown, draws are missing or not finite, none of
        the parameters of `truth` or `prior` is shown, or `labels` do not fit what is shown.
    ValueError
        If `width_mm` is not positive, or `levels` are not between 0 and 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draws = make_draws({"x": rng.normal(size=500), "y": rng.normal(size=500)})
    >>> len(corner(draws, truth={"x": 0, "y": 0}).axes)
    3
    """
    sets = {"posterior": draws} if isinstance(draws, xr.Dataset) else dict(draws)
    columns = _relabelled(_shown_columns(sets, names), labels)
    layers = [_checked(label, one, columns) for label, one in sets.items()]
    truths = {} if truth is None else _shown("truth", _truth_by_column(truth), columns)
    priors = {} if prior is None else _shown("prior", _prior_by_column(prior), columns)
    d = len(columns)
    check_width(width_mm)
    levels = checked_levels(levels)
    width_mm = max(width_of(fig, width_mm), _NARROWEST_MM * d)
    with canvas(fig, width_mm, width_mm * (0.7 if d == 1 else 1.0)) as figure:
        regions = _draw_panels(figure, columns, layers, truths, priors, levels)
        handles = _handles(list(sets), bool(truths), bool(priors))
        handles += region_patches(levels=levels) if regions else []
        if handles and d == 1:
            figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        elif handles:
            figure.legend(handles=handles, loc="upper right")
    return figure


def _relabelled(
    columns: tuple[Column, ...], labels: Mapping[str, str] | Sequence[str] | None
) -> tuple[Column, ...]:
    """Give columns other labels."""
    if labels is None:
        return columns
    names = [column.name for column in columns]
    if not isinstance(labels, Mapping):
        if isinstance(labels, str) or len(labels) != len(names):
            raise ShapeError(
                f"expected labels for {', '.join(names)}, one for each or a dict by name; got "
                f"{labels!r:.80}"
            )
        labels = dict(zip(names, labels, strict=True))
    unknown = [name for name in labels if name not in names]
    if unknown:
        raise ShapeError(
            f"expected labels of some of {', '.join(names)}; got {', '.join(map(repr, unknown))}"
        )
    return tuple(replace(c, label=labels.get(c.name, c.label)) for c in columns)


def _shown_columns(
    sets: Mapping[str, xr.Dataset], names: Sequence[str] | None
) -> tuple[Column, ...]:
    """Return the columns all sets share, or those asked for."""
    if not sets:
        raise ShapeError("corner: at least one set of draws is needed; got an empty mapping")
    columns_by_set = {label: columns_of(draws) for label, draws in sets.items()}
    first, *others = columns_by_set.values()
    shared = set(column.name for column in first).intersection(
        *({column.name for column in columns} for columns in others)
    )
    columns = tuple(column for column in first if column.name in shared)
    if not columns:
        found = {label: [c.name for c in columns] for label, columns in columns_by_set.items()}
        raise ShapeError(f"corner: the sets of draws share no parameter; got {found}")
    if names is None:
        return columns
    return chosen(columns, names)


def chosen(columns: tuple[Column, ...], names: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of these names, each of a variable or of a column.

    Raises
    ------
    ShapeError
        If one is unknown, or there are none.
    """
    if isinstance(names, str):
        names = [names]
    known = {column.name for column in columns} | {column.variable for column in columns}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ShapeError(
            f"names must be among {[column.name for column in columns]}; "
            f"got {list(unknown) or 'none'}"
        )
    asked = (c for name in names for c in columns if name in (c.name, c.variable))
    return tuple(dict.fromkeys(asked))


def _by_column(draws: xr.Dataset) -> Values:
    """Return one array a column."""
    names, array = flat(draws)
    return dict(zip(names, array.T, strict=True))


def _checked(label: str, draws: xr.Dataset, columns: Sequence[Column]) -> Values:
    """Return one array a column shown, all finite and not empty."""
    by_name = _by_column(draws)
    for name in (column.name for column in columns):
        array = by_name[name]
        bad = np.count_nonzero(~np.isfinite(array))
        if bad or array.size == 0:
            raise ShapeError(
                f"corner: draws of {name!r} in {label!r} must be finite and at least one; "
                f"got {array.size} draws, {bad} not finite"
            )
    return by_name


def _prior_by_column(prior: Mapping[str, Any] | xr.Dataset) -> Values:
    """Return the prior's draws, one array a column."""
    return _by_column(prior if isinstance(prior, xr.Dataset) else make_draws(prior))


def _truth_by_column(truth: Mapping[str, Any] | xr.Dataset) -> dict[str, float]:
    """Return the true values, one a column."""
    one_draw = {str(name): np.asarray(value)[None] for name, value in truth.items()}
    truths = {name: float(value[0]) for name, value in _by_column(make_draws(one_draw)).items()}
    if not np.all(np.isfinite(list(truths.values()))):
        raise ShapeError(f"corner: true values must be finite; got {truths}")
    return truths


def _shown(role: str, by_column: dict[str, _T], columns: Sequence[Column]) -> dict[str, _T]:
    """Keep what belongs to the columns shown, at least one."""
    kept = {c.name: by_column[c.name] for c in columns if c.name in by_column}
    if not kept:
        raise ShapeError(
            f"corner: {role} must name at least one of {[column.name for column in columns]}; "
            f"got {list(by_column)}"
        )
    return kept


def _span(column: Column, layers: Sequence[Values], truths: Mapping[str, float]) -> Span:
    """Return the ends of an axis that shows all sets, and the truth wherever it lies."""
    name, bar = column.name, 0.5 if column.discrete else 0.0
    spans = [span_of(values[name]) for values in layers]
    ends = [end for low, high in spans for end in (low - bar, high + bar)]
    ends += [truths[name]] if name in truths else []
    return widened(min(ends), max(ends))


def _draw_panels(
    figure: Figure,
    columns: Sequence[Column],
    layers: Sequence[Values],
    truths: Mapping[str, float],
    priors: Values,
    levels: Sequence[float],
) -> bool:
    """Draw the diagonal and the triangle below it; say whether any regions are drawn."""
    d = len(columns)
    cells = figure.add_gridspec(d, d)
    spans = {column.name: _span(column, layers, truths) for column in columns}
    panels, regions = [], False
    for row, col in zip(*map(list, np.tril_indices(d)), strict=True):
        ax = figure.add_subplot(cells[row, col])
        panels.append((ax, columns[col], columns[row]))
        ax.set_xlim(spans[columns[col].name])
        if row == col:
            _draw_diagonal(ax, columns[col], layers, priors, truths)
        else:
            ax.set_ylim(spans[columns[row].name])
            pair = columns[col], columns[row]
            regions |= _draw_off_diagonal(ax, pair, layers, priors, truths, levels)
    # Labels take room from the panels, and the panels' size decides which labels fit.
    _dress(panels, 72 / 25.4 * width_of(figure) / (d + 0.5))
    _dress(panels, lay_out([panels[-1][0]]))
    return regions


def _draw_diagonal(
    ax: Axes,
    column: Column,
    layers: Sequence[Values],
    priors: Values,
    truths: Mapping[str, float],
) -> None:
    """Draw the histograms of one parameter, its prior and its true value."""
    name, whole = column.name, column.discrete
    tops = [draw_prior(ax, priors[name], ax.get_xlim(), discrete=whole)] if name in priors else []
    for values, colour in zip(layers, cycle(COLOURS), strict=False):
        tops.append(draw_histogram(ax, values[name], colour, discrete=whole))
    ax.set_ylim(0, 1.1 * max(tops) or 1.0)
    if name in truths:
        ax.axvline(truths[name], **_TRUTH)


def _draw_off_diagonal(
    ax: Axes,
    pair: tuple[Column, Column],
    layers: Sequence[Values],
    priors: Values,
    truths: Mapping[str, float],
    levels: Sequence[float],
) -> bool:
    """Draw two parameters and their true values; say whether any regions are drawn."""
    across, up = pair
    x, y, limits = across.name, up.name, (ax.get_xlim(), ax.get_ylim())
    supports = [(priors[n].min(), priors[n].max()) if n in priors else None for n in (x, y)]
    whole = across.discrete, up.discrete
    regions = [
        draw_pair(
            ax, values[x], values[y], colour, discrete=whole, supports=supports, levels=levels
        )
        for values, colour in zip(layers, cycle(COLOURS), strict=False)
    ]
    ax.set(xlim=limits[0], ylim=limits[1])
    if x in truths:
        ax.axvline(truths[x], **_TRUTH)
    if y in truths:
        ax.axhline(truths[y], **_TRUTH)
    if x in truths and y in truths:
        ax.plot(truths[x], truths[y], "s", color="black", markersize=2.5)
    return any(regions)


def _dress(panels: Sequence[tuple[Axes, Column, Column]], room_pt: float) -> None:
    """Set ticks everywhere, their labels and the axis labels on the outer panels."""
    for ax, across, up in panels:
        dress_axis(ax.xaxis, ax.get_xlim(), room_pt, across)
        if across is up:
            ax.yaxis.set_visible(False)
        else:
            dress_axis(ax.yaxis, ax.get_ylim(), room_pt, up)
        ax.label_outer()
    cast(Figure, panels[0][0].figure).align_labels([ax for ax, _, _ in panels])


def _handles(labels: Sequence[str], has_truth: bool, has_prior: bool) -> list[Artist]:
    """Return what the legend says of the colours; a single set alone needs no name."""
    coloured = zip(labels, cycle(COLOURS), strict=False)
    handles = [Line2D([], [], color=colour, linewidth=2, label=label) for label, colour in coloured]
    if has_prior:
        handles.append(Line2D([], [], color=GREY, linewidth=0.7, label="prior"))
    if has_truth:
        handles.append(Line2D([], [], **_TRUTH, marker="s", markersize=2.5, label="truth"))
    return [] if len(handles) == 1 else list(handles)
