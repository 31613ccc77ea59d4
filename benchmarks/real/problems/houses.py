"""Prices of 300 houses: a linear regression on fifteen measures that go together.

Posterior: given the noise, Gaussian; the noise on a grid.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si
from real import conjugate

HOUSES, MEASURES = 300, 15
_RNG = np.random.default_rng(13)
_SHARED = _RNG.normal(size=(HOUSES, 3)) @ _RNG.normal(size=(3, MEASURES))
DESIGN = np.column_stack([np.ones(HOUSES), _SHARED + _RNG.normal(size=(HOUSES, MEASURES))])
NAMES = ("intercept", *(f"slope{i}" for i in range(1, MEASURES + 1)))
WIDE, NOISE = 10.0, st.halfcauchy(0, 5)


@si.simulator(batched=True)
def houses(coefficients, noise, rng):
    mean = coefficients @ DESIGN.T
    return {"price": mean + noise[:, None] * rng.normal(size=mean.shape)}


def log_likelihood(parameters, y):
    mean = parameters["coefficients"] @ DESIGN.T
    return st.norm.logpdf(y["price"], mean, parameters["noise"][:, None]).sum(axis=1)


problem = si.Problem(
    houses,
    si.Prior(
        coefficients=st.multivariate_normal(np.zeros(1 + MEASURES), WIDE**2 * np.eye(1 + MEASURES)),
        noise=NOISE,
    ),
)

TRUTHS = tuple(
    {"coefficients": size * _RNG.normal(size=1 + MEASURES), "noise": noise}
    for size, noise in ((1.0, 1.0), (3.0, 0.3), (0.3, 4.0))
)


def exact(y, n, rng):
    """Draw from the exact posterior: flat, in the order of the prior's columns."""
    k = 1 + MEASURES
    return conjugate.draw(DESIGN, y["price"], np.zeros(k), np.full(k, WIDE), NOISE, n, rng)
