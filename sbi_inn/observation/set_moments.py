"""Summarise sets, series and images by a few numbers: moments, quantiles, order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from sbi_inn.observation.batch import PaddedSet
from sbi_inn.observation.image import Grid
from sbi_inn.typing import BoolArray, FloatArray, IntArray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the entries of a set: the middle, the bulk and the tails."""

PROFILE = 16
"""Quantiles that tell the shape of a law, whatever its place and width."""

LAGS = (1, 2, 5)
"""Entries of a series, over which its autocorrelation is taken: next ones, and a little apart."""

FURTHER_LAGS = (3, 4, 6, 7, 8, 9, 10, 11, 12)
"""The others up to a dozen: a season, such as a week or a year of months, shows at its own lag."""

DIFFERENCES = 3
"""How often differences of neighbours are taken: what is left of a smooth series is its noise."""

QUARTERS = 4
"""Parts of a series whose means say how it changes."""

BLOCKS = 4
"""Parts of an image along each side."""

_SHAPED_FROM = 4
"""Entries of a set: with fewer the kurtosis is the same number whatever they are."""

_ROUNDING = 1e-12
"""Of the mean: a deviation below it is what rounding leaves of a constant."""

_PIECE = 100_000
"""Numbers that are summed up at once: as many as stay in the cache of a processor."""

_quantiles = tuple("median of" if q == 0.5 else f"{100 * q:.0f} % quantile of" for q in QUANTILES)
DESCRIBED = ("mean of", "sd of", *_quantiles)
SHAPES = ("skewness of", "kurtosis of", "smallest", "largest")
FURTHER_ORDER = tuple(f"autocorrelation at lag {lag} of" for lag in FURTHER_LAGS)
ORDER = (
    *(f"autocorrelation at lag {lag} of" for lag in LAGS),
    *(f"mean of quarter {quarter + 1} of" for quarter in range(QUARTERS)),
)


def in_pieces(padded: PaddedSet, *summaries: Callable[[PaddedSet], FloatArray]) -> FloatArray:
    """Sum up a batch some rows at a time, which takes a fraction of the time and memory.

    Parameters
    ----------
    padded : PaddedSet
    *summaries : callable
        Of this module: each row of what they give depends on that row alone. What they give comes
        side by side.
    """
    n, *each = padded.values.shape
    pieces = max(1, min(n // 2, n * math.prod(each) // _PIECE))
    edges = np.linspace(0, n, pieces + 1).astype(int)
    found = []
    for first, last in itertools.pairwise(edges):
        piece = PaddedSet(padded.values[first:last], padded.sizes[first:last])
        found.append(np.hstack([summary(piece) for summary in summaries]))
    return np.concatenate(found)


def describe(padded: PaddedSet) -> FloatArray:
    """Mean, standard deviation and quantiles of the columns, shape (batch, 7 * columns).

    Of the entries that are there; NaN where none is.
    """
    found = _moments(padded)
    counts = found.counts
    parts = [found.mean, found.deviation, *_quantiles_of(found, QUANTILES)]
    return np.concatenate([np.where(counts > 0, part, np.nan) for part in parts], axis=1)


def profile(padded: PaddedSet) -> FloatArray:
    """Place, log width and shape of the law of each column, shape (batch, 18 * columns).

    Of 16 evenly spaced quantiles: the place is their median, the width their standard deviation,
    and the shape are the quantiles less the place, over the width. A set in other units, or
    somewhere else, has the same shape: networks need not learn it at each place and width anew.
    NaN where nothing is there.

    Examples
    --------
    >>> sets = np.array([[1.0, 2.0, 4.0], [10.0, 20.0, 40.0]])[:, :, None]
    >>> found = profile(PaddedSet(sets, np.array([3, 3])))
    >>> found[:, :2].round(2)
    array([[ 2.03, -0.13],
           [20.31,  2.17]])
    >>> bool(np.allclose(*found[:, 2:]))
    True
    """
    found = _moments(padded)
    counts, levels = found.counts, np.linspace(0.5 / PROFILE, 1 - 0.5 / PROFILE, PROFILE)
    quantiles = np.stack(_quantiles_of(found, levels))
    middle, spread = np.median(quantiles, axis=0), quantiles.std(axis=0)
    varies = spread > _ROUNDING * np.abs(middle)
    spread = np.where(varies, spread, _ROUNDING * np.abs(middle) + np.finfo(float).tiny)
    shapes = np.where(varies, (quantiles - middle) / spread, 0.0)
    parts = [middle, np.log(spread), *shapes]
    return np.concatenate([np.where(counts > 0, part, np.nan) for part in parts], axis=1)


def _quantiles_of(found: _Moments, levels: Iterable[float]) -> list[FloatArray]:
    """Quantiles of the entries that are there, (batch, columns) for each level."""
    ordered = np.sort(np.where(found.there, found.values, np.inf), axis=2)  # the rest comes last
    ordered[np.isinf(ordered)] = 0.0
    last, quantiles = np.maximum(found.counts - 1, 0)[:, :, None], []
    for level in levels:
        position = level * last
        low = np.floor(position).astype(np.int64)
        below = np.take_along_axis(ordered, low, axis=2)[:, :, 0]
        above = np.take_along_axis(ordered, np.minimum(low + 1, last), axis=2)[:, :, 0]
        between = (position - low)[:, :, 0]
        quantiles.append(np.asarray((1 - between) * below + between * above, np.float64))
    return quantiles


def shape(padded: PaddedSet) -> FloatArray:
    """Skewness, excess kurtosis and extremes of the columns, shape (batch, 4 * columns)."""
    _, _, counts, mean, centred, deviation = _moments(padded)
    some = np.maximum(counts, 1)
    shaped = (deviation > _ROUNDING * np.abs(mean)) & (counts >= _SHAPED_FROM)
    # Padding does not change the extremes either: entries lie on both sides of zero.
    standard = centred / np.where(shaped, deviation, 1.0)[:, :, None]
    square = standard * standard
    skewness = _summed(square, standard) / some
    kurtosis = _summed(square, square) / some - 3
    parts = [
        skewness,
        kurtosis,
        standard.min(axis=2, initial=0.0),
        standard.max(axis=2, initial=0.0),
    ]
    return np.concatenate([np.where(shaped, part, 0.0) for part in parts], axis=1)


def together(padded: PaddedSet) -> FloatArray:
    """Regress each column on the others, shape (batch, columns * (columns + 1)).

    Slopes, then intercept and log residual deviation of each column; nothing where there is one
    column. Of entries of which nothing is missing.

    Examples
    --------
    >>> line = PaddedSet(np.array([[[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]]]), np.array([3]))
    >>> together(line)[:, :4].round(3)  # x on y, y on x; intercepts
    array([[ 0.5,  2. , -0.5,  1. ]])
    """
    columns = padded.values.shape[2]
    if columns == 1:
        return np.empty((len(padded.sizes), 0))
    values = _by_columns(padded.values)
    whole = (padded.mask & ~np.isnan(padded.values).any(axis=2))[:, None]
    counts = np.maximum(whole.sum(axis=2), 1)
    mean = np.where(whole, values, 0.0).sum(axis=2) / counts
    centred = np.where(whole, values - mean[:, :, None], 0.0)
    covariance = centred @ centred.swapaxes(1, 2) / counts[:, :, None]
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    floor = _ROUNDING * (variance + mean**2) + np.finfo(float).tiny
    precision = np.linalg.inv(covariance + floor[:, :, None] * np.eye(columns))
    own = np.diagonal(precision, axis1=1, axis2=2)
    slopes = -precision / own[:, :, None]
    others = ~np.eye(columns, dtype=bool)
    intercept = mean - (np.where(others, slopes, 0.0) * mean[:, None]).sum(axis=2)
    return np.hstack([slopes[:, others], intercept, -0.5 * np.log(own)])


def order(padded: PaddedSet) -> FloatArray:
    """Give what the order of a series says, shape (batch, 7 * columns).

    Autocorrelations of the columns at lags of 1, 2 and 5 entries, 0 where a series is constant or
    no longer than the lag; then the means of its quarters, or its mean where a quarter is empty.

    Examples
    --------
    >>> up_and_down = PaddedSet(np.array([[[1.0], [-1.0], [1.0], [-1.0]]]), np.array([4]))
    >>> order(up_and_down)
    array([[-0.75,  0.5 ,  0.  ,  1.  , -1.  ,  1.  , -1.  ]])
    """
    found = _moments(padded)
    values, there, mean = found.values, found.there, found.mean
    parts = _autocorrelations(found)
    quarter = np.arange(padded.values.shape[1]) * QUARTERS // padded.sizes[:, None]
    for place in range(QUARTERS):
        inside = (quarter == place)[:, None] & there
        count = inside.sum(axis=2)
        total = np.where(inside, values, 0.0).sum(axis=2)
        parts.append(np.where(count > 0, total / np.maximum(count, 1), mean))
    return np.concatenate(parts, axis=1)


def further_order(padded: PaddedSet) -> FloatArray:
    """Autocorrelations at the lags up to 12 that `order` leaves out, shape (batch, 9 * columns).

    Examples
    --------
    >>> weekly = np.tile([[1.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0]], (4, 1))
    >>> further_order(PaddedSet(weekly[None], np.array([28]))).round(2)
    array([[-0.14, -0.15, -0.16,  0.75, -0.09, -0.1 , -0.1 , -0.11, -0.11]])
    """
    return np.concatenate(_autocorrelations(_moments(padded), FURTHER_LAGS), axis=1)


def correlations(padded: PaddedSet) -> FloatArray:
    """Correlations of all pairs of columns of a set, shape (batch, pairs).

    Over the entries of which nothing is missing; 0 where a column does not vary.

    Examples
    --------
    >>> falling = PaddedSet(np.array([[[0.0, 3.0], [1.0, 2.0], [2.0, 1.0]]]), np.array([3]))
    >>> correlations(falling).round(2)
    array([[-1.]])
    """
    whole = padded.mask & ~np.isnan(padded.values).any(axis=2)
    values = np.where(whole[:, :, None], padded.values, np.nan)
    found = _moments(PaddedSet(values, padded.sizes))
    varies = found.deviation > _ROUNDING * np.abs(found.mean)
    unit = found.centred / np.where(varies, found.deviation, 1.0)[:, :, None]
    unit = np.where(varies[:, :, None], unit, 0.0)
    i, j = np.triu_indices(values.shape[2], 1)
    together = (unit @ unit.swapaxes(1, 2))[:, i, j]
    return np.asarray(together / np.maximum(whole.sum(axis=1), 1)[:, None], np.float64)


def changes(padded: PaddedSet) -> FloatArray:
    """Give how much a series changes from entry to entry, shape (batch, 6 * columns).

    Log root mean squares of its first, second and third differences: of a smooth series these are
    sizes of its noise. Then autocorrelations, at lags of 1, 2 and 5 entries, of the distances from
    its mean: of a restless series they say whether large ones come together.

    Examples
    --------
    >>> smooth = np.linspace(0, 1, 5)[:, None]
    >>> rough = np.array([[0.0], [1.0], [0.0], [1.0], [0.0]])
    >>> changes(PaddedSet(np.stack([smooth, rough]), np.array([5, 5])))[:, 0].round(2)
    array([-1.39,  0.  ])
    """
    values, there, _, mean, centred, deviation = _moments(padded)
    floor = _ROUNDING * (np.abs(mean) + deviation) + np.finfo(float).tiny
    gap, known, parts = np.where(there, values, 0.0), there, []
    for _ in range(DIFFERENCES):
        gap, known = np.diff(gap, axis=2), known[:, :, 1:] & known[:, :, :-1]
        gaps = np.where(known, gap, 0.0)
        mean_square = _summed(gaps, gaps) / np.maximum(known.sum(axis=2), 1)
        parts.append(np.log(np.sqrt(mean_square) + floor))
    distances = _moments_of(np.abs(centred), there)
    return np.concatenate([*parts, *_autocorrelations(distances)], axis=1)


def _autocorrelations(found: _Moments, lags: tuple[int, ...] = LAGS) -> list[FloatArray]:
    """Autocorrelations at each lag, (batch, columns) each; 0 where nothing varies."""
    _, _, counts, mean, centred, deviation = found
    varies = deviation > _ROUNDING * np.abs(mean)
    variance = np.where(varies, deviation**2, 1.0) * np.maximum(counts, 1)
    parts = []
    for lag in lags:
        last = max(centred.shape[2] - lag, 0)
        together = _summed(centred[:, :, lag:], centred[:, :, :last])
        parts.append(np.where(varies, together / variance, 0.0))
    return parts


def image(pixels: FloatArray) -> FloatArray:
    """Mean, standard deviation and quantiles of each channel, then its means over 4 x 4 blocks.

    Of a profile, an image of height 1, over its quarters.

    NaN where a pixel is missing in what they sum up.

    Parameters
    ----------
    pixels : array, shape (batch, channels, height, width)

    Returns
    -------
    array, shape (batch, 23 * channels)
        The names of its columns are `image_names`.
    """
    flat = pixels.reshape(*pixels.shape[:2], -1)
    quantiles = np.quantile(flat, QUANTILES, axis=2).transpose(1, 0, 2)
    parts = [flat.mean(axis=2), flat.std(axis=2), quantiles.reshape(len(flat), -1)]
    rows, columns = (
        np.arange(min(BLOCKS, side)) * side // min(BLOCKS, side) for side in pixels.shape[2:]
    )
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=2), columns, axis=3)
    heights, widths = (
        np.diff([*starts, side])
        for starts, side in zip((rows, columns), pixels.shape[2:], strict=True)
    )
    parts.append((sums / np.outer(heights, widths)).reshape(len(flat), -1))
    return np.concatenate(parts, axis=1)


def image_names(name: str, grid: Grid) -> tuple[str, ...]:
    """Name each column of `image`.

    Examples
    --------
    >>> sky = Grid((3, 8, 8))
    >>> image_names("xray", Grid((8, 8)))[:2], image_names("sky", sky)[-1]
    (('mean of xray', 'sd of xray'), 'mean of block [3,3] of sky[2]')
    """
    several = grid.channels > 1
    each = [f"{name}[{channel}]" for channel in range(grid.channels)] if several else [name]
    places = np.ndindex(min(BLOCKS, grid.height), BLOCKS)
    blocks = [f"mean of block [{i},{j}] of" for i, j in places]
    if grid.height == 1:
        blocks = [f"mean of quarter {i + 1} of" for i in range(BLOCKS)]
    described = [f"{label} {channel}" for label in DESCRIBED for channel in each]
    return (*described, *(f"{block} {channel}" for channel in each for block in blocks))


class _Moments(NamedTuple):
    """Of entries that lie together in memory, column by column: sums take far less time so."""

    values: FloatArray
    """Shape (batch, columns, largest)."""
    there: BoolArray
    """Where there is an entry, neither padding nor missing, in the same shape."""
    counts: IntArray
    """How many there are, shape (batch, columns)."""
    mean: FloatArray
    centred: FloatArray
    """Entries minus their mean; zero where there is none, which adds nothing to sums."""
    deviation: FloatArray


def _moments(padded: PaddedSet) -> _Moments:
    values = _by_columns(padded.values)
    return _moments_of(values, padded.mask[:, None] & ~np.isnan(values))


def _moments_of(values: FloatArray, there: BoolArray) -> _Moments:
    counts = there.sum(axis=2)
    some = np.maximum(counts, 1)
    mean = np.where(there, values, 0.0).sum(axis=2) / some
    centred = np.where(there, values - mean[:, :, None], 0.0)
    return _Moments(values, there, counts, mean, centred, np.sqrt(_summed(centred, centred) / some))


def _by_columns(values: FloatArray) -> FloatArray:
    """Put entries (batch, largest, columns) in the order (batch, columns, largest)."""
    return np.ascontiguousarray(values.swapaxes(1, 2))


def _summed(first: FloatArray, second: FloatArray) -> FloatArray:
    """Sum products over entries, shape (batch, columns)."""
    return np.einsum("bcn,bcn->bc", first, second)
