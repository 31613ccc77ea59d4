"""Cockroaches caught in 150 flats: counts that scatter more than a Poisson law has it.

A negative binomial regression. Of each flat it is known how many were caught before, whether it was
treated, whether it is for the elderly, and for how long traps stood there.
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

_RNG = np.random.default_rng(7)
FLATS = 150
DESIGN = np.column_stack(
    [
        np.ones(FLATS),
        np.sqrt(_RNG.gamma(0.3, 150, FLATS)) / 5,  # root of how many before, by five
        _RNG.random(FLATS) < 0.6,  # treated
        _RNG.random(FLATS) < 0.3,  # for the elderly
    ]
)
DAYS = _RNG.choice([0.5, 1.0, 1.5], FLATS)  # of the traps, in weeks
NAMES = ("intercept", "before", "treatment", "elderly")
HIGHEST = 40.0  # of a log rate


def expected(parameters):
    """Give mean counts (n, 150), and the size of the negative binomial (n, 1)."""
    log_rate = np.stack([parameters[name] for name in NAMES], axis=1) @ DESIGN.T
    return DAYS * np.exp(np.minimum(log_rate, HIGHEST)), parameters["size"][:, None]


@si.simulator(batched=True)
def roaches(intercept, before, treatment, elderly, size, rng):
    values = (intercept, before, treatment, elderly)
    mean, size = expected(dict(zip(NAMES, values, strict=True)) | {"size": size})
    rate = rng.gamma(size, mean / size)
    many = np.round(rate + np.sqrt(rate) * rng.normal(size=rate.shape))
    return {"caught": np.where(rate < 1e9, rng.poisson(np.minimum(rate, 1e9)), many).astype(float)}


def log_likelihood(parameters, y):
    mean, size = expected(parameters)
    caught = y["caught"]
    ways = sp.gammaln(caught + size) - sp.gammaln(size) - sp.gammaln(caught + 1)
    shares = caught * np.log(mean) + size * np.log(size) - (caught + size) * np.log(size + mean)
    return (ways + shares).sum(axis=1)


problem = si.Problem(
    roaches,
    si.Prior(**dict.fromkeys(NAMES, st.norm(0, 3)), size=st.halfcauchy(0, 2)),
)

TRUTHS = tuple(
    dict(zip(problem.prior.names, values, strict=True))
    for values in (
        (2.8, 0.7, -0.8, -0.3, 0.3),
        (1.5, 0.5, -0.3, 0.4, 1.2),
        (3.5, 0.4, -1.2, -0.8, 3.0),
    )
)
