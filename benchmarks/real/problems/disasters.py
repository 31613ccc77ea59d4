"""Disasters in coal mines, counted in 112 years: a rate that changes in some year."""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

YEARS = np.arange(112)
NAMES = ("early", "late", "change", "duration")


def rate(early, late, change, duration):
    """Give the rate in each year, shape (n, 112): it changes within about `duration` years."""
    share = sp.expit((YEARS - change[:, None]) / duration[:, None])
    return early[:, None] ** (1 - share) * late[:, None] ** share


@si.simulator(batched=True)
def disasters(early, late, change, duration, rng):
    return {"disasters": rng.poisson(rate(early, late, change, duration))}


def log_likelihood(parameters, y):
    mean, seen = rate(*(parameters[name] for name in NAMES)), y["disasters"]
    return (seen * np.log(mean) - mean - sp.gammaln(seen + 1)).sum(axis=1)


problem = si.Problem(
    disasters,
    si.Prior(
        early=st.expon(scale=20),
        late=st.expon(scale=20),
        change=st.uniform(0, 112),
        duration=st.loguniform(0.5, 30),
    ),
    units={"early": "1/a", "late": "1/a", "change": "a", "duration": "a"},
)

TRUTHS = tuple(
    dict(zip(NAMES, values, strict=True))
    for values in ((3.1, 0.9, 40.0, 1.5), (2.0, 7.0, 75.0, 8.0), (12.0, 4.0, 25.0, 3.0))
)
