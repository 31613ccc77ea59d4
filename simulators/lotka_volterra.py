"""Prey and predators, each counted ten times with errors of a tenth.

Thirty prey and one predator at time 0; they are counted then and every 2.1 units of time.

>>> counts = np.exp(log_counts(*np.array([[0.7], [0.05], [0.7], [0.05]])))[0].round(1)
>>> counts[:4].tolist(), counts[10:14].tolist()
([30.0, 42.5, 0.9, 0.8], [1.0, 47.4, 28.6, 7.1])
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

PREY, PREDATORS = 30.0, 1.0  # at time 0
INTERVAL = 2.1
TIMES = 10
FEWEST, MOST = 1e-10, 1e4  # what is counted before the error is that at least, and at most
SIGMA = 0.1  # of the error, in the logarithm


@simulator(batched=True)
def lotka_volterra(
    alpha: Array, beta: Array, gamma: Array, delta: Array, rng: np.random.Generator
) -> Array:
    """Count prey and predators ten times, with lognormal errors."""
    centre = log_counts(alpha, beta, gamma, delta)
    return np.exp(centre + SIGMA * rng.standard_normal(centre.shape))


def log_counts(alpha: Array, beta: Array, gamma: Array, delta: Array) -> Array:
    """Give the logarithms of ten counts of prey, then ten of predators, shape (B, 20)."""
    path = _predator_prey.log_populations(
        alpha, beta, gamma, delta, start=(PREY, PREDATORS), interval=INTERVAL, times=TIMES
    )
    return path.transpose(2, 1, 0).reshape(len(alpha), -1).clip(np.log(FEWEST), np.log(MOST))


FAST, SLOW = st.lognorm(0.5, scale=np.exp(-0.125)), st.lognorm(0.5, scale=np.exp(-3.0))
problem = Problem(
    lotka_volterra,
    Prior(alpha=FAST, beta=SLOW, gamma=FAST, delta=SLOW),
    labels={
        "alpha": "growth of the prey",
        "beta": "loss of prey to predators",
        "gamma": "loss of the predators",
        "delta": "growth of predators on prey",
        "y": "prey, then predators",
    },
    source="Lotka (1920), as in sbibm 1.1.0 (Lueckmann et al. 2021), task lotka_volterra",
)
