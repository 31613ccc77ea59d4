"""An epidemic, and the ten polls that are seen of it: susceptible, infected, recovered.

One of a million people is infected on day 0. Every 17 days a thousand people are tested. Infected
people are the predators of susceptible ones, who do not multiply.

>>> share = infected(np.array([0.4]), np.array([0.125]))[0]
>>> share.round(3).tolist()
[0.0, 0.0, 0.011, 0.307, 0.129, 0.023, 0.004, 0.001, 0.0, 0.0]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st
from sbi_inn.simulators import _predator_prey

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

FIRST = 1e-6  # infected, of the whole population
TESTS = 1000  # each time
DAYS = 17.0  # from one time to the next
TIMES = 10


@simulator(batched=True)
def sir(beta: Array, gamma: Array, rng: np.random.Generator) -> Array:
    """Test a thousand people every 17 days of an epidemic, and count the infected."""
    return rng.binomial(TESTS, infected(beta, gamma)).astype(float)


def infected(beta: Array, gamma: Array) -> Array:
    """Give the share of people who are infected, every 17 days from day 0, shape (B, 10)."""
    path = _predator_prey.log_populations(
        np.zeros_like(beta),
        beta,
        gamma,
        beta,
        start=(1 - FIRST, FIRST),
        interval=DAYS,
        times=TIMES,
    )
    return np.exp(path[:, 1]).T.clip(max=1)


def log_likelihood(y: npt.ArrayLike, beta: Array, gamma: Array) -> Array:
    """Give the exact log likelihood of ten counts, shape (10,), at rates of shape (B,)."""
    return log_likelihood_of_shares(y, infected(beta, gamma))


def log_likelihood_of_shares(y: npt.ArrayLike, shares: Array) -> Array:
    """Give the binomial log likelihood of counts, shape (10,), of shares of shape (B, 10)."""
    return st.binom(TESTS, shares).logpmf(np.asarray(y, np.float64)).sum(axis=-1)


problem = Problem(
    sir,
    Prior(beta=st.lognorm(0.5, scale=0.4), gamma=st.lognorm(0.2, scale=0.125)),
    units={"beta": "1/day", "gamma": "1/day"},
    labels={"beta": "contact rate", "gamma": "recovery rate", "y": "infected of 1,000 tested"},
    source="Kermack & McKendrick (1927), as in sbibm 1.1.0 (Lueckmann et al. 2021), task sir",
)
