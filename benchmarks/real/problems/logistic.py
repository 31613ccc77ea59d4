"""A logistic regression: a set of 200 rows, each with two covariates and an outcome.

Survival (0 or 1) by dose (mg/kg) and sex. The rows have no order; the covariates are new in every
simulation, and are columns of the set.
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

ROWS = 200


def logit(intercept, by_dose, by_sex, dose, sex):
    return intercept[:, None] + by_dose[:, None] * dose + by_sex[:, None] * sex


@si.simulator(batched=True, sets={"n": ["dose", "sex", "survived"]})
def logistic(intercept, by_dose, by_sex, n, rng):
    shape = (len(intercept), int(n.max()))
    dose, sex = rng.uniform(0, 10, shape), rng.binomial(1, 0.5, shape).astype(float)
    chance = sp.expit(logit(intercept, by_dose, by_sex, dose, sex))
    return {"dose": dose, "sex": sex, "survived": rng.binomial(1, chance).astype(float)}


def log_likelihood(parameters, y):
    names = ("intercept", "by_dose", "by_sex")
    score = logit(*(parameters[name] for name in names), y["dose"], y["sex"])
    return sp.log_expit(np.where(y["survived"] == 1, score, -score)).sum(axis=1)


problem = si.Problem(
    logistic,
    si.Prior(intercept=st.norm(0, 10), by_dose=st.norm(0, 5), by_sex=st.norm(0, 10)),
    given={"n": ROWS},
    units={"dose": "mg/kg"},
)

TRUTHS = (
    {"intercept": 2.0, "by_dose": -0.5, "by_sex": 0.7},
    {"intercept": -1.5, "by_dose": 0.2, "by_sex": 1.2},
    {"intercept": 4.0, "by_dose": -0.9, "by_sex": -1.0},
)
