"""Symmetric square roots of the covariance of a field: from white noise to the field, and back.

A Cholesky factor would give the same densities, but the whitened field would not be an image. A
symmetric root leaves every pixel at its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from scipy import fft

from sbi_inn.typing import FloatArray

AT_ONCE = 4_000_000
"""Pixels that are transformed at once: 100 MB at most."""


@dataclass(frozen=True, eq=False)
class Fourier:
    """The root of a stationary covariance on a periodic grid.

    Attributes
    ----------
    spectrum : array, shape (1 or n, *shape)
        Variance of each mode, positive, on the grid of `scipy.fft.fftfreq`; one for all fields, or
        one for each.
    """

    spectrum: FloatArray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a field."""
        return self.spectrum.shape[1:]

    @cached_property
    def log_det(self) -> FloatArray:
        """Log-determinant of the root, shape (1 or n,)."""
        return 0.5 * np.log(self.spectrum).reshape(len(self.spectrum), -1).sum(axis=1)

    def colour(self, white: FloatArray) -> FloatArray:
        """Map white noise (n, *shape) to fields."""
        return self._filtered(white, np.sqrt(self._half))

    def whiten(self, fields: FloatArray) -> FloatArray:
        """Map fields (n, *shape) to white noise: the inverse of `colour`."""
        return self._filtered(fields, 1 / np.sqrt(self._half))

    @property
    def _half(self) -> FloatArray:
        return self.spectrum[..., : self.shape[-1] // 2 + 1]

    def _filtered(self, fields: FloatArray, factor: FloatArray) -> FloatArray:
        axes, found = tuple(range(1, fields.ndim)), np.empty(fields.shape)
        rows = max(1, AT_ONCE // prod(self.shape))
        for first in range(0, len(fields), rows):
            here = slice(first, first + rows)
            modes = fft.rfftn(fields[here], axes=axes)
            modes *= factor if len(factor) == 1 else factor[here]
            found[here] = fft.irfftn(modes, s=self.shape, axes=axes)
        return found


@dataclass(frozen=True, eq=False)
class Dense:
    """The root of any covariance, through its eigenvectors.

    Attributes
    ----------
    shape : tuple of int
        Of a field.
    sds : array, shape (pixels,)
        Square roots of the eigenvalues, positive.
    vectors : array, shape (pixels, pixels)
        Eigenvectors, in columns.
    """

    shape: tuple[int, ...]
    sds: FloatArray
    vectors: FloatArray

    @property
    def log_det(self) -> FloatArray:
        """Log-determinant of the root, shape (1,)."""
        return np.log(self.sds).sum(keepdims=True)

    def colour(self, white: FloatArray) -> FloatArray:
        """Map white noise (n, *shape) to fields."""
        return self._times(white, self.sds)

    def whiten(self, fields: FloatArray) -> FloatArray:
        """Map fields (n, *shape) to white noise: the inverse of `colour`."""
        return self._times(fields, 1 / self.sds)

    def _times(self, fields: FloatArray, factor: FloatArray) -> FloatArray:
        flat = fields.reshape(len(fields), -1) @ self.vectors
        return ((flat * factor) @ self.vectors.T).reshape(fields.shape)


Root = Fourier | Dense
