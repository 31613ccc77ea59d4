"""Mean and spread of a population, from a sample of any size.

A set of exchangeable measurements, with a posterior that can be written down. The prior is
normal-inverse-gamma: sigma^2 is inverse gamma, so that sigma is generalised gamma of a negative
power, and mu is normal with a spread in proportion to sigma. Sample sizes are drawn
log-uniformly, so that small samples are learned as well as large ones.

>>> exact = posterior([0.8, 1.2, 1.0])
>>> round(float(exact["mu"].mean()), 2), round(float(exact["sigma"].mean()), 2)
(0.75, 0.95)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Distribution = Any  # a frozen scipy distribution
Array = npt.NDArray[np.float64]

MEAN = 0.0  # of mu
WEIGHT = 1.0  # of the prior on mu, in measurements
SHAPE, RATE = 3.0, 3.0  # of the inverse gamma prior on sigma^2
LARGEST = 500


@simulator(batched=True, sets={"n": ["y"]})
def normal_sample(mu: Array, sigma: Array, n: Array, rng: np.random.Generator) -> Array:
    """Draw a sample of n measurements; what lies beyond a row's own n is ignored."""
    return rng.normal(mu[:, None], sigma[:, None], (len(mu), int(n.max())))


def spread(shape: float, rate: float) -> Distribution:
    """Give the law of sigma where sigma^2 is inverse gamma: (gamma variate / rate)^(-1/2)."""
    return st.gengamma(shape, -2, scale=np.sqrt(rate))


def posterior(y: npt.ArrayLike) -> dict[str, Distribution]:
    """Give the exact marginal posteriors at the measurements `y`, shape (n,).

    Returns
    -------
    dict
        Frozen scipy distributions of "mu" (Student's t) and "sigma" (generalised gamma).
    """
    y = np.asarray(y, np.float64)
    n, mean = len(y), y.mean()
    weight, shape = WEIGHT + n, SHAPE + n / 2
    centre = (WEIGHT * MEAN + n * mean) / weight
    squares = ((y - mean) ** 2).sum() + WEIGHT * n / weight * (mean - MEAN) ** 2
    rate = RATE + squares / 2
    return {
        "mu": st.t(2 * shape, loc=centre, scale=np.sqrt(rate / (shape * weight))),
        "sigma": spread(shape, rate),
    }


problem = Problem(
    normal_sample,
    Prior(
        sigma=spread(SHAPE, RATE),
        mu=lambda sigma: st.norm(MEAN, sigma / np.sqrt(WEIGHT)),
    ),
    given={"n": st.zipfian(1, LARGEST)},
    labels={"mu": "mean", "sigma": "standard deviation", "n": "sample size", "y": "measurements"},
    source="Gelman et al., Bayesian Data Analysis (3rd ed.), sec. 3.3",
)
