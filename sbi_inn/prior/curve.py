"""A smooth monotone map of the line onto itself, fitted to the normal scores of some values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri

from sbi_inn.prior.component import Array

GRID = np.arange(-14, 15) / 3
"""Latents where a knot may lie: far enough from each other that noise does not bend the map."""

FEWEST = 10
"""Values beyond the outermost knot but one, so that chance does not decide on the tails."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A map from a value x to a latent z: rational-quadratic between knots, straight beyond them.

    It is continuous with its slope, and both directions are in closed form. Straight tails are
    those of a normal distribution, joined to the outermost values.

    Attributes
    ----------
    values, latents, slopes : array, shape (k,)
        Knots x and z, both rising, and dz/dx there.

    Notes
    -----
    Gregory, J. A. and Delbourgo, R. (1982), Piecewise rational quadratic interpolation to monotonic
    data, IMA Journal of Numerical Analysis 2, 123-130. Slopes at the knots: Fritsch, F. N. and
    Butland, J. (1984), A method for constructing local monotone piecewise cubic interpolants.

    Examples
    --------
    >>> curve = Curve.fit(np.random.default_rng(1).lognormal(size=5_000))
    >>> z, log_slope = curve.forward(np.array([1.0]))
    >>> bool(abs(z[0]) < 0.05), curve.inverse(z)
    (True, array([1.]))
    """

    values: Array
    latents: Array
    slopes: Array

    @classmethod
    def fit(cls, values: Array, counts: npt.ArrayLike = 1, *, before: int = 0, after: int = 0) -> Curve:
        """Put knots at quantiles of finite values.

        Parameters
        ----------
        values : array, shape (m,)
            In any order; two different ones at least.
        counts : int or array of int, shape (m,)
            How often each comes.
        before, after : int
            How many more there are below and above all of these.

        Raises
        ------
        ValueError
            If float64 cannot tell them apart.
        """
        distinct, place = np.unique(values, return_inverse=True)
        each = np.bincount(place, np.broadcast_to(counts, place.shape))
        total = each.sum() + before + after
        scores = ndtri((before + each.cumsum() - each / 2) / total)
        inner = GRID[np.abs(GRID) < -ndtri(min(0.4, FEWEST / total))]
        inner = inner[(inner > scores[0] + 0.1) & (inner < scores[-1] - 0.1)]
        latents = np.array([scores[0], *inner, scores[-1]])
        knots = np.interp(latents, scores, distinct)
        apart = np.append(True, np.diff(knots) > 0)
        knots, latents = knots[apart], latents[apart]
        if len(knots) < 2 or not np.isfinite(np.diff(knots)).all():
            raise ValueError("float64 cannot tell the values apart")
        secants = np.diff(latents) / np.diff(knots)
        slopes = np.concatenate([secants[:1], np.empty(len(knots) - 2), secants[-1:]])
        if len(knots) > 2:
            slopes[1:-1] = PchipInterpolator(knots, latents)(knots[1:-1], nu=1)
        if not (np.isfinite(slopes) & (slopes > 0)).all():
            raise ValueError("float64 cannot tell the values apart")
        return cls(knots, latents, slopes)

    @classmethod
    def from_lists(cls, lists: Any) -> Curve:
        """Read back what `to_lists` gave; a ValueError where it is no such map."""
        curve = cls(*(np.asarray(one, float) for one in lists))
        parts = (curve.values, curve.latents, curve.slopes)
        if any(p.ndim != 1 or len(p) != len(curve.values) or len(p) < 2 for p in parts):
            raise ValueError("expected as many knots as latents and slopes, two at least")
        rising = (np.diff(curve.values) > 0) & (np.diff(curve.latents) > 0)
        if not (rising.all() and (curve.slopes > 0).all() and np.isfinite(np.stack(parts)).all()):
            raise ValueError("expected knots and latents that rise, and positive slopes")
        return curve

    def to_lists(self) -> list[list[float]]:
        """Give knots, latents and slopes as a file would hold them."""
        return [self.values.tolist(), self.latents.tolist(), self.slopes.tolist()]

    def forward(self, values: Array) -> tuple[Array, Array]:
        """Map values (n,) to latents (n,), and give the log of dz/dx, (n,)."""
        piece, inside = self._piece(self.values, values)
        width, secant, left, right, bend = self._shape(piece)
        at = np.clip((values - self.values[piece]) / width, 0.0, 1.0)
        mixed = at * (1 - at)
        below = secant + bend * mixed
        latents = self.latents[piece] + width * secant * (secant * at**2 + left * mixed) / below
        rise = right * at**2 + 2 * secant * mixed + left * (1 - at) ** 2
        log_slope = 2 * (np.log(secant) - np.log(below)) + np.log(rise)
        end = (values > self.values[0]).astype(np.int64) * (len(self.values) - 1)
        straight = self.latents[end] + self.slopes[end] * (values - self.values[end])
        return (
            np.where(inside, latents, straight),
            np.where(inside, log_slope, np.log(self.slopes[end])),
        )

    def inverse(self, latents: Array) -> Array:
        """Map latents (n,) to values (n,)."""
        piece, inside = self._piece(self.latents, latents)
        width, secant, left, _, bend = self._shape(piece)
        up = np.clip((latents - self.latents[piece]) / (width * secant), 0.0, 1.0)
        # The root of a quadratic that lies in [0, 1], without cancellation.
        a = secant - left + up * bend
        b = left - up * bend
        c = -secant * up
        at = -2 * c / (b + np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0)))
        values = self.values[piece] + width * at
        end = (latents > self.latents[0]).astype(np.int64) * (len(self.latents) - 1)
        straight = self.values[end] + (latents - self.latents[end]) / self.slopes[end]
        return np.where(inside, values, straight)

    def _piece(self, knots: Array, at: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Find the piece that each number lies in, and whether it lies in one at all."""
        piece = np.searchsorted(knots[1:-1], at, side="right")
        return piece, (at >= knots[0]) & (at <= knots[-1])

    def _shape(self, piece: npt.NDArray[np.int64]) -> tuple[Array, Array, Array, Array, Array]:
        """Width, secant and slopes at both ends of pieces, and what bends the map between."""
        widths = np.diff(self.values)
        secants = np.diff(self.latents) / widths
        bends = self.slopes[1:] + self.slopes[:-1] - 2 * secants
        left, right = self.slopes[:-1], self.slopes[1:]
        return widths[piece], secants[piece], left[piece], right[piece], bends[piece]


def normal_log_density(latents: Array) -> Array:
    """Log density of N(0, 1)."""
    return -0.5 * latents**2 - 0.5 * np.log(2 * np.pi)

