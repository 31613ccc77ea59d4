"""Marginals of draws on given axes: histograms of one parameter, regions by mass of two."""

from __future__ import annotations

import numpy as np
from corner import hist2d
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sbi_inn.plots.style import GREY

Array = NDArray[np.float64]

MASSES = (0.5, 0.9)
_TAIL = 0.001  # share of draws beyond either end of an axis, so that one outlier does not set it
_FEW = 50  # draws, below which a contour would be invention
_BIN_COUNTS = (10, 14, 20, 28, 40, 56, 80)
_BINS_2D = 100
_BARS = 100  # values of a discrete parameter at most that get a bar each
_ALPHAS = (0.35, 0.15)  # of what is filled, for `MASSES`
_WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)  # of the smoothing, in bins


def span_of(values: Array) -> tuple[float, float]:
    """Return the range of the draws, without .1 % at either end.

    No margin: where draws pile up at a bound of the prior, histograms and contours end there.
    """
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def bars(values: Array) -> Array | None:
    """Return the ends of one bar for each whole number among the draws.

    None where the axis would have more than a hundred: then they are as good as continuous.
    """
    low, high = span_of(values)
    edges = np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    return edges if len(edges) <= _BARS + 1 else None


def is_constant(values: Array) -> bool:
    """Say whether the draws agree to about the precision of a float."""
    low, high = span_of(values)
    return high - low <= 1e-9 * max(abs(low), abs(high))


def draw_histogram(ax: Axes, values: Array, colour: str, *, discrete: bool = False) -> float:
    """Draw the density of one parameter; a constant is a line.

    Where it is `discrete`, the probability of each value.

    Returns
    -------
    float
        The largest density, 0 for a constant.
    """
    if is_constant(values):
        ax.axvline(float(np.median(values)), color=colour)
        return 0.0
    edges = bars(values) if discrete else None
    if edges is None:
        counts, edges = best_histogram(values, span_of(values))
    else:
        counts, _ = np.histogram(values, edges)
    density = counts / (len(values) * np.diff(edges))
    ax.stairs(density, edges, fill=True, color=colour, alpha=0.2, linewidth=0)
    ax.stairs(density, edges, color=colour, linewidth=0.8)
    return float(density.max())


def best_histogram(values: Array, span: tuple[float, float]) -> tuple[NDArray[np.int_], Array]:
    """Return counts and edges of the histogram whose density is closest to the true one.

    Closest in integrated squared error, which cross-validation estimates: Rudemo (1982),
    Scandinavian Journal of Statistics 9, 65.
    """
    m = len(values)

    def risk(histogram: tuple[NDArray[np.int_], Array]) -> float:
        counts, edges = histogram
        width = edges[1] - edges[0]
        return (2 - (m + 1) * np.sum((counts / m) ** 2)) / (max(m - 1, 1) * width)

    return min((np.histogram(values, bins, range=span) for bins in _BIN_COUNTS), key=risk)


def draw_prior(
    ax: Axes, prior: Array, span: tuple[float, float], *, discrete: bool = False
) -> float:
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
    if high <= low:
        return 0.0
    shown = bars(prior[(prior >= low) & (prior <= high)]) if discrete else None
    if shown is not None:
        counts, edges = np.histogram(prior, shown)
        ax.stairs(counts / len(prior), edges, color=GREY, linewidth=0.7)
        return float(counts.max() / len(prior))
    spread = float(np.subtract(*np.quantile(prior, [0.75, 0.25])))
    width = 2 * spread * len(prior) ** (-1 / 3) or high - low
    bins = int(np.clip(round((high - low) / width), 1, 100))
    counts, edges = np.histogram(prior, bins, range=(low, high))
    density = counts / (len(prior) * np.diff(edges))
    ax.stairs(density, edges, color=GREY, linewidth=0.7)
    return float(density.max())


def draw_pair(
    ax: Axes, x: Array, y: Array, colour: str, *, discrete: tuple[bool, bool] = (False, False)
) -> None:
    """Draw the smallest regions that hold 50 % and 90 % of the draws of two parameters.

    From a fine histogram, smoothed; where a parameter is `discrete`, from one that has a bar for
    each of its values. Few draws, or a constant parameter, are drawn as points.
    """
    if len(x) < _FEW or is_constant(x) or is_constant(y):
        ax.plot(x, y, "o", color=colour, markersize=1.5, markeredgewidth=0, rasterized=True)
        return
    ends = [bars(v) if whole else None for v, whole in zip((x, y), discrete, strict=True)]
    spans = [span_of(x), span_of(y)]
    if any(one is not None for one in ends):
        fine = (np.linspace(*span, _BINS_2D + 1) for span in spans)
        edges = [f if one is None else one for one, f in zip(ends, fine, strict=True)]
        _draw_cells(ax, x, y, edges, colour, along=tuple(k for k in (0, 1) if ends[k] is None))
        return
    counts, _, _ = np.histogram2d(x, y, _BINS_2D, range=spans)
    smoothing = best_smoothing(counts)
    hist2d(
        x,
        y,
        ax=ax,
        bins=_BINS_2D,
        range=spans,
        levels=_levels(counts, gaussian_filter(counts, smoothing), len(x)),
        smooth=smoothing,
        color=colour,
        quiet=True,
        plot_datapoints=False,
        plot_density=False,
        no_fill_contours=True,
        fill_contours=True,
        contourf_kwargs={
            "colors": [to_rgba(colour, alpha) for alpha in (0, *_ALPHAS[::-1])],
            "antialiased": True,
        },
        contour_kwargs={"colors": colour, "linewidths": 0.7},
    )


def _draw_cells(
    ax: Axes, x: Array, y: Array, edges: list[Array], colour: str, *, along: tuple[int, ...]
) -> None:
    """Fill the cells of a histogram that hold 50 % and 90 % of the draws, densest first.

    It is smoothed along the axes of continuous parameters.
    """
    counts, _, _ = np.histogram2d(x, y, bins=edges)
    smooth = counts
    if along:
        smooth = gaussian_filter(counts, best_smoothing(counts, along), axes=along)
    density = smooth / np.outer(np.diff(edges[0]), np.diff(edges[1]))
    densest_first = np.argsort(density, axis=None)[::-1]
    held = np.cumsum(counts.ravel()[densest_first]) / len(x)
    before = np.append(0.0, held[:-1])
    alpha = np.zeros(counts.size)
    alpha[densest_first] = np.select([before < mass for mass in MASSES], _ALPHAS, 0.0)
    filled = np.empty((*counts.T.shape, 4))
    filled[...] = to_rgba(colour)
    filled[..., 3] = np.where(smooth > 0, alpha.reshape(counts.shape), 0.0).T
    ax.pcolormesh(*edges, filled, linewidth=0, rasterized=True)


def _levels(counts: Array, smooth: Array, m: int) -> Array:
    """Return which shares of a smoothed histogram hold 50 % and 90 % of m draws.

    Smoothing spreads the histogram: the region with half of the smoothed mass would hold more than
    half of the draws.
    """
    densest_first = np.argsort(smooth, axis=None)[::-1]
    held = np.cumsum(counts.ravel()[densest_first]) / m
    smooth_mass = np.cumsum(smooth.ravel()[densest_first]) / smooth.sum()
    last = np.minimum(np.searchsorted(held, MASSES), held.size - 1)
    return smooth_mass[last]


def best_smoothing(counts: Array, along: tuple[int, ...] | None = None) -> float:
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
