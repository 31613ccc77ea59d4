"""An epidemic with a latent period, seen as `sir` is: ten polls of 1,000 people, 17 days apart.

Whom the infected meet is exposed first, and infects others only later. One of a million people is
exposed on day 0. With the polls of `sir`, it is a question of comparison whether the disease has
a latent period at all; either likelihood is known, ten binomial ones.

>>> share = infected(np.array([0.4]), np.array([0.125]), np.array([0.2]))[0]
>>> share.round(3).tolist()
[0.0, 0.0, 0.0, 0.0, 0.001, 0.012, 0.074, 0.192, 0.122, 0.036]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st
from sbi_inn.simulators import sir

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

STEPS = 85  # of the Runge-Kutta method, from one poll to the next: a fifth of a day each


@simulator(batched=True)
def seir(beta: Array, gamma: Array, sigma: Array, rng: np.random.Generator) -> Array:
    """Test a thousand people every 17 days of an epidemic, and count the infectious."""
    return rng.binomial(sir.TESTS, infected(beta, gamma, sigma)).astype(float)


def infected(beta: Array, gamma: Array, sigma: Array) -> Array:
    """Give the share of people who are infectious, every 17 days from day 0, shape (B, 10)."""
    state = np.zeros((3, *np.shape(beta)))  # susceptible, exposed, infectious
    state[0], state[1] = 1 - sir.FIRST, sir.FIRST
    shares = [state[2]]
    with np.errstate(over="ignore", invalid="ignore"):  # rates beyond the steps give nan
        for _ in range(sir.TIMES - 1):
            for _ in range(STEPS):
                state = _stepped(state, beta, gamma, sigma, sir.DAYS / STEPS)
            shares.append(state[2])
    return np.stack(shares, axis=-1).clip(0, 1)


def log_likelihood(y: npt.ArrayLike, beta: Array, gamma: Array, sigma: Array) -> Array:
    """Give the exact log likelihood of ten counts, shape (10,), at rates of shape (B,)."""
    return sir.log_likelihood_of_shares(y, infected(beta, gamma, sigma))


def _stepped(state: Array, beta: Array, gamma: Array, sigma: Array, step: float) -> Array:
    """Take one step of the classical Runge-Kutta method."""

    def change(state: Array) -> Array:
        meet, fall_ill = beta * state[0] * state[2], sigma * state[1]
        return np.stack([-meet, meet - fall_ill, fall_ill - gamma * state[2]])

    first = change(state)
    second = change(state + step / 2 * first)
    third = change(state + step / 2 * second)
    fourth = change(state + step * third)
    return state + step / 6 * (first + 2 * (second + third) + fourth)


problem = Problem(
    seir,
    Prior(
        beta=st.lognorm(0.5, scale=0.4),
        gamma=st.lognorm(0.2, scale=0.125),
        sigma=st.lognorm(0.3, scale=0.2),
    ),
    units={"beta": "1/day", "gamma": "1/day", "sigma": "1/day"},
    labels={
        "beta": "contact rate",
        "gamma": "recovery rate",
        "sigma": "rate of falling ill",
        "y": "infected of 1,000 tested",
    },
    source="Kermack & McKendrick (1927) with a latent period, seen as in sbibm 1.1.0, task sir",
)
