"""A slice through a body from few projections: the posterior is a Gaussian field, exactly.

Eight parallel projections over 120 degrees, of 32 bins each, with noise of .5; the field is that of
`gaussian_field`.
"""

from __future__ import annotations

import numpy as np
from sbi_inn.simulators.gaussian_field import FIELD, SIDE, field_covariance

import sbi_inn as si
from sbi_inn.typing import FloatArray

ANGLES = np.deg2rad(np.arange(8) * 15.0)
BINS = 32
NOISE = 0.5


def projections() -> FloatArray:
    """Give the sums along lines as a matrix, shape (8 * 32, 1024).

    A pixel's weight goes to the two bins that its centre lies between; what falls beyond the
    detector is lost.

    Examples
    --------
    >>> found = projections()
    >>> found.shape, float(found[:32].sum(axis=0).max().round(6))
    ((256, 1024), 1.0)
    """
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    found = np.zeros((len(ANGLES), BINS, SIDE * SIDE))
    for view, angle in enumerate(ANGLES):
        place = (x * np.cos(angle) + y * np.sin(angle) + (BINS - 1) / 2).ravel()
        low = np.floor(place).astype(int)
        for which, weight in ((low, low + 1 - place), (low + 1, place - low)):
            inside = np.flatnonzero((which >= 0) & (which < BINS))
            np.add.at(found[view], (which[inside], inside), weight[inside])
    return found.reshape(-1, SIDE * SIDE)


PROJECTIONS = projections()


@si.simulator(batched=True)
def scanner(sky: FloatArray, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Give noisy projections, shape (8, 32) each."""
    clean = sky.reshape(len(sky), -1) @ PROJECTIONS.T
    noisy = clean + rng.normal(0, NOISE, clean.shape)
    return {"sinogram": noisy.reshape(-1, len(ANGLES), BINS)}


def exact() -> tuple[FloatArray, FloatArray]:
    """Give the exact posterior: of pixels laid flat it is N(gain @ sinogram, covariance)."""
    prior = field_covariance()
    noise = NOISE**2 * np.eye(len(PROJECTIONS))
    joint = PROJECTIONS @ prior
    gain = np.linalg.solve(joint @ PROJECTIONS.T + noise, joint).T
    return gain, prior - gain @ joint


problem = si.Problem(
    scanner,
    si.Prior(sky=FIELD),
    labels={"sky": "density", "sinogram": "sinogram"},
    source="parallel-beam tomography with few views, linear and Gaussian",
)
