"""Votes of 1,179 people for one of two candidates, and in which fifth of incomes they are."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

INCOME = np.random.default_rng(13).integers(1, 6, 1_179).astype(float)


@si.simulator(batched=True)
def votes(intercept, income, rng):
    odds = intercept[:, None] + income[:, None] * INCOME
    return {"vote": rng.logistic(size=odds.shape) < odds}


def log_likelihood(parameters, y):
    odds = parameters["intercept"][:, None] + parameters["income"][:, None] * INCOME
    return -np.logaddexp(0, np.where(y["vote"] > 0.5, -odds, odds)).sum(axis=1)


problem = si.Problem(votes, si.Prior(intercept=st.norm(0, 5), income=st.norm(0, 2.5)))

TRUTHS = (
    {"intercept": -1.4, "income": 0.33},
    {"intercept": 0.5, "income": -0.2},
    {"intercept": -2.5, "income": 0.9},
)
