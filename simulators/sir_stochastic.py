"""An epidemic among a thousand people, one infection and one recovery at a time.

In each tenth of a day, of S susceptible and I infected people,

    Bin(S, 1 - exp(-beta (I + 1/2) / N dt)) are infected,    Bin(I, 1 - exp(-gamma dt)) recover.

The half person stands for contacts with the outside, so that an epidemic that died out can begin
again. All three compartments are seen after every step.

The likelihood is a product of binomials, so that the posterior is known: `posterior` gives it on a
grid. With dt small it is that of two Poisson rates: how many were infected, over how many contacts
there were, and how many recovered, over how many days of illness.

>>> one_step = {"susceptible": [998.0], "infected": [2.0], "recovered": [0.0]}
>>> grid, density = posterior(**one_step)["beta"]
>>> bool(density[-1] > density[0])  # one infection says: contacts are not rare
True
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]
Likelihood = Callable[[Array], Array]

PEOPLE = 1000
INFECTED = 1  # at the start
OUTSIDE = 0.5  # infected people elsewhere whom everybody meets
STEP = 0.1  # days
SHORTEST, LONGEST = 200, 500  # steps that are seen
SLOWEST, FASTEST = 0.01, 1.0  # beta, 1/day
GRID = 2_000


@simulator(batched=True, series={"steps": ["susceptible", "infected", "recovered"]})
def sir_stochastic(
    beta: Array, gamma: Array, steps: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Follow an epidemic; what lies beyond a row's own length is ignored."""
    longest = int(steps.max())
    susceptible = np.full(len(beta), PEOPLE - INFECTED)
    infected = np.full(len(beta), INFECTED)
    path = np.empty((2, len(beta), longest))
    recovers = -np.expm1(-gamma * STEP)
    for t in range(longest):
        falls_ill = -np.expm1(-beta * contacts(infected))
        ill, well = rng.binomial(susceptible, falls_ill), rng.binomial(infected, recovers)
        susceptible, infected = susceptible - ill, infected + ill - well
        path[:, :, t] = susceptible, infected
    seen = {"susceptible": path[0], "infected": path[1]}
    return seen | {"recovered": PEOPLE - path[0] - path[1]}


def contacts(infected: npt.ArrayLike) -> Array:
    """Give the days of contact with somebody infected that everybody has in a step."""
    return (np.asarray(infected) + OUTSIDE) / PEOPLE * STEP


def posterior(
    susceptible: npt.ArrayLike, infected: npt.ArrayLike, recovered: npt.ArrayLike
) -> dict[str, tuple[Array, Array]]:
    """Give the exact marginal posteriors at series of (n,) steps.

    Returns
    -------
    dict
        For "beta" and "gamma" a grid (1/day) and the density on it.
    """
    log_beta, log_gamma = log_likelihoods(susceptible, infected, recovered)
    edges = np.linspace(0.0, FASTEST, GRID + 1)
    grid, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    # gamma is uniform below beta: its density there is 1 / beta.
    beta = np.where(grid > SLOWEST, _relative(log_beta(grid)) / grid, 0.0)
    gamma = _relative(log_gamma(grid))
    below, above = np.cumsum(gamma) - gamma / 2, np.cumsum(beta[::-1])[::-1] - beta / 2
    joint = {"beta": beta * below, "gamma": gamma * above}
    return {name: (grid, d / (d.sum() * width)) for name, d in joint.items()}


def log_likelihoods(
    susceptible: npt.ArrayLike, infected: npt.ArrayLike, recovered: npt.ArrayLike
) -> tuple[Likelihood, Likelihood]:
    """Give the log-likelihoods of beta and of gamma, but for constants, at series of (n,) steps."""
    s, i, r = (
        np.append(first, series)
        for first, series in (
            (PEOPLE - INFECTED, susceptible),
            (INFECTED, infected),
            (0, recovered),
        )
    )
    ill, well = -np.diff(s), np.diff(r)
    contact, days = contacts(i[:-1]), i[:-1] * STEP
    sums = ill.sum(), (contact * (s[:-1] - ill / 2)).sum(), (ill * contact**2).sum() / 24
    recoveries, ill_days = well.sum(), (days - well * STEP).sum()

    def of_beta(beta: Array) -> Array:
        # log(1 - exp(-x)) = log x - x / 2 + x^2 / 24 - ..., and x is at most a tenth.
        return sums[0] * np.log(beta) - sums[1] * beta + sums[2] * beta**2

    def of_gamma(gamma: Array) -> Array:
        return recoveries * np.log(-np.expm1(-gamma * STEP)) - ill_days * gamma

    return of_beta, of_gamma


def _relative(log_density: Array) -> Array:
    """Give a density whose largest value is 1."""
    return np.exp(log_density - log_density.max())


problem = Problem(
    sir_stochastic,
    Prior(beta=st.uniform(SLOWEST, FASTEST - SLOWEST), gamma=lambda beta: st.uniform(0, beta)),
    given={"steps": st.randint(SHORTEST, LONGEST + 1)},
    units={"beta": "1/day", "gamma": "1/day"},
    labels={
        "beta": "contact rate",
        "gamma": "recovery rate",
        "steps": "number of steps of 0.1 day",
        "susceptible": "susceptible people",
        "infected": "infected people",
        "recovered": "recovered people",
    },
    source="the stochastic SIR model of Radev et al. (2020), arXiv:2003.06281",
)
