"""A rotated box in the latent space of a prior, and exact maps of its inside.

N(0, I) is the same along all orthogonal axes. A box along any such axes, for example the principal
axes of draws, therefore cuts it into independent truncated normals, one per axis: the truncated
prior is mapped to N(0, I) in closed form, however thin and tilted the box is.

Networks are not trained after that map. It is curved: a posterior that is the same normal
everywhere in a thin box, apart from its place, would have a different shape at each place. Along a
thin axis, networks see the box shifted and scaled, except close to each face, where the distance to
the face falls exponentially. This map is exact too, and its draws cannot leave the box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior.component import LATENT_MAX
from sbi_inn.prior.interval import Intervals
from sbi_inn.typing import BoolArray, FloatArray, IntArray

SLACK = 1e-6
"""Share of its width by which a row may miss the box: maps there and back round."""

THINNEST = 1e-8
"""Width of a box, in latents, below which rounding decides what is inside."""


@dataclass(frozen=True, eq=False)
class Box:
    """A box in latents (rows, d), along orthogonal axes.

    Attributes
    ----------
    axes : array, shape (d, d)
        Orthogonal; its columns are the directions of the axes.
    low, high : array, shape (d,)
        Ends along each axis, infinite where it is open.
    flat : array of bool, shape (d,)
        Which axes keep their scale. Along the others the truncated prior is N(0, 1).

    Raises
    ------
    PriorError
        If the box is too thin or too far out to draw from, or a flat axis is open.

    Examples
    --------
    >>> low, high = np.array([0.0, -np.inf]), np.full(2, np.inf)
    >>> box = Box(np.eye(2), low, high, np.zeros(2, bool))
    >>> round(box.mass, 3), box.inside(np.array([[1.0, 5.0], [-1.0, 5.0]])).tolist()
    (0.5, [True, False])
    >>> box.to_latent(np.array([[0.6745, 1.0]])).round(2).tolist()
    [[0.0, 1.0]]
    """

    axes: FloatArray
    low: FloatArray
    high: FloatArray
    flat: BoolArray

    def __post_init__(self) -> None:
        width = self.high - self.low
        if not (width >= THINNEST).all() or np.isinf(width[self.flat]).any():
            raise PriorError(
                f"expected a region at least {THINNEST:g} wide along each axis, in units of the "
                f"prior's spread, and closed along flat ones; got widths {width}"
            )
        if not self.mass > 0:
            raise PriorError(
                "expected a region that holds some of the prior; got one that lies so far out that "
                "nothing can be drawn from it"
            )

    @property
    def dim(self) -> int:
        """How many latents it bounds."""
        return len(self.low)

    @property
    def log_mass(self) -> float:
        """Log of its share of N(0, I)."""
        return float(np.log(self.mass))

    @property
    def mass(self) -> float:
        """Its share of N(0, I)."""
        return float(self._masses.prod())

    def inside(self, latents: FloatArray) -> BoolArray:
        """Say which rows (n, d) lie inside, to within rounding."""
        along = latents @ self.axes
        ends = np.clip([self.low, self.high], -LATENT_MAX, LATENT_MAX)
        slack = SLACK * (ends[1] - ends[0])
        return ((along >= self.low - slack) & (along <= self.high + slack)).all(axis=1)

    def at_ends(self, latents: FloatArray, share: float) -> BoolArray:
        """Say which rows (n, d) lie near the lower and the upper end of each axis, (2, n, axes).

        Near: within this share of the width of the box.
        """
        low, high = np.clip([self.low, self.high], -LATENT_MAX, LATENT_MAX)
        place = (latents @ self.axes - low) / (high - low)
        return np.stack([place < share, place > 1 - share])

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw from the truncated N(0, I), shape (n, d)."""
        return self._quantiles(rng.standard_normal((n, self.dim))) @ self.axes.T

    def to_latent(self, whole: FloatArray) -> FloatArray:
        """Map rows (n, d) inside to latents of the truncated prior; others to the nearest face."""
        along = np.clip(whole @ self.axes, self.low, self.high)
        found = self._scores(along)
        found[:, self.flat] = self._intervals.to_line(along[:, self.flat])
        return found

    def from_latent(self, latents: FloatArray) -> FloatArray:
        """Map latents (n, d) of the truncated prior, of any size, to rows inside."""
        found = self._quantiles(latents)
        found[:, self.flat] = self._intervals.from_line(latents[:, self.flat])
        return found @ self.axes.T

    def log_density(self, latents: FloatArray) -> FloatArray:
        """Log density of the truncated prior where its latents (n, d) are, shape (n,)."""
        flat, normal = latents[:, self.flat], latents[:, ~self.flat]
        along, slope = self._intervals.from_line(flat), self._intervals.log_slope(flat)
        found = slope - 0.5 * along**2 - np.log(self._masses[self.flat])
        found = found.sum(axis=1) - 0.5 * (normal**2).sum(axis=1)
        return found - 0.5 * self.dim * np.log(2 * np.pi)

    def only(self, which: IntArray) -> Box:
        """Give the box of some latents alone, by indices.

        Raises
        ------
        PriorError
            If an axis mixes them with others.
        """
        others = np.setdiff1d(np.arange(self.dim), which)
        if np.abs(self.axes[np.ix_(which, others)]).max(initial=0.0) > SLACK:
            raise PriorError("the region is bounded along directions that mix these parameters")
        axes = self.axes[np.ix_(which, which)]
        return Box(axes, self.low[which], self.high[which], self.flat[which])

    def among(self, places: IntArray, dim: int) -> Box:
        """Give the box of more latents, open to all but those at some places; undoes `only`."""
        axes, flat = np.eye(dim), np.zeros(dim, bool)
        low, high = np.full(dim, -np.inf), np.full(dim, np.inf)
        axes[np.ix_(places, places)] = self.axes
        low[places], high[places], flat[places] = self.low, self.high, self.flat
        return Box(axes, low, high, flat)

    def cut(self, cuts: Mapping[int, Sequence[float]]) -> dict[int, tuple[float, ...]]:
        """Map places along latents that are axes of the box, by index; those outside fall away."""
        found = {}
        for axis, places in cuts.items():
            inside = [p for p in places if self.low[axis] < p < self.high[axis]]
            rows = np.zeros((len(inside), self.dim))
            rows[:, axis] = inside
            found[axis] = tuple(self.to_latent(rows)[:, axis].tolist())
        return {axis: places for axis, places in found.items() if places}

    def to_lists(self) -> dict[str, Any]:
        """Give everything as lists, for a file."""
        return {name: getattr(self, name).tolist() for name in ("axes", "low", "high", "flat")}

    @classmethod
    def from_lists(cls, lists: Mapping[str, Any]) -> Box:
        """Read back what `to_lists` gave.

        Raises
        ------
        LoadError
            If it is no box.
        """
        try:
            axes, low, high = (np.array(lists[name], float) for name in ("axes", "low", "high"))
            found = cls(axes, low, high, np.array(lists["flat"], bool))
            turned = np.allclose(axes.T @ axes, np.eye(len(low)))
        except (KeyError, TypeError, ValueError, IndexError, PriorError) as error:
            raise LoadError(f"the stored region is damaged: {error!r}") from error
        if not turned:
            raise LoadError("the stored region is damaged: its axes are not orthogonal")
        return found

    @cached_property
    def _masses(self) -> FloatArray:
        """Its share of N(0, 1) along each axis, shape (d,)."""
        return _between(self.low, self.high)

    @cached_property
    def _intervals(self) -> Intervals:
        """The flat axes, with the median and the spread of the truncated normals along them."""
        low, centre, high = self._quantiles(np.array([[-1.0], [0.0], [1.0]]).repeat(self.dim, 1))
        ends = self.low, self.high, centre, (high - low) / 2
        return Intervals(*(values[self.flat] for values in ends))

    def _scores(self, along: FloatArray) -> FloatArray:
        """Map places along the axes to where the truncated normals are N(0, 1)."""
        below, above = _between(self.low, along), _between(along, self.high)
        total = self._masses
        score = np.where(below < above, ndtri(below / total), -ndtri(above / total))
        return np.clip(score, -LATENT_MAX, LATENT_MAX)

    def _quantiles(self, scores: FloatArray) -> FloatArray:
        """Map any scores to places along the axes; the inverse of `_scores`."""
        # The tail that the box is nearer to keeps the relative accuracy.
        below = ndtr(self.low) + self._masses * ndtr(scores)
        above = ndtr(-self.high) + self._masses * ndtr(-scores)
        along = np.where(self.low > -self.high, -ndtri(above), ndtri(below))
        # The lower end belongs to what is below, as it does for the cells of discrete parameters.
        return np.clip(along, np.nextafter(self.low, np.inf), self.high)


def _between(low: FloatArray, high: FloatArray) -> FloatArray:
    """Mass of N(0, 1) between two ends, from the nearer tail."""
    upper = low > -high
    return np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
