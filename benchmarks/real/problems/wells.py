"""Choices of 300 households: do they change to a safer well? Three measures of each are known."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

_RNG = np.random.default_rng(5)
DESIGN = np.column_stack(
    [
        np.ones(300),
        _RNG.gamma(2, 0.5, 300),  # distance to the next safe well, 100 m
        _RNG.gamma(2, 1.0, 300),  # arsenic in the own well, 100 micrograms a litre
        _RNG.integers(0, 18, 300) / 4,  # years at school, by four
    ]
)
NAMES = ("intercept", "distance", "arsenic", "school")


@si.simulator(batched=True)
def wells(intercept, distance, arsenic, school, rng):
    odds = np.stack([intercept, distance, arsenic, school], axis=1) @ DESIGN.T
    return {"switch": rng.logistic(size=odds.shape) < odds}


def log_likelihood(parameters, y):
    odds = np.stack([parameters[name] for name in NAMES], axis=1) @ DESIGN.T
    return -np.logaddexp(0, np.where(y["switch"] > 0.5, -odds, odds)).sum(axis=1)


problem = si.Problem(wells, si.Prior(**dict.fromkeys(NAMES, st.norm(0, 5))))

TRUTHS = tuple(
    dict(zip(NAMES, values, strict=True))
    for values in ((0.0, -0.9, 0.47, 0.17), (-0.5, -0.5, 0.8, 0.05), (0.4, -1.2, 0.2, 0.4))
)
