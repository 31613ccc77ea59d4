"""Find the top of a density that can only be evaluated, or only drawn from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import cdist

from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray

ROUNDS = 60  # of steps, at most
STEPS = 200  # tried a round
SMALLEST = 1e-4  # scale of the steps, in that of the first, below which the search ends

KERNELS = 4096  # draws that carry the density estimate of `mean_shift`; of more, a random choice
STARTS = 16  # groups of draws, from the densest of each of which the estimate is climbed
SHIFTS = 300  # shifts of a start, at most
STILL = 1e-3  # of the bandwidth: a shorter shift is none
_NORMAL_IQR = 1.349  # interquartile range of a normal of spread 1
_JUDGED = 1000  # draws left out in turn to choose the bandwidth
_FACTORS = (1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.125, 0.09)  # of Scott's bandwidth
# A peak asks for a smoother estimate than the density as a whole: from half of the nats lost to a
# tenth, over Gaussians, moons and mixtures in 1 to 15 dimensions.
_SMOOTHER = 1.4
_ROWS = 512  # points whose kernels are held at once


def climb(
    height: Callable[[FloatArray], FloatArray], start: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Climb from the best of many starting points by random steps that shrink.

    Parameters
    ----------
    height : callable
        Points (n, dim) to heights (n,).
    start : array, shape (n, dim)
        Draws of the density; their spread near the top sets the first steps.
    rng : numpy.random.Generator

    Returns
    -------
    array, shape (dim,)

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.diagnostics.mode_search import climb
    >>> rng = np.random.default_rng(1)
    >>> draws = rng.normal(3.0, 1.0, (1000, 2))
    >>> climb(lambda points: -((points - 3) ** 2).sum(axis=1), draws, rng).round(2)
    array([3., 3.])
    """
    heights = height(start)
    order = np.argsort(heights)[::-1]
    best, top = start[order[0]], heights[order[0]]
    near = start[order[: max(2, len(start) // 10)]]
    reach, scale = near.std(axis=0), 1.0
    for _ in range(ROUNDS):
        # Steps of many sizes at once: one of them suits the slope here.
        sizes = scale * 10 ** rng.uniform(-2, 0, (STEPS, 1))
        steps = best + sizes * reach * rng.standard_normal((STEPS, len(best)))
        heights = height(steps)
        winner = heights.argmax()
        if heights[winner] > top:
            best, top = steps[winner], heights[winner]
        else:
            scale /= 2
        if scale < SMALLEST:
            break
    return best


def mean_shift(draws: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Find the highest mode of a Gaussian kernel density estimate.

    For a posterior that can be drawn from but has no density. Each dimension is scaled by its
    interquartile range. The bandwidth is Scott's, shortened to what makes left-out draws most
    likely: several narrow modes are not smeared into one. The estimate is climbed from the densest
    draw of each of 16 random groups.

    Parameters
    ----------
    draws : array, shape (m, dim)
        Of one density; 4,096 are plenty, and of more a random choice is used. A constant column
        keeps its value.
    rng : numpy.random.Generator
        For these choices: the answer hardly depends on it.

    Returns
    -------
    array, shape (dim,)
        Away from the mode of a Gaussian by noise: .08 of its spread for 4,096 draws, .13 for
        1,000 (one dimension).

    Raises
    ------
    ShapeError
        If the draws are not of shape (m, dim) with m > 0, or a value is not finite.

    References
    ----------
    Comaniciu and Meer (2002), IEEE Transactions on Pattern Analysis and Machine Intelligence 24,
    603; Ardizzone, dissertation (Heidelberg), section 4.2.3. Bandwidth: Duin (1976), IEEE
    Transactions on Computers C-25, 1175.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.diagnostics.mode_search import mean_shift
    >>> rng = np.random.default_rng(0)
    >>> low, high = rng.normal(0, 1, (400, 1)), rng.normal(9, 1, (600, 1))
    >>> bool(abs(mean_shift(np.concatenate([low, high]), rng) - 9) < 0.5)
    True
    """
    draws = np.asarray(draws, dtype=float)
    if draws.ndim != 2 or len(draws) == 0 or not np.isfinite(draws).all():
        raise ShapeError(
            "mean_shift: draws must have shape (m, dim) with m > 0 and be finite; "
            f"got {draws.shape}, {np.count_nonzero(~np.isfinite(draws))} not finite"
        )
    if len(draws) > KERNELS:
        draws = rng.choice(draws, KERNELS, replace=False)
    top = draws[0].copy()
    varies = np.ptp(draws, axis=0) > 0
    if varies.any():
        top[varies] = _densest(draws[:, varies], rng)
    return top


def _densest(draws: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the highest mode of draws (m, dim), every column of which varies."""
    low, centre, high = np.quantile(draws, [0.25, 0.5, 0.75], axis=0)
    spread = np.where(high > low, (high - low) / _NORMAL_IQR, draws.std(axis=0))
    scaled = (draws - centre) / spread
    width = _SMOOTHER * _likeliest_width(scaled, rng)
    heights = _heights(scaled, scaled, width)
    groups = np.array_split(rng.permutation(len(scaled)), min(STARTS, len(scaled)))
    starts = scaled[[group[heights[group].argmax()] for group in groups]]
    modes = _shifted(starts, scaled, width)
    return centre + spread * modes[_heights(modes, scaled, width).argmax()]


def _likeliest_width(draws: FloatArray, rng: np.random.Generator) -> float:
    """Return the bandwidth under which draws are most likely given all others."""
    m, dim = draws.shape
    judged = rng.permutation(m)[:_JUDGED]
    squares = cdist(draws[judged], draws, "sqeuclidean")
    squares[np.arange(len(judged)), judged] = np.inf  # leaves out the draw itself

    def likelihood(width: float) -> float:
        near = np.exp(squares / (-2 * width**2)).sum(axis=1)
        # The floor: a draw far from all others has no say.
        return float(np.log(np.maximum(near, 1e-300)).mean() - dim * np.log(width))

    scott = m ** (-1 / (dim + 4))
    return max((factor * scott for factor in _FACTORS), key=likelihood)


def _heights(points: FloatArray, draws: FloatArray, width: float) -> FloatArray:
    """Return the density estimate (n,) at points (n, dim), but for a factor, in bounded memory."""
    pieces = (points[i : i + _ROWS] for i in range(0, len(points), _ROWS))
    return np.concatenate([_kernel(piece, draws, width).sum(axis=1) for piece in pieces])


def _shifted(points: FloatArray, draws: FloatArray, width: float) -> FloatArray:
    """Move every point to the mean of the draws around it until none moves any more."""
    for _ in range(SHIFTS):
        weights = _kernel(points, draws, width)
        means = weights @ draws / weights.sum(axis=1, keepdims=True)
        largest = np.abs(means - points).max()
        points = means
        if largest < STILL * width:
            break
    return points


def _kernel(points: FloatArray, draws: FloatArray, width: float) -> FloatArray:
    """Return the Gaussian kernel, shape (n, m), of points (n, dim) and draws (m, dim)."""
    return np.exp(cdist(points, draws, "sqeuclidean") / (-2 * width**2))
