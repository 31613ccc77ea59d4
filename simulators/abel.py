"""A radial profile from integrals along lines of sight (an Abel transform).

The profile has 64 shells, constant within each, and is seen edge on: along the line of sight at
impact parameter p the integral is the sum of the shells' values times the lengths of the line in
them. The prior is a smooth Gaussian profile, whose posterior is exact; `log_normal` bends it, so
that it is positive.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si
from sbi_inn.typing import FloatArray

SHELLS = 64
NOISE = 0.05


def lengths() -> FloatArray:
    """Give the length of each line of sight in each shell, in units of the radius, shape (64, 64).

    Examples
    --------
    >>> found = lengths()
    >>> bool(abs(found[0].sum() - 2) < 1e-3), float(found[40, :40].max())
    (True, 0.0)
    """
    edges = np.arange(SHELLS + 1) / SHELLS
    sight = (np.arange(SHELLS) + 0.5) / SHELLS
    reach = np.sqrt(np.maximum(edges**2 - sight[:, None] ** 2, 0))
    return 2 * np.diff(reach, axis=1)


LENGTHS = lengths()


def covariance(r: FloatArray) -> FloatArray:
    """Give the covariance of two shells, r apart: an exponential of length 10 shells."""
    return np.exp(-r / 10)


@si.simulator(batched=True)
def line_of_sight(profile: FloatArray, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Give noisy integrals along 64 lines of sight."""
    clean = profile @ LENGTHS.T
    return {"seen": clean + rng.normal(0, NOISE, clean.shape)}


def exact() -> tuple[FloatArray, FloatArray]:
    """Give the exact posterior: N(gain @ seen, covariance)."""
    apart = np.abs(np.subtract.outer(np.arange(SHELLS), np.arange(SHELLS)))
    prior = covariance(apart.astype(float))
    joint = LENGTHS @ prior
    gain = np.linalg.solve(joint @ LENGTHS.T + NOISE**2 * np.eye(SHELLS), joint).T
    return gain, prior - gain @ joint


problem = si.Problem(
    line_of_sight,
    si.Prior(profile=si.GaussianField(SHELLS, cov=covariance)),
    labels={"profile": "profile", "seen": "line-of-sight integrals"},
    source="the Abel transform, linear and Gaussian",
)

log_normal = si.Problem(
    line_of_sight,
    si.Prior(profile=si.GaussianField(SHELLS, cov=covariance, marginal=st.lognorm(0.5))),
    labels={"profile": "density", "seen": "line-of-sight integrals"},
    source="the Abel transform of a log-normal profile",
)
