"""A map that is blurred, noisy, and has a hole: the posterior is a Gaussian field, exactly.

The field is periodic, 32 x 32 pixels, of power (1 + (k / 3)^2)^-1.75 and unit variance. It is seen
blurred by a Gaussian of 1.5 pixels, with noise of .1, but for 12 x 12 pixels in the middle.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

import sbi_inn as si
from sbi_inn.typing import FloatArray

SIDE = 32
BLUR = 1.5  # pixels
NOISE = 0.1
HOLE = slice(10, 22)


def power(k: FloatArray) -> FloatArray:
    """Give the power of the field at wave numbers, in cycles along a side."""
    return (1 + (k / 3) ** 2) ** -1.75


def blur(sky: FloatArray) -> FloatArray:
    """Blur maps (..., 32, 32) by a Gaussian of 1.5 pixels, on a torus.

    Examples
    --------
    >>> point = np.zeros((32, 32))
    >>> point[0, 0] = 1
    >>> blur(point)[0, :4].round(4).tolist()
    [0.0707, 0.0566, 0.0291, 0.0096]
    """
    apart = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE))
    kernel = np.exp(-0.5 * (apart / BLUR) ** 2)
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    return fft.irfft2(fft.rfft2(sky) * fft.rfft2(kernel), s=(SIDE, SIDE))


@si.simulator(images=["seen"])
def telescope(sky: FloatArray) -> dict[str, FloatArray]:
    """Give what would be seen without noise."""
    return {"seen": blur(sky)}


def detector(seen: FloatArray, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Add noise, and lose the middle."""
    noisy = seen + rng.normal(0, NOISE, seen.shape)
    noisy[..., HOLE, HOLE] = np.nan
    return {"seen": noisy}


def exact() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give the exact posterior: of pixels laid flat it is N(gain @ what is seen, covariance).

    Returns
    -------
    gain : array, shape (1024, seen)
    covariance : array, shape (1024, 1024)
    mask : array of bool, shape (1024,)
        Which pixels are seen.
    """
    prior = field_covariance()
    slopes = blur(np.eye(SIDE**2).reshape(-1, SIDE, SIDE)).reshape(SIDE**2, -1)
    mask = np.ones((SIDE, SIDE), bool)
    mask[HOLE, HOLE] = False
    seen = slopes[mask.ravel()]
    noise = NOISE**2 * np.eye(len(seen))
    gain = np.linalg.solve(seen @ prior @ seen.T + noise, seen @ prior).T
    return gain, prior - gain @ seen @ prior, mask.ravel()


def field_covariance() -> FloatArray:
    """Give the covariance of the field, shape (1024, 1024)."""
    pixels = np.eye(SIDE**2)
    fields = si.Prior(sky=FIELD)
    root = fields.from_latent(pixels)["sky"].reshape(SIDE**2, -1)
    return root.T @ root


FIELD = si.GaussianField((SIDE, SIDE), power=power)

problem = si.Problem(
    telescope,
    si.Prior(sky=FIELD),
    noise=detector,
    labels={"sky": "sky", "seen": "what is seen"},
    source="a linear Gaussian problem, whose posterior is known",
)
