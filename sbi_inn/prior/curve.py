"""A smooth monotone map of the line onto itself, fitted to the normal scores of some values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri

from sbi_inn.typing import BoolArray, FloatArray, IntArray

GRID = np.arange(-14, 15) / 3
"""Latents where a knot may lie: far enough from each other that noise does not bend the map."""

AT_ONCE = 16_384
"""Numbers that are mapped at once: they stay in the cache."""

TOLERANCE = 0.05
"""By how much a latent may differ from the value's own score in a large table."""

MORE = 20
"""Knots that may be added until none differs by more."""

LOOKED_AT = 20_000
"""Values that are looked at for it: more of them lie between these."""

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

    values: FloatArray
    latents: FloatArray
    slopes: FloatArray

    @classmethod
    def fit(
        cls, values: FloatArray, counts: npt.ArrayLike = 1, *, before: int = 0, after: int = 0
    ) -> Curve:
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
        reach = -ndtri(min(0.4, FEWEST / total))
        inner = GRID[np.abs(GRID) < reach]
        inner = inner[(inner > scores[0] + 0.1) & (inner < scores[-1] - 0.1)]
        latents = np.array([scores[0], *inner, scores[-1]])
        curve = cls.through(np.interp(latents, scores, distinct), latents)
        # A gap between two clusters falls between two knots: more of them, where values come out
        # elsewhere than they should.
        some = np.flatnonzero(np.abs(scores) < reach)[:: 1 + len(scores) // LOOKED_AT]
        for _ in range(MORE):
            gap = np.abs(curve.forward(distinct[some])[0] - scores[some])
            if not gap.size or gap.max() < max(TOLERANCE, 2.5 / np.sqrt(total)):
                break
            worst = some[gap.argmax()]
            knots, place = np.unique(np.append(curve.values, distinct[worst]), return_index=True)
            curve = cls.through(knots, np.append(curve.latents, scores[worst])[place])
        return curve

    @classmethod
    def through(cls, knots: FloatArray, latents: FloatArray) -> Curve:
        """Put a map through rising points, values and latents (k,).

        Raises
        ------
        ValueError
            If float64 cannot tell them apart.
        """
        apart = np.append(True, (np.diff(knots) > 0) & (np.diff(latents) > 0))
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

    def forward(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
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

    def inverse(self, latents: FloatArray) -> FloatArray:
        """Map latents (n,) to values (n,)."""
        values = np.empty(latents.shape)
        for first in range(0, len(latents), AT_ONCE):
            here = slice(first, first + AT_ONCE)
            values[here] = self._inverse(latents[here])
        return values

    def _inverse(self, latents: FloatArray) -> FloatArray:
        piece = self.latents.searchsorted(latents, side="right")
        start, low, rise, width, secant, left, bend = self._pieces[:, piece]
        up = (latents - start) / rise
        # The root of a quadratic, without cancellation; where there is no bend, as in the tails, it
        # is the straight line.
        bent = up * bend
        a, b = secant - left + bent, left - bent
        c = secant * up
        return low + width * 2 * c / (b + np.sqrt(np.maximum(b * b + 4 * a * c, 0.0)))

    @cached_property
    def _pieces(self) -> FloatArray:
        """What `inverse` needs of each piece, of the tails too, shape (7, k + 1)."""
        width, secant, left, _, bend = self._shape(np.arange(len(self.values) - 1))
        ends = [0, -1]
        slopes = self.slopes[ends]
        tails = np.stack(
            [self.latents[ends], self.values[ends], [1, 1], 1 / slopes, slopes, slopes, [0, 0]]
        )
        inner = np.stack(
            [self.latents[:-1], self.values[:-1], width * secant, width, secant, left, bend]
        )
        return np.concatenate([tails[:, :1], inner, tails[:, 1:]], axis=1)

    def _piece(self, knots: FloatArray, at: FloatArray) -> tuple[IntArray, BoolArray]:
        """Find the piece that each number lies in, and whether it lies in one at all."""
        piece = np.searchsorted(knots[1:-1], at, side="right")
        return piece, (at >= knots[0]) & (at <= knots[-1])

    def _shape(
        self, piece: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Width, secant and slopes at both ends of pieces, and what bends the map between."""
        widths = np.diff(self.values)
        secants = np.diff(self.latents) / widths
        bends = self.slopes[1:] + self.slopes[:-1] - 2 * secants
        left, right = self.slopes[:-1], self.slopes[1:]
        return widths[piece], secants[piece], left[piece], right[piece], bends[piece]


def normal_log_density(latents: FloatArray) -> FloatArray:
    """Log density of N(0, 1)."""
    return -0.5 * latents**2 - 0.5 * np.log(2 * np.pi)
