"""A hundred years of a river's flow: a level that wanders, seen with noise (a local level model).

Posterior: given the three parameters the flows are Gaussian (Durbin and Koopman 2012, ch. 2).
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

YEARS = 100
# The covariance of a random walk turns into independent parts; these do not depend on its size.
_STEPS = np.minimum.outer(np.arange(YEARS), np.arange(YEARS)).astype(float)
SIZES, AXES = np.linalg.eigh(_STEPS)


@si.simulator(batched=True)
def river(start, step, noise, rng):
    steps = step[:, None] * rng.normal(size=(len(start), YEARS))
    steps[:, 0] = start
    level = np.cumsum(steps, axis=1)
    return {"flow": level + noise[:, None] * rng.normal(size=level.shape)}


def log_likelihood(parameters, y):
    gap = (y["flow"] @ AXES) - parameters["start"][:, None] * AXES.sum(axis=0)
    width = parameters["step"][:, None] ** 2 * SIZES + parameters["noise"][:, None] ** 2
    return -0.5 * (gap**2 / width + np.log(width)).sum(axis=1)


problem = si.Problem(
    river,
    si.Prior(start=st.norm(1000, 1000), step=st.halfcauchy(0, 50), noise=st.halfcauchy(0, 100)),
    units=dict.fromkeys(("flow", "start", "step", "noise"), "1e8 m3"),
)

TRUTHS = (
    {"start": 1100.0, "step": 38.0, "noise": 123.0},
    {"start": 800.0, "step": 100.0, "noise": 60.0},
    {"start": 1500.0, "step": 10.0, "noise": 200.0},
)
