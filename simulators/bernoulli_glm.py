"""A neuron's response to white noise: a Bernoulli generalised linear model, with a smooth filter.

In each of 100 bins the neuron spikes or not, with a probability that follows the stimulus of the
last nine bins through a filter and a logistic function. Ten parameters: the offset, then the
filter. Seen are the spikes, or their count and their products with the stimulus at nine lags, which
are sufficient.

>>> rng = np.random.default_rng(0)
>>> bernoulli_glm(np.zeros((1000, 10)), rng).shape
(1000, 10)
>>> spikes = bernoulli_glm_raw(np.zeros((1000, 10)), rng)
>>> spikes.shape, bool(abs(spikes.mean() - 0.5) < 0.01)
((1000, 100), True)
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.stats as st
from scipy.special import expit

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

BINS = 100
LAGS = 9


@simulator(batched=True)
def bernoulli_glm(theta: Array, rng: np.random.Generator) -> Array:
    """Count a neuron's spikes, and correlate them with the stimulus at nine lags."""
    return spikes(theta, rng) @ design()


@simulator(batched=True)
def bernoulli_glm_raw(theta: Array, rng: np.random.Generator) -> Array:
    """Record in which of 100 bins a neuron spikes."""
    return spikes(theta, rng)


def spikes(theta: Array, rng: np.random.Generator) -> Array:
    """Draw spikes at offsets and filters, shape (B, 10): 0 or 1, shape (B, 100)."""
    chance = expit(theta @ design().T)
    return (rng.random(chance.shape) < chance).astype(float)


@cache
def design() -> Array:
    """Give the design matrix, shape (100, 10): ones, and the stimulus shifted by 0 to 8 bins."""
    stimulus = np.random.RandomState(42).randn(BINS).astype(np.float32)  # as in the source
    matrix = np.ones((BINS, 1 + LAGS))
    for lag in range(LAGS):
        matrix[:, 1 + lag] = np.pad(stimulus, (lag, 0))[:BINS]
    return matrix


def precision() -> Array:
    """Give the prior's precision matrix, shape (10, 10): filters are smooth, and fade with lag."""
    difference = np.eye(LAGS) - np.eye(LAGS, k=-1)
    roughness = difference @ difference + np.diag(np.sqrt(np.arange(LAGS) / LAGS))
    matrix = np.zeros((1 + LAGS, 1 + LAGS))
    matrix[0, 0] = 0.5
    matrix[1:, 1:] = roughness.T @ roughness
    return matrix


problem = Problem(
    bernoulli_glm,
    Prior(theta=st.multivariate_normal(np.zeros(1 + LAGS), np.linalg.inv(precision()))),
    labels={"theta": "offset and filter", "y": "spike count and products with the stimulus"},
    source="Gonçalves et al. (2020), as in sbibm 1.1.0 (Lueckmann et al. 2021), task bernoulli_glm",
)
problem_raw = Problem(
    bernoulli_glm_raw,
    problem.prior,
    labels={"theta": "offset and filter", "y": "spikes"},
    source=problem.source + "_raw",
)
