"""Marginals of draws on given axes: histograms of one parameter, regions by mass of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch
from scipy.ndimage import gaussian_filter

from sbi_inn.plots.axes import Span, is_constant
from sbi_inn.plots.style import GREY
from sbi_inn.typing import FloatArray, IntArray

LEVELS = (0.393, 0.865)
"""Shares of the draws that regions hold by default: what 1 and 2 sigma hold of two Gaussians."""

MOST_LEVELS = 4
"""Regions that are told apart by their shade."""

_PALEST, _FULLEST = 0.15, 0.35  # opacity of the largest region, and of the smallest one
_TAIL = 0.001  # share of draws beyond either end of an axis, so that one outlier does not set it
_FEW = 50  # draws, below which a contour would be invention
_BIN_COUNTS = (10, 14, 20, 28, 40, 56, 80)  # of histograms, from which one is chosen
_MOST_PRIOR_BINS = 100
_BINS_2D = 100  # along each axis of a pair
_BARS = 100  # values of a discrete parameter at most that get a bar each; more share bins
_WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)  # of the smoothing, in bins
_NEIGHBOURS = 150  # draws under the kernel of one, so that a region's edge is smooth,
_NEIGHBOUR_SHARE = 0.1  # or this share of all, if that is less
_SPREAD = 0.1  # of the range of the draws, by which smoothing may reach beyond it


def span_of(values: FloatArray) -> Span:
    """Return the range of the draws, without .1 % at either end.

    No margin: where draws pile up at a bound of the prior, histograms and contours end there.
    """
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def bars(values: FloatArray) -> FloatArray | None:
    """Return the ends of one bar for each whole number among the draws.

    None where there would be more than a hundred: then several whole numbers share a bin.
    """
    span = span_of(values)
    return whole_edges(span, 1) if _whole_numbers(span) <= _BARS else None


def whole_edges(span: Span, step: int) -> FloatArray:
    """Return the ends of bins that hold `step` whole numbers each, and meet halfway between two.

    The last one holds up to half as many more or fewer, so that none lies beyond the span.

    Examples
    --------
    >>> whole_edges((3, 9), 3)
    array([2.5, 5.5, 9.5])
    """
    count = _whole_numbers(span)
    first = np.floor(span[0]) - 0.5
    edges = first + step * np.arange(max(round(count / step), 1) + 1.0)
    edges[-1] = first + count
    return edges


def _whole_numbers(span: Span) -> int:
    """Count the whole numbers in a span, its ends rounded outwards."""
    return int(np.ceil(span[1]) - np.floor(span[0])) + 1


def draw_histogram(ax: Axes, values: FloatArray, colour: str, *, discrete: bool = False) -> float:
    """Draw the density of one parameter; a constant is a line.

    Where it is `discrete`, the probability of each value.

    Returns
    -------
    float
        The largest density, 0 for a constant.
    """
    if is_constant(*span_of(values)):
        ax.axvline(float(np.median(values)), color=colour)
        return 0.0
    edges = bars(values) if discrete else None
    if edges is None:
        counts, edges = best_histogram(values, span_of(values), discrete=discrete)
    else:
        counts, _ = np.histogram(values, edges)
    density = counts / (len(values) * np.diff(edges))
    ax.stairs(density, edges, fill=True, color=colour, alpha=0.2, linewidth=0)
    ax.stairs(density, edges, color=colour, linewidth=0.8)
    return float(density.max())


def best_histogram(
    values: FloatArray, span: Span, *, discrete: bool = False
) -> tuple[IntArray, FloatArray]:
    """Return counts and edges of the histogram whose density is closest to the true one.

    Closest in integrated squared error, which cross-validation estimates: Rudemo (1982),
    Scandinavian Journal of Statistics 9, 65. Bins of a `discrete` parameter hold equally many whole
    numbers: else some would hold one more than their neighbours, and stand out like teeth.
    """
    m = len(values)

    def risk(histogram: tuple[IntArray, FloatArray]) -> float:
        counts, edges = histogram
        p, widths = counts / m, np.diff(edges)
        left_out = 2 * np.sum(p * (counts - 1) / widths) / max(m - 1, 1)
        return float(np.sum(p**2 / widths) - left_out)

    if discrete:
        steps = {max(round(_whole_numbers(span) / bins), 1) for bins in _BIN_COUNTS}
        choices = [whole_edges(span, step) for step in sorted(steps, reverse=True)]
    else:
        choices = [np.linspace(*span, bins + 1) for bins in _BIN_COUNTS]
    return min((np.histogram(values, edges) for edges in choices), key=risk)


def draw_prior(ax: Axes, prior: FloatArray, span: Span, *, discrete: bool = False) -> float:
    """Draw the prior's density inside `span` as a thin grey line.

    Where the parameter is `discrete`, the probability of each value inside.

    Its bins are as wide as the prior's own spread warrants (Freedman and Diaconis), so that
    the few draws inside a narrow posterior's axis give a steady line.

    Returns
    -------
    float
        The largest density drawn.
    """
    low, high = max(span[0], float(prior.min())), min(span[1], float(prior.max()))
    inside = prior[(prior >= low) & (prior <= high)]
    if high <= low or (discrete and not len(inside)):
        return 0.0
    edges = bars(inside) if discrete else None
    if edges is None:
        spread = float(np.subtract(*np.quantile(prior, [0.75, 0.25])))
        width = 2 * spread * len(prior) ** (-1 / 3) or high - low
        bins = int(np.clip(round((high - low) / width), 1, _MOST_PRIOR_BINS))
        edges = _even_edges((low, high), bins, discrete=discrete)
    counts, _ = np.histogram(prior, edges)
    density = counts / (len(prior) * np.diff(edges))
    ax.stairs(density, edges, color=GREY, linewidth=0.7)
    return float(density.max())


def draw_pair(
    ax: Axes,
    x: FloatArray,
    y: FloatArray,
    colour: str,
    *,
    discrete: tuple[bool, bool] = (False, False),
    supports: Sequence[Span | None] = (None, None),
    levels: Sequence[float] = LEVELS,
) -> bool:
    """Draw the smallest regions that hold some shares of the draws of two parameters.

    From a fine histogram, smoothed inside the range of the draws or, where the `supports` are
    known, a little beyond it inside them; where a parameter is `discrete`, from one that has
    a bar for each of its values or, of more than a hundred values, bins of several whole numbers.
    Few draws, or a constant parameter, are drawn as points.

    Returns
    -------
    bool
        Whether these are regions.
    """
    if len(x) < _FEW or is_constant(*span_of(x)) or is_constant(*span_of(y)):
        ax.plot(x, y, "o", color=colour, markersize=1.5, markeredgewidth=0, rasterized=True)
        return False
    own = [bars(v) if whole else None for v, whole in zip((x, y), discrete, strict=True)]
    reaches = [_reach(v, support) for v, support in zip((x, y), supports, strict=True)]
    fine = [
        _even_edges(reach, _BINS_2D, discrete=whole)
        for reach, whole in zip(reaches, discrete, strict=True)
    ]
    edges = [f if bar is None else bar for bar, f in zip(own, fine, strict=True)]
    counts, _, _ = np.histogram2d(x, y, bins=edges)
    # The last bin of whole numbers may be wider or narrower. What is smoothed is the density, so
    # that a change of width is none of density.
    areas = np.outer(*map(np.diff, edges))
    smooth = smoothed(counts * areas[0, 0] / areas, tuple(k for k in (0, 1) if own[k] is None))
    density = smooth / areas[0, 0]
    if own[0] is own[1] is None:
        _draw_contours(ax, edges, density, _heights(counts, density, len(x), levels), colour)
    else:
        _draw_cells(ax, edges, counts, density, colour, levels)
    return True


def _even_edges(span: Span, bins: int, *, discrete: bool) -> FloatArray:
    """Return the ends of so many bins; of fewer, where they hold equally many whole numbers."""
    if discrete:
        return whole_edges(span, int(np.ceil(_whole_numbers(span) / bins)))
    return np.linspace(*span, bins + 1)


def _reach(values: FloatArray, support: Span | None) -> Span:
    """Return where draws may be spread by smoothing: not beyond the support, if it is known."""
    low, high = span_of(values)
    if support is None:
        return low, high
    margin = _SPREAD * (high - low)
    return max(low - margin, min(low, support[0])), min(high + margin, max(high, support[1]))


def checked_levels(levels: Sequence[float]) -> list[float]:
    """Give the shares of draws that regions are to hold, the smallest first.

    Raises
    ------
    ValueError
        If one is not between 0 and 1, two are equal, or they are none or more than four.
    """
    found = sorted(float(level) for level in levels)
    inside = all(0 < level < 1 for level in found)
    if not (inside and 1 <= len(set(found)) == len(found) <= MOST_LEVELS):
        raise ValueError(
            f"levels must be 1 to {MOST_LEVELS} different shares between 0 and 1, such as "
            f"(0.5, 0.9); got {levels!r:.80}"
        )
    return found


def _alphas(levels: int) -> FloatArray:
    """Give the opacity of each of so many regions, the smallest one first."""
    return np.linspace(_FULLEST, _PALEST, levels) if levels > 1 else np.array([_FULLEST])


def region_patches(colour: str = GREY, levels: Sequence[float] = LEVELS) -> list[Patch]:
    """Return what the legend of pairs shows: which share of the draws a region holds."""
    look = {"edgecolor": colour, "linewidth": 0.7}
    return [
        Patch(facecolor=to_rgba(colour, alpha), label=f"{100 * mass:g} % of draws", **look)
        for mass, alpha in zip(levels, _alphas(len(levels)), strict=True)
    ]


def _heights(
    counts: FloatArray, density: FloatArray, m: int, levels: Sequence[float]
) -> FloatArray:
    """Return the densities above which these shares of m draws lie, increasing."""
    densest_first = np.argsort(density, axis=None)[::-1]
    held = np.cumsum(counts.ravel()[densest_first]) / m
    last = np.minimum(np.searchsorted(held, levels[::-1]), held.size - 1)
    heights = density.ravel()[densest_first][last]
    for i in range(len(heights) - 2, -1, -1):  # where draws pile up they are the same
        heights[i] = min(heights[i], heights[i + 1] * (1 - 1e-9))
    return heights


def _draw_contours(
    ax: Axes, edges: list[FloatArray], density: FloatArray, heights: FloatArray, colour: str
) -> None:
    """Fill and outline where the density is above each height, up to the ends of the histogram."""
    # The centres of the bins, their outer edges, and a line of zeros just beyond.
    points = []
    for ends in edges:
        beyond = 1e-6 * (ends[-1] - ends[0])
        middle = (ends[1:] + ends[:-1]) / 2
        points.append([ends[0] - beyond, ends[0], *middle, ends[-1], ends[-1] + beyond])
    padded = np.pad(np.pad(density, 1, mode="edge"), 1).T
    fills = [to_rgba(colour, alpha) for alpha in _alphas(len(heights))[::-1]]
    ax.contourf(*points, padded, [*heights, np.inf], colors=fills)
    ax.contour(*points, padded, heights, colors=colour, linewidths=0.7)


def _draw_cells(
    ax: Axes,
    edges: list[FloatArray],
    counts: FloatArray,
    density: FloatArray,
    colour: str,
    levels: Sequence[float],
) -> None:
    """Fill the cells of a histogram that hold these shares of the draws, densest first."""
    densest_first = np.argsort(density, axis=None)[::-1]
    held = np.cumsum(counts.ravel()[densest_first]) / counts.sum()
    before = np.append(0.0, held[:-1])
    alpha = np.zeros(counts.size)
    alpha[densest_first] = np.select(
        [before < mass for mass in levels], list(_alphas(len(levels))), 0.0
    )
    filled = np.empty((*counts.T.shape, 4))
    filled[...] = to_rgba(colour)
    filled[..., 3] = np.where(density > 0, alpha.reshape(counts.shape), 0.0).T
    ax.pcolormesh(*edges, filled, linewidth=0, rasterized=True)


def smoothed(counts: FloatArray, along: tuple[int, ...] = (0, 1)) -> FloatArray:
    """Smooth a histogram along its axes: a little where draws are many, more where they are few.

    Each draw is spread by the width of `best_smoothing`, or by as much more as it takes to have 150
    draws (or a tenth of all) under its kernel: tails are then as smooth as the middle, and thin
    ridges stay thin. Nothing leaves the histogram: it is mirrored at its ends.

    References
    ----------
    Breiman, Meisel and Purcell (1977), Technometrics 19, 135: widths from nearest neighbours.
    """
    if not along:
        return counts
    least = best_smoothing(counts, along)
    wanted = min(_NEIGHBOURS, _NEIGHBOUR_SHARE * counts.sum())
    result, left = np.zeros_like(counts), counts.copy()
    widths = [width for width in _WIDTHS if width >= least]
    for width in widths:
        cells = (2 * np.sqrt(np.pi) * width) ** len(along)  # under the kernel, as if it were flat
        enough = cells * gaussian_filter(counts, width, axes=along) >= wanted
        ready = np.where(enough | (width == widths[-1]), left, 0.0)
        result += gaussian_filter(ready, width, axes=along)
        left -= ready
    return result


def best_smoothing(counts: FloatArray, along: tuple[int, ...] | None = None) -> float:
    """Return the width of the Gaussian, in bins, with which to smooth a histogram along its axes.

    It makes the histogram closest to the density in integrated squared error, estimated by leaving
    out each draw in turn: broad for a Gaussian, narrow for thin curved shapes.

    References
    ----------
    Bowman (1984), Biometrika 71, 353.
    """
    m = counts.sum()
    unit = np.zeros_like(counts)
    centre = tuple(size // 2 for size in counts.shape)
    unit[centre] = 1.0

    def risk(width: float) -> float:
        smooth = gaussian_filter(counts, width, axes=along)
        own = gaussian_filter(unit, width, axes=along)[centre]  # what a draw adds to its own bin
        left_out = np.sum(counts * (smooth - own)) / (m * (m - 1))
        return float(np.sum(smooth**2) / m**2 - 2 * left_out)

    # Cross-validation errs on the ragged side: one step above its choice.
    best = min(_WIDTHS[:-1], key=risk)
    return _WIDTHS[_WIDTHS.index(best) + 1]
