"""A linear regression: a set of 200 rows, each with two covariates and a response.

Blood pressure (mmHg) by age (years) and treatment (0 or 1). The rows have no order; the covariates
are new in every simulation, and are columns of the set. Posterior: given the noise, Gaussian; the
noise on a grid.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

ROWS = 200
WIDE = np.array([100.0, 10.0, 50.0])  # sds of the priors of the coefficients
NAMES = ("intercept", "by_age", "by_treatment")


def design(y):
    """Give the columns that the coefficients are for, shape (rows, 3)."""
    return np.stack([np.ones(len(y["age"])), y["age"], y["treatment"]], axis=1)


@si.simulator(batched=True, sets={"n": ["age", "treatment", "pressure"]})
def regression(intercept, by_age, by_treatment, sigma, n, rng):
    shape = (len(sigma), int(n.max()))
    age, treatment = rng.uniform(30, 70, shape), rng.binomial(1, 0.5, shape).astype(float)
    mean = intercept[:, None] + by_age[:, None] * age + by_treatment[:, None] * treatment
    noise = sigma[:, None] * rng.normal(size=shape)
    return {"age": age, "treatment": treatment, "pressure": mean + noise}


def log_likelihood(parameters, y):
    mean = np.stack([parameters[name] for name in NAMES], axis=1) @ design(y).T
    return st.norm.logpdf(y["pressure"], mean, parameters["sigma"][:, None]).sum(axis=1)


problem = si.Problem(
    regression,
    si.Prior(
        **{name: st.norm(0, sd) for name, sd in zip(NAMES, WIDE, strict=True)},
        sigma=st.halfcauchy(0, 20),
    ),
    given={"n": ROWS},
    units={"age": "years", "pressure": "mmHg"},
)

TRUTHS = (
    {"intercept": 95.0, "by_age": 0.6, "by_treatment": -8.0, "sigma": 12.0},
    {"intercept": 70.0, "by_age": 1.1, "by_treatment": -15.0, "sigma": 9.0},
    {"intercept": 120.0, "by_age": 0.2, "by_treatment": 3.0, "sigma": 18.0},
)


def exact(y, n, rng):
    """Draw from the exact posterior: flat, in the order of the prior's columns."""
    from real.conjugate import draw

    return draw(design(y), y["pressure"], np.zeros(3), WIDE, st.halfcauchy(0, 20), n, rng)
