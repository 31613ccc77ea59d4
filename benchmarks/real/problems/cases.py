"""Cases at eleven places along a coast: counts whose log rate is a Gaussian process.

Asked are its length, its height, and the log rate at each place.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

PLACES = np.linspace(-10, 10, 11)
GAPS = np.abs(PLACES[:, None] - PLACES)
HIGHEST = 30.0  # of a log rate


def log_rates(length, height, shape):
    """Give log rates (n, 11) of standard normal shapes (n, 11)."""
    cover = np.exp(-0.5 * (GAPS / length[:, None, None]) ** 2) + 1e-8 * np.eye(11)
    rates = height[:, None] * (np.linalg.cholesky(cover) @ shape[..., None])[..., 0]
    return rates.clip(-HIGHEST, HIGHEST)


@si.simulator(batched=True)
def cases(length, height, shape, rng):
    return {"cases": rng.poisson(np.exp(log_rates(length, height, shape))).astype(float)}


def log_likelihood(parameters, y):
    rates = log_rates(*(parameters[name] for name in ("length", "height", "shape")))
    return (y["cases"] * rates - np.exp(rates)).sum(axis=1)


problem = si.Problem(
    cases,
    si.Prior(
        length=st.gamma(25, scale=0.25),
        height=st.halfnorm(0, 2),
        shape=st.multivariate_normal(np.zeros(11), np.eye(11)),
    ),
    units={"length": "km"},
)

_RNG = np.random.default_rng(17)
TRUTHS = tuple(
    {"length": length, "height": height, "shape": _RNG.normal(size=11)}
    for length, height in ((5.5, 3.0), (7.0, 1.0), (4.0, 2.0))
)
