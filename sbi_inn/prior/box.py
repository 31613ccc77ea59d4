"""A turned box on the latent side of a prior, and the exact map of what lies inside to N(0, I).

N(0, I) looks the same from every side. A box along any orthogonal axes, such as the principal axes
of draws, therefore cuts it into independent truncated normals, one an axis: the prior, truncated to
the box, is mapped to N(0, I) in closed form, however thin and tilted the box is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior.component import LATENT_MAX
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

    Raises
    ------
    PriorError
        If an end is not above the other, by the width that can be drawn from.

    Examples
    --------
    >>> box = Box(np.eye(2), np.array([0.0, -np.inf]), np.array([np.inf, np.inf]))
    >>> round(box.mass, 3), box.inside(np.array([[1.0, 5.0], [-1.0, 5.0]])).tolist()
    (0.5, [True, False])
    >>> box.to_standard(np.array([[0.6745, 1.0]])).round(2).tolist()
    [[0.0, 1.0]]
    """

    axes: FloatArray
    low: FloatArray
    high: FloatArray

    def __post_init__(self) -> None:
        width = self.high - self.low
        if not (width >= THINNEST).all():
            raise PriorError(
                f"expected a region at least {THINNEST:g} wide, in units of the prior's spread; "
                f"got {width.min():.2g}: thinner ones cannot be drawn from"
            )

    @property
    def dim(self) -> int:
        """How many latents it bounds."""
        return len(self.low)

    @property
    def log_mass(self) -> float:
        """Log of its share of N(0, I)."""
        return float(np.log(self._masses).sum())

    @property
    def mass(self) -> float:
        """Its share of N(0, I)."""
        return float(np.exp(self.log_mass))

    def inside(self, latents: FloatArray) -> BoolArray:
        """Say which rows (n, d) lie inside, to within rounding."""
        along = latents @ self.axes
        ends = np.clip([self.low, self.high], -LATENT_MAX, LATENT_MAX)
        slack = SLACK * (ends[1] - ends[0])
        return ((along >= self.low - slack) & (along <= self.high + slack)).all(axis=1)

    def to_standard(self, latents: FloatArray) -> FloatArray:
        """Map rows (n, d) inside to where the truncated N(0, I) is N(0, I); others to the edge."""
        along = np.clip(latents @ self.axes, self.low, self.high)
        below, above = _between(self.low, along), _between(along, self.high)
        total = self._masses
        standard = np.where(below < above, ndtri(below / total), -ndtri(above / total))
        return np.clip(standard, -LATENT_MAX, LATENT_MAX)

    def from_standard(self, standard: FloatArray) -> FloatArray:
        """Map rows (n, d), of any size, to latents inside; the inverse of `to_standard`."""
        # Whichever tail the box is nearer to keeps the relative accuracy.
        low, high = self.low, self.high
        upper = low > -high
        far = ndtr(-high) + self._masses * ndtr(-standard)
        near = ndtr(low) + self._masses * ndtr(standard)
        along = np.where(upper, -ndtri(far), ndtri(near))
        return np.clip(along, low, high) @ self.axes.T

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
        return Box(self.axes[np.ix_(which, which)], self.low[which], self.high[which])

    def among(self, places: IntArray, dim: int) -> Box:
        """Give the box of more latents, open to all but those at some places; undoes `only`."""
        axes = np.eye(dim)
        axes[np.ix_(places, places)] = self.axes
        low, high = np.full(dim, -np.inf), np.full(dim, np.inf)
        low[places], high[places] = self.low, self.high
        return Box(axes, low, high)

    def cut(self, cuts: Mapping[int, Sequence[float]]) -> dict[int, tuple[float, ...]]:
        """Map places along latents that are axes of the box, by index; those outside fall away."""
        found = {}
        for axis, places in cuts.items():
            inside = [p for p in places if self.low[axis] < p < self.high[axis]]
            rows = np.zeros((len(inside), self.dim))
            rows[:, axis] = inside
            found[axis] = tuple(self.to_standard(rows)[:, axis].tolist())
        return {axis: places for axis, places in found.items() if places}

    def to_lists(self) -> dict[str, Any]:
        """Give everything as lists, for a file."""
        return {name: getattr(self, name).tolist() for name in ("axes", "low", "high")}

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
            turned = np.allclose(axes.T @ axes, np.eye(len(low))) and high.shape == low.shape
        except (KeyError, TypeError, ValueError) as error:
            raise LoadError(f"the stored region is damaged: {error!r}") from error
        if not turned:
            raise LoadError("the stored region is damaged: its axes are not orthogonal")
        return cls(axes, low, high)

    @property
    def _masses(self) -> FloatArray:
        """Its share of N(0, 1) along each axis, shape (d,)."""
        return _between(self.low, self.high)


def _between(low: FloatArray, high: FloatArray) -> FloatArray:
    """Mass of N(0, 1) between two ends, from the nearer tail."""
    upper = low > -high
    return np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
