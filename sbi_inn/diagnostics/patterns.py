"""Patterns that many images share: their principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbi_inn.typing import FloatArray, IntArray

MOST = 12  # patterns
SIDE = 32  # pixels along a side, above which neighbours are averaged
ROWS = 2_000  # images that patterns are learned from, at the most


@dataclass(frozen=True)
class Patterns:
    """What images have in common, and how much of it each has.

    Attributes
    ----------
    middle : array, shape (q,)
        Of each pixel; NaN counts as it.
    axes : array, shape (q, k)
        One pattern a column, of length 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> board = np.where(np.indices((8, 8)).sum(axis=0) % 2, 1.0, -1.0)
    >>> height = rng.normal(size=500)
    >>> pixels = height[:, None, None, None] * board + rng.normal(size=(500, 1, 8, 8))
    >>> found = Patterns.of(pixels).of_images(pixels)[:, 0]
    >>> bool(abs(np.corrcoef(found, height)[0, 1]) > 0.95)
    True
    """

    middle: FloatArray
    axes: FloatArray

    @classmethod
    def of(cls, pixels: FloatArray) -> Patterns:
        """Learn the 12 widest from images (n, channels, height, width); of few images fewer."""
        flat = _flat(pixels)
        known = ~np.isnan(flat)
        total = np.where(known, flat, 0.0).sum(axis=0)
        middle = total / np.maximum(known.sum(axis=0), 1)
        some = np.where(known, flat - middle, 0.0)[:: -(-len(flat) // ROWS)]
        variances, axes = np.linalg.eigh(some.T @ some)
        varies = variances > 1e-12 * max(variances.max(initial=0.0), 1e-300)
        return cls(middle, axes[:, varies][:, ::-1][:, : min(MOST, len(some) // 10)])

    def of_images(self, pixels: FloatArray) -> FloatArray:
        """Give how much of each pattern images (n, channels, height, width) have, shape (n, k)."""
        gap = _flat(pixels) - self.middle
        return np.where(np.isnan(gap), 0.0, gap) @ self.axes


def _flat(pixels: FloatArray) -> FloatArray:
    """Give pixels as rows, shape (n, q); of large images the means of blocks."""
    for axis in (2, 3):
        starts = _starts(pixels.shape[axis])
        if len(starts) < pixels.shape[axis]:
            sizes = np.diff([*starts, pixels.shape[axis]])
            shape = [1] * 4
            shape[axis] = len(sizes)
            pixels = np.add.reduceat(pixels, starts, axis=axis) / sizes.reshape(shape)
    return pixels.reshape(len(pixels), -1)


def _starts(side: int) -> IntArray:
    parts = min(side, SIDE)
    return np.arange(parts) * side // parts
