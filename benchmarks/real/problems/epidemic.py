"""An epidemic: 60 days of reported cases, of which only a part is reported.

Susceptible, exposed, infectious, recovered, in a city of a million. Transmission, incubation,
infectious time, the exposed and infectious of the first day, the share that is reported and its
noise (negative binomial) are unknown: seven parameters, several of which the data know only
together. Runge-Kutta in steps of a day.
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

CITY, DAYS, STEPS = 1e6, 60, 1
STATES = ("transmission", "incubation", "infectious", "exposed_first", "infectious_first")
FEWEST = 1e-8  # expected cases of a day


def infections(transmission, incubation, infectious, exposed_first, infectious_first):
    """Give how many fall ill on each day, shape (n, 60)."""

    def slope(s, e, i):
        new, ill = transmission * s * i / CITY, e / incubation
        return np.stack([-new, new - ill, ill - i / infectious, ill])

    first = CITY - exposed_first - infectious_first
    now = np.stack([first, exposed_first, infectious_first, np.zeros_like(first)])
    h, total = 1 / STEPS, [now[3]]
    for _ in range(DAYS):
        for _ in range(STEPS):
            a = slope(*now[:3])
            b = slope(*(now + h / 2 * a)[:3])
            c = slope(*(now + h / 2 * b)[:3])
            d = slope(*(now + h * c)[:3])
            now = np.maximum(now + h / 6 * (a + 2 * b + 2 * c + d), 0)
        total.append(now[3])
    return np.diff(total, axis=0).T


def expected(parameters):
    """Give the expected cases (n, 60), and the size of the negative binomial (n, 1)."""
    ill = infections(*(parameters[name] for name in STATES))
    mean = np.maximum(parameters["reported"][:, None] * ill, FEWEST)
    return mean, parameters["size"][:, None]


@si.simulator(batched=True)
def epidemic(
    transmission, incubation, infectious, exposed_first, infectious_first, reported, size, rng
):
    rates = (transmission, incubation, infectious, exposed_first, infectious_first)
    mean, size = expected(
        dict(zip(STATES, rates, strict=True)) | {"reported": reported, "size": size}
    )
    return {"cases": rng.poisson(rng.gamma(size, mean / size)).astype(float)}


def log_likelihood(parameters, y):
    mean, size = expected(parameters)
    cases = y["cases"]
    ways = sp.gammaln(cases + size) - sp.gammaln(size) - sp.gammaln(cases + 1)
    return (
        ways + cases * np.log(mean) + size * np.log(size) - (cases + size) * np.log(size + mean)
    ).sum(1)


problem = si.Problem(
    epidemic,
    si.Prior(
        transmission=st.lognorm(0.7, scale=0.5),
        incubation=st.lognorm(0.5, scale=4),
        infectious=st.lognorm(0.5, scale=6),
        exposed_first=st.loguniform(1, 2_000),
        infectious_first=st.loguniform(1, 2_000),
        reported=st.beta(1.5, 3),
        size=st.lognorm(1, scale=10),
    ),
    units={"transmission": "1/d", "incubation": "d", "infectious": "d"},
)

TRUTHS = tuple(
    dict(zip(problem.prior.names, values, strict=True))
    for values in (
        (0.45, 4.0, 5.0, 120.0, 60.0, 0.3, 20.0),
        (0.7, 5.5, 4.0, 30.0, 25.0, 0.15, 8.0),
        (0.35, 3.0, 8.0, 200.0, 300.0, 0.5, 30.0),
    )
)
