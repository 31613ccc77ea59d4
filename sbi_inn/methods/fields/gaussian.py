"""The posterior of a Gaussian field whose observables are linear: in closed form."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp

from sbi_inn.methods.fields.forward import Forward
from sbi_inn.methods.fields.normals import Normals
from sbi_inn.observation.batch import Observations
from sbi_inn.typing import BoolArray, FloatArray, IntArray

LOG_2_PI = float(np.log(2 * np.pi))

KEPT = 300_000_000
"""Bytes of factors that are kept for the next observation."""


@dataclass(frozen=True, eq=False)
class Factor:
    """The posterior of white noise u given what was seen, but for its mean.

    Attributes
    ----------
    lower : array, shape (pixels, pixels)
        Cholesky factor of its precision: 1 + gain gain'.
    gain : array, shape (pixels, seen)
        Slopes of what was seen on u, in units of its noise, transposed.
    log_det : float
        Half the log-determinant of the precision.
    """

    lower: FloatArray
    gain: FloatArray
    log_det: float

    def centre(self, seen: FloatArray) -> FloatArray:
        """Give lower' u at the posterior means, for rows (n, seen) in units of the noise."""
        return solve_triangular(self.lower, self.gain @ seen.T, lower=True, check_finite=False).T


@dataclass(frozen=True, eq=False)
class Seen:
    """Observables of a batch as the posterior reads them.

    Attributes
    ----------
    left : array, shape (batch, m)
        Less their offset; NaN where missing.
    log_variance : array, shape (batch, m)
    """

    left: FloatArray
    log_variance: FloatArray

    def __getitem__(self, rows: IntArray) -> Seen:
        return Seen(self.left[rows], self.log_variance[rows])

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True, eq=False)
class GaussianPosterior:
    """What is left of a field is white noise: lower' (u - mean), where u = root^-1 (field - mean).

    The map is affine in the field, exact in both directions, and keeps each pixel near its place.

    Attributes
    ----------
    normals : Normals
        The prior.
    forward : Forward
    loose : float
        What the variance of the noise is multiplied by: more than 1 where observables are no linear
        functions of the field, and what linear ones leave is no independent noise. Infinite where
        nothing is learned from them so.
    """

    normals: Normals
    forward: Forward
    loose: float = 1.0
    _kept: OrderedDict[bytes, Factor] = field(default_factory=OrderedDict, repr=False)

    @property
    def sides(self) -> tuple[int, ...]:
        """Of the field."""
        return self.normals.means.shape[1:]

    def read(self, observations: Observations, numbers: FloatArray) -> Seen:
        """Read what was observed, as far as other parameters (rows, numbers) do not explain it."""
        left, log_variance = self.forward.read(observations, numbers)
        return Seen(left, np.broadcast_to(log_variance + np.log(self.loose), left.shape))

    def whiten(
        self, fields: FloatArray, seen: Seen, cells: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Map flat fields (n, pixels) to what is left, and give the log-determinants (n,).

        Each row has its own observation, or all share one.
        """
        found, log_det = np.empty(fields.shape), np.empty(len(fields))
        for rows, cell, factor, shifted in self._groups(seen, cells, len(fields)):
            u, shrunk = self._to_noise(fields[rows], cell)
            found[rows] = u @ factor.lower - factor.centre(shifted)
            log_det[rows] = factor.log_det - shrunk
        return found, log_det

    def colour(self, left: FloatArray, seen: Seen, cells: IntArray) -> FloatArray:
        """Map what is left (n, pixels) to flat fields: the inverse of `whiten`."""
        found = np.empty(left.shape)
        for rows, cell, factor, shifted in self._groups(seen, cells, len(left)):
            turned = (left[rows] + factor.centre(shifted)).T
            u = solve_triangular(factor.lower, turned, lower=True, trans="T", check_finite=False)
            found[rows] = self._from_noise(u.T, cell)
        return found

    def means(self, seen: Seen, cells: IntArray, n: int) -> FloatArray:
        """Give the posterior means of n rows: of the field, and of its noise, (n, 2, pixels)."""
        fields = self.colour(np.zeros((n, prod(self.sides))), seen, cells)
        found = np.stack([fields, fields], axis=1)
        for cell in np.unique(cells):
            rows = cells == cell
            found[rows, 1] = self._to_noise(fields[rows], int(cell))[0]
        return found

    def log_prob(self, fields: FloatArray, seen: Seen, cells: IntArray) -> FloatArray:
        """Log density of flat fields (n, pixels), shape (n,); of a mixture, whatever the cells."""
        log_weight, each = self.log_weights(seen), []
        for component in range(log_weight.shape[1]):
            here = np.full(len(cells), component) if self.normals.mixed else cells
            left, log_det = self.whiten(fields, seen, here)
            normal = -0.5 * (np.square(left).sum(axis=1) + fields.shape[1] * LOG_2_PI)
            each.append(normal + log_det + log_weight[:, component])
        return np.asarray(logsumexp(np.stack(each), axis=0), dtype=np.float64)

    def factors(self, seen: Seen) -> int:
        """Count the different factors of a batch, for each of the normals."""
        return len(set(_keys(seen)[1]))

    def log_evidence(self, seen: Seen, cell: int) -> FloatArray:
        """Log density of what was observed under one of the normals, but for a constant."""
        found = np.empty(len(seen))
        cells = np.full(len(seen), cell)
        for rows, _, factor, shifted in self._groups(seen, cells, len(seen)):
            fit = np.square(shifted).sum(axis=1) - np.square(factor.centre(shifted)).sum(axis=1)
            found[rows] = -0.5 * fit - factor.log_det
        return found

    def log_weights(self, seen: Seen) -> FloatArray:
        """Log probabilities of the normals of a mixture, given what was observed: (batch, k)."""
        prior = self.normals.log_weights
        if not self.normals.mixed:
            return np.zeros((len(seen), 1))
        each = [self.log_evidence(seen, cell) for cell in range(len(prior))]
        joint = prior + np.stack(each, axis=1)
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def _to_noise(self, fields: FloatArray, cell: int) -> tuple[FloatArray, float]:
        """Map flat fields to white noise, and give the log-determinant of the root."""
        centred = fields.reshape(-1, *self.sides) - self.normals.means[cell]
        if not self.normals.roots:
            return centred.reshape(len(fields), -1), 0.0
        root = self.normals.roots[cell]
        return root.whiten(centred).reshape(len(fields), -1), float(root.log_det[0])

    def _from_noise(self, noise: FloatArray, cell: int) -> FloatArray:
        fields = noise.reshape(-1, *self.sides)
        if self.normals.roots:
            fields = self.normals.roots[cell].colour(fields)
        return (fields + self.normals.means[cell]).reshape(len(noise), -1)

    def _groups(
        self, seen: Seen, cells: IntArray, n: int
    ) -> Iterator[tuple[IntArray, int, Factor, FloatArray]]:
        """Go through rows that share a factor: which they are, and what was seen in noise units."""
        there, keys = _keys(seen)
        rows_of: dict[tuple[bytes, int], list[int]] = {}
        for row in range(n):
            key = keys[row if len(keys) > 1 else 0], int(cells[row])
            rows_of.setdefault(key, []).append(row)
        for (key, cell), members in rows_of.items():
            rows = np.array(members)
            first = rows[0] if len(keys) > 1 else 0
            mask, sd = there[first], np.exp(seen.log_variance[first] / 2)
            factor = self._factor(key + bytes([cell % 256, cell // 256]), cell, mask, sd)
            mean = self._slopes @ self.normals.means[cell].ravel()
            left = seen.left[rows] if len(keys) > 1 else seen.left[[0] * len(rows)]
            yield rows, cell, factor, ((left - mean) / sd)[:, mask]

    @cached_property
    def _slopes(self) -> FloatArray:
        return self.forward.seen_slopes

    def _factor(self, key: bytes, cell: int, mask: BoolArray, sd: FloatArray) -> Factor:
        kept = self._kept
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        pixels = prod(self.sides)
        slopes = self._slopes[mask] / sd[mask, None]
        if self.normals.roots:
            root = self.normals.roots[cell]
            slopes = root.colour(slopes.reshape(-1, *self.sides)).reshape(slopes.shape)
        lower = cholesky(np.eye(pixels) + slopes.T @ slopes, lower=True, check_finite=False)
        found = Factor(lower, slopes.T, float(np.log(np.diagonal(lower)).sum()))
        kept[key] = found
        while sum(f.lower.nbytes + f.gain.nbytes for f in kept.values()) > KEPT and len(kept) > 1:
            kept.popitem(last=False)
        return found


def _keys(seen: Seen) -> tuple[BoolArray, list[bytes]]:
    """Say what was seen, and give keys that are the same for rows that share a factor."""
    there = ~np.isnan(seen.left) & np.isfinite(seen.log_variance)
    pairs = zip(there, seen.log_variance, strict=True)
    return there, [one.tobytes() + other.tobytes() for one, other in pairs]
