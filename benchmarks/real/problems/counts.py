"""Pairs of a bird of prey, counted in 40 years: a Poisson regression on a cubic of the year.

The priors are flat and wide: counts of a simulation may be 0 in all years, or 10^17.
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

YEARS = (np.arange(40) - 19.5) / 20
MOST = 1e9  # of a Poisson law; above, the normal one that it tends to
HIGHEST = 50.0  # of a log rate
NAMES = ("level", "linear", "quadratic", "cubic")


def log_rate(parameters):
    """Give the logarithm of the rate in each year, shape (n, 40)."""
    each = [parameters[name][:, None] * YEARS**power for power, name in enumerate(NAMES)]
    return np.minimum(sum(each), HIGHEST)


@si.simulator(batched=True)
def counts(level, linear, quadratic, cubic, rng):
    values = (level, linear, quadratic, cubic)
    rate = np.exp(log_rate(dict(zip(NAMES, values, strict=True))))
    few = rng.poisson(np.minimum(rate, MOST))
    many = np.round(rate + np.sqrt(rate) * rng.normal(size=rate.shape))
    return {"pairs": np.where(rate < MOST, few, many).astype(float)}


def log_likelihood(parameters, y):
    seen, mean = y["pairs"], log_rate(parameters)
    return (seen * mean - np.exp(mean) - sp.gammaln(seen + 1)).sum(axis=1)


problem = si.Problem(
    counts,
    si.Prior(level=st.uniform(-20, 40), **dict.fromkeys(NAMES[1:], st.uniform(-10, 20))),
)

TRUTHS = (
    {"level": 4.3, "linear": 1.3, "quadratic": 0.1, "cubic": -0.2},
    {"level": 2.0, "linear": -1.0, "quadratic": 0.8, "cubic": 0.5},
    {"level": 3.5, "linear": 0.2, "quadratic": -1.0, "cubic": 1.0},
)
