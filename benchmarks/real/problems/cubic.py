"""A cubic through 80 points, under priors that say next to nothing.

The 80 values share four directions, along which the prior spreads them a hundred times wider than
their noise. Posterior: given the noise, Gaussian; the noise on a grid.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

X = np.linspace(-2.0, 2.0, 80)
POWERS = X[:, None] ** np.arange(4)
WIDE = 10.0  # sd of the prior of a coefficient
NAMES = ("c0", "c1", "c2", "c3")


@si.simulator(batched=True)
def cubic(c0, c1, c2, c3, sigma, rng):
    curve = np.stack([c0, c1, c2, c3], axis=1) @ POWERS.T
    return {"y": curve + sigma[:, None] * rng.normal(size=curve.shape)}


def log_likelihood(parameters, y):
    curve = np.stack([parameters[name] for name in NAMES], axis=1) @ POWERS.T
    return st.norm.logpdf(y["y"], curve, parameters["sigma"][:, None]).sum(axis=1)


problem = si.Problem(
    cubic,
    si.Prior(**dict.fromkeys(NAMES, st.norm(0, WIDE)), sigma=st.halfnorm(0, 5)),
)

TRUTHS = (
    {"c0": 1.0, "c1": -2.0, "c2": 0.5, "c3": 1.0, "sigma": 0.5},
    {"c0": -4.0, "c1": 3.0, "c2": 2.0, "c3": -1.5, "sigma": 1.5},
    {"c0": 8.0, "c1": 0.5, "c2": -3.0, "c3": 0.2, "sigma": 0.2},
)


def exact(y, n, rng):
    """Draw from the exact posterior: flat, in the order of the prior's columns."""
    from real.conjugate import draw

    return draw(POWERS, y["y"], np.zeros(4), np.full(4, WIDE), st.halfnorm(0, 5), n, rng)
