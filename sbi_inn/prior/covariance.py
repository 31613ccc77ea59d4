"""From a power spectrum or a covariance function to the covariance of a field on its grid."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from scipy import fft
from scipy.linalg import eigh

from sbi_inn.errors import PriorError
from sbi_inn.prior.root import Dense
from sbi_inn.typing import FloatArray, IntArray

LARGEST_DENSE = 4_096
"""Pixels of a field whose covariance is turned to eigenvectors: a minute, and 400 MB."""

SMALLEST = 1e-10
"""Eigenvalue, relative to the largest, below which a direction counts as fixed."""


def wave_numbers(shape: tuple[int, ...], periods: int = 1) -> FloatArray:
    """Give the wave number of each mode of a grid, in cycles along its longest side.

    Parameters
    ----------
    shape : tuple of int
    periods : int
        How often the field fits along each side of the grid that repeats itself.

    Examples
    --------
    >>> wave_numbers((4,))
    array([0., 1., 2., 1.])
    """
    longest = max(shape)
    axes = [fft.fftfreq(periods * n) * longest for n in shape]
    return np.sqrt(np.square(np.stack(np.meshgrid(*axes, indexing="ij"))).sum(axis=0))


def distances(shape: tuple[int, ...], *, periodic: bool) -> FloatArray:
    """Give distances in pixels: from the first pixel if periodic, else between all pairs."""
    if periodic:
        axes = [np.minimum(np.arange(n), n - np.arange(n)) for n in shape]
        grids = np.stack(np.meshgrid(*axes, indexing="ij"))
        return np.sqrt(np.square(grids).sum(axis=0, dtype=float))
    return np.sqrt(np.square(_apart(shape)).sum(axis=2, dtype=float))


def _apart(shape: tuple[int, ...]) -> IntArray:
    """Give how far apart two pixels are along each side, shape (pixels, pixels, sides)."""
    grids = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    places = grids.reshape(-1, len(shape))
    return np.abs(places[:, None] - places[None])


def check_spectrum(where: str, spectrum: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Give the spectrum (1 or n, *shape) if it can be one.

    Raises
    ------
    PriorError
        For another shape, and for power that is not positive and finite.
    """
    spectrum = np.asarray(spectrum, dtype=float)
    if spectrum.shape[1:] != shape:
        raise PriorError(
            f"{where}: power must give one number for each wave number, shape {shape}; got "
            f"{spectrum.shape[1:]}"
        )
    if not (np.isfinite(spectrum) & (spectrum > 0)).all():
        wrong = spectrum[~(np.isfinite(spectrum) & (spectrum > 0))]
        raise PriorError(
            f"{where}: power must be positive and finite at every wave number, 0 included, so that "
            f"the field has a density; got {wrong.flat[0]:g}"
        )
    return spectrum


def from_padded(spectrum: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Give the covariance (pixels, pixels) of a window of a periodic field twice as wide."""
    lags = fft.ifftn(spectrum).real
    return lags[tuple(np.moveaxis(_apart(shape), -1, 0))]


def spectrum_of(where: str, cov: Callable[[FloatArray], Any], shape: tuple[int, ...]) -> FloatArray:
    """Give the spectrum of a covariance function on a periodic grid, shape `shape`."""
    found = fft.fftn(_evaluated(where, cov, distances(shape, periodic=True))).real
    if not (found > SMALLEST * found.max()).all():
        raise PriorError(
            f"{where}: on a periodic grid this cov is not a covariance, as its spectrum is not "
            f"positive (lowest: {found.min():.3g}): take a shorter correlation length, or "
            "periodic=False"
        )
    return found


def between(where: str, cov: Callable[[FloatArray], Any], shape: tuple[int, ...]) -> FloatArray:
    """Give the covariance (pixels, pixels) of a covariance function of the distance."""
    return _evaluated(where, cov, distances(shape, periodic=False))


def dense_root(where: str, cov: FloatArray, shape: tuple[int, ...]) -> Dense:
    """Find the symmetric root of a covariance (pixels, pixels).

    Raises
    ------
    PriorError
        If there are too many pixels, or it is not symmetric and positive definite.
    """
    pixels = prod(shape)
    if pixels > LARGEST_DENSE:
        raise PriorError(
            f"{where}: a field that is not periodic may have {LARGEST_DENSE:,} pixels; got "
            f"{pixels:,}. With power= and periodic=True it may have more"
        )
    cov = np.asarray(cov, dtype=float)
    if cov.shape != (pixels, pixels) or not np.isfinite(cov).all():
        raise PriorError(
            f"{where}: cov must be finite, of shape {(pixels, pixels)}, or a function of the "
            f"distance in pixels; got shape {cov.shape}"
        )
    if not np.allclose(cov, cov.T, atol=1e-8 * np.abs(cov).max()):
        raise PriorError(f"{where}: cov must be symmetric")
    values, vectors = eigh(cov)
    if not values[0] > SMALLEST * values[-1]:
        raise PriorError(
            f"{where}: cov must be positive definite; its eigenvalues run from {values[0]:.3g} to "
            f"{values[-1]:.3g}. A little noise on the diagonal helps"
        )
    return Dense(shape, np.sqrt(values), vectors)


def _evaluated(where: str, cov: Callable[[FloatArray], Any], at: FloatArray) -> FloatArray:
    found = np.asarray(cov(at), dtype=float)
    if found.shape != at.shape or not np.isfinite(found).all():
        raise PriorError(
            f"{where}: cov must give one finite number for each distance; called with shape "
            f"{at.shape} it gave shape {found.shape}"
        )
    return found
