"""Survival of 100 patients under two treatments: a Weibull law, censored after five years.

A set of rows: the treatment (0 or 1), the years that a patient was seen, and whether he died then.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

PATIENTS, END = 100, 5.0


@si.simulator(batched=True, sets={"n": ["treated", "years", "died"]})
def survival(shape, scale, effect, n, rng):
    size = (len(shape), int(n.max()))
    treated = rng.binomial(1, 0.5, size).astype(float)
    usual = scale[:, None] * np.exp(effect[:, None] * treated)
    years = usual * rng.exponential(size=size) ** (1 / shape[:, None])
    return {"treated": treated, "years": np.minimum(years, END), "died": (years < END) * 1.0}


def log_likelihood(parameters, y):
    shape = parameters["shape"][:, None]
    usual = parameters["scale"][:, None] * np.exp(parameters["effect"][:, None] * y["treated"])
    log_time = np.log(y["years"]) - np.log(usual)
    hazard = np.log(shape) - np.log(y["years"]) + shape * log_time
    return (y["died"] * hazard - np.exp(shape * log_time)).sum(axis=1)


problem = si.Problem(
    survival,
    si.Prior(shape=st.lognorm(1.0), scale=st.lognorm(2.0, scale=3), effect=st.norm(0, 2)),
    given={"n": PATIENTS},
    units={"scale": "years", "years": "years"},
)

TRUTHS = (
    {"shape": 1.3, "scale": 3.0, "effect": 0.5},
    {"shape": 0.7, "scale": 8.0, "effect": -0.6},
    {"shape": 2.5, "scale": 2.0, "effect": 0.2},
)
