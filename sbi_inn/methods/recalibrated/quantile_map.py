"""The distribution function of draws, as a smooth monotone map to normal scores, many at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from sbi_inn.typing import FloatArray, IntArray

SCORES = np.arange(-2.0, 2.01, 0.25)  # normal scores at which draws are looked up
TAIL = 1.0  # normal score from which on a tail's slope is taken
CONTRADICTED = 2.0  # squares of residuals over their expectation, up to which they are noise
THINNEST = 1e-6  # distance of two knots, relative to that of the outermost


@dataclass(frozen=True, eq=False)
class QuantileMap:
    """Monotone maps between values and normal scores, one a row and column.

    Rational-quadratic between quantiles of the draws (Gregory and Delbourgo 1982), straight beyond
    them: continuous with their slope, and with both directions in closed form.

    Attributes
    ----------
    knots : array, shape (rows, k, d)
        Values at the normal scores `scores`, rising.
    slopes : array, shape (rows, k, d)
        Of the normal score, there.
    scores : array, shape (k,)

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = QuantileMap.of(rng.normal(3, 2, size=(1, 2_000, 1)))
    >>> z, log_slope = found.forward(np.array([[[3.0], [7.0]]]))
    >>> z.round(1).ravel(), np.exp(log_slope).round(1).ravel()
    (array([0., 2.]), array([0.5, 0.5]))
    >>> found.inverse(z).round(6).ravel()
    array([3., 7.])
    """

    knots: FloatArray
    slopes: FloatArray
    scores: FloatArray

    @classmethod
    def of(cls, draws: FloatArray, scores: FloatArray = SCORES) -> QuantileMap:
        """Look up quantiles of draws (rows, m, d), and smooth away what is noise in them."""
        knots = np.quantile(draws, special.ndtr(scores), axis=1).transpose(1, 0, 2)
        knots = _smoothed(knots, scores, draws.shape[1])
        span = knots[:, -1:] - knots[:, :1]
        least = THINNEST * np.where(span > 0, span, 1.0)
        # What the draws take for one value still needs a width of its own.
        rise = np.maximum(np.diff(knots, axis=1), least)
        knots = np.concatenate([knots[:, :1], knots[:, :1] + np.cumsum(rise, axis=1)], axis=1)
        step = np.diff(scores)[:, None]
        secants = step / rise
        inner = 2 * secants[:, 1:] * secants[:, :-1] / (secants[:, 1:] + secants[:, :-1])
        low, high = np.searchsorted(scores, [-TAIL, TAIL])
        first = (scores[low] - scores[0]) / (knots[:, low] - knots[:, 0])
        last = (scores[-1] - scores[high]) / (knots[:, -1] - knots[:, high])
        slopes = np.concatenate([first[:, None], inner, last[:, None]], axis=1)
        return cls(knots, slopes, scores)

    def forward(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Map values (rows, n, d) to normal scores, and give the log of the slope."""
        piece = self._piece(values, lambda k: self.knots[:, k : k + 1])
        x0, x1, z0, z1, d0, d1 = self._ends(piece)
        width = x1 - x0
        secant = (z1 - z0) / width
        at = np.clip((values - x0) / width, 0, 1)
        mixed = at * (1 - at)
        below = secant + (d0 + d1 - 2 * secant) * mixed
        inside = z0 + (z1 - z0) * (secant * at**2 + d0 * mixed) / below
        rise = d1 * at**2 + 2 * secant * mixed + d0 * (1 - at) ** 2
        log_slope = 2 * (np.log(secant) - np.log(below)) + np.log(rise)
        z = inside + np.minimum(values - x0, 0) * d0 + np.maximum(values - x1, 0) * d1
        return z, log_slope

    def inverse(self, z: FloatArray) -> FloatArray:
        """Map normal scores (rows, n, d) to values."""
        piece = self._piece(z, lambda k: self.scores[k])
        x0, x1, z0, z1, d0, d1 = self._ends(piece)
        width = x1 - x0
        secant = (z1 - z0) / width
        up = np.clip((z - z0) / (z1 - z0), 0, 1)
        bent = up * (d0 + d1 - 2 * secant)
        a, b, c = secant - d0 + bent, d0 - bent, secant * up
        at = 2 * c / (b + np.sqrt(np.maximum(b * b + 4 * a * c, 0)))
        values = x0 + width * at
        return values + np.minimum(z - z0, 0) / d0 + np.maximum(z - z1, 0) / d1

    def _piece(self, at: FloatArray, knot: Callable[[int], FloatArray | float]) -> IntArray:
        """Find the piece that each number lies in, or is nearest to."""
        piece = np.zeros(at.shape, np.int64)
        for k in range(1, len(self.scores) - 1):
            piece += at >= knot(k)
        return piece

    def _ends(self, piece: IntArray) -> tuple[FloatArray, ...]:
        """Give values, normal scores and slopes at both ends of pieces."""
        x0, x1 = (np.take_along_axis(self.knots, piece + i, axis=1) for i in (0, 1))
        d0, d1 = (np.take_along_axis(self.slopes, piece + i, axis=1) for i in (0, 1))
        return x0, x1, self.scores[piece], self.scores[piece + 1], d0, d1


def _smoothed(knots: FloatArray, scores: FloatArray, m: int) -> FloatArray:
    """Draw quantiles (rows, k, d) of m draws to cubics in the normal score, as far as they may lie.

    Where the draws do not contradict the cubic, it is taken. Otherwise the quantiles are kept but
    for about what their noise is (James and Stein 1961): slopes between quantiles are noisy, and
    what a map moves then depends on chance.
    """
    p, f = special.ndtr(scores), np.exp(-0.5 * scores**2) / np.sqrt(2 * np.pi)
    below = np.minimum(p[:, None], p)
    # Covariance of quantiles of m draws of N(0, 1): that of a Brownian bridge over the density.
    root = np.linalg.cholesky((below - np.outer(p, p)) / (m * np.outer(f, f)))
    cubic = np.linalg.solve(root, np.vander(scores, 4))
    q, _ = np.linalg.qr(cubic)
    scale = np.maximum((knots * _slope(scores)[:, None]).sum(axis=1, keepdims=True), 1e-300)
    white = np.linalg.solve(root, knots / scale)
    left = white - np.einsum("ki,li,rld->rkd", q, q, white, optimize=True)
    square = (left**2).sum(axis=1, keepdims=True)
    kept = np.maximum(0.0, 1 - CONTRADICTED * (len(scores) - 4) / np.maximum(square, 1e-300))
    smooth = knots - scale * np.einsum("ij,rjd->rid", root, left, optimize=True) * (1 - kept)
    rising = (np.diff(smooth, axis=1) > 0).all(axis=1, keepdims=True)
    return np.where(rising, smooth, knots)


def _slope(scores: FloatArray) -> FloatArray:
    """Give the weights that turn values at the scores into their slope, by least squares."""
    centred = scores - scores.mean()
    return centred / (centred**2).sum()
