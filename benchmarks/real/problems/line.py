"""A straight line through 62 yearly values, whose years are not centred.

Intercept and slope lie on a needle: a thousand times longer than wide, and a tiny part of the
prior. Posterior: given the noise, Gaussian; the noise on a grid.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

YEAR = np.arange(1952.0, 2014.0)
DESIGN = np.stack([np.ones_like(YEAR), YEAR], axis=1)
WIDE = np.array([100.0, 1.0])  # sds of the priors of intercept and slope


@si.simulator(batched=True)
def line(intercept, slope, sigma, rng):
    mean = intercept[:, None] + slope[:, None] * YEAR
    return {"temperature": mean + sigma[:, None] * rng.normal(size=mean.shape)}


def log_likelihood(parameters, y):
    mean = np.stack([parameters["intercept"], parameters["slope"]], axis=1) @ DESIGN.T
    return st.norm.logpdf(y["temperature"], mean, parameters["sigma"][:, None]).sum(axis=1)


problem = si.Problem(
    line,
    si.Prior(intercept=st.norm(0, WIDE[0]), slope=st.norm(0, WIDE[1]), sigma=st.halfcauchy(0, 5)),
    units={"temperature": "degrees C", "slope": "degrees C a year"},
)

TRUTHS = (
    {"intercept": -30.0, "slope": 0.02, "sigma": 1.1},
    {"intercept": 48.0, "slope": -0.02, "sigma": 0.6},
    {"intercept": -90.0, "slope": 0.05, "sigma": 2.0},
)


def exact(y, n, rng):
    """Draw from the exact posterior: flat, in the order of the prior's columns."""
    from real.conjugate import draw

    return draw(DESIGN, y["temperature"], np.zeros(2), WIDE, st.halfcauchy(0, 5), n, rng)
