"""A population that overshoots what feeds it, and the counts of it that are seen.

Ricker's map with noise in the growth: in each generation the population N is multiplied by
r exp(-N + e), with e ~ N(0, sigma^2), and a Poisson number with mean rho N is counted. From 10
at the start it falls at once; what follows is chaotic where r is large, with crashes to next to
nothing, so that most counts are zero or far from it.

The population is followed in its logarithm, which no crash can bring to minus infinity.

>>> path = log_populations(np.array([7.4]), np.zeros(1), 3, np.random.default_rng(1))
>>> np.exp(path[:, 0]).round(4)  # without noise: 7.4 * 10 * exp(-10), and so on
array([0.0034, 0.0248, 0.1789])
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

START = 10.0  # population before the first generation that is counted
SHORTEST, LONGEST = 100, 500  # generations that are counted


@simulator(batched=True, series={"generations": ["count"]})
def ricker(
    r: Array, sigma: Array, rho: Array, generations: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Count a population in each generation; what lies beyond a row's own length is ignored."""
    path = log_populations(r, sigma, int(generations.max()), rng)
    return {"count": rng.poisson(rho[:, None] * np.exp(path.T)).astype(float)}


def log_populations(r: Array, sigma: Array, generations: int, rng: np.random.Generator) -> Array:
    """Follow the logarithms of populations, shape (generations, B), from the first one counted."""
    noise = sigma * rng.standard_normal((generations, len(r)))
    growth, state = np.log(r), np.full(len(r), np.log(START))
    path = np.empty_like(noise)
    for t in range(generations):
        state = state + growth - np.exp(state) + noise[t]
        path[t] = state
    return path


problem = Problem(
    ricker,
    Prior(r=st.uniform(1, 89), sigma=st.uniform(0.05, 0.65), rho=st.uniform(0, 15)),
    given={"generations": st.randint(SHORTEST, LONGEST + 1)},
    labels={
        "r": "growth rate",
        "sigma": "noise in the growth",
        "rho": "share that is counted",
        "generations": "number of generations",
        "count": "individuals counted",
    },
    source="Wood (2010), doi:10.1038/nature09319; priors of Radev et al. (2020), arXiv:2003.06281",
)
