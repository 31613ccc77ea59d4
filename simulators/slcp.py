"""Simple likelihood, complex posterior: four points from a Gaussian in the plane.

Five parameters: its mean, the roots of its two standard deviations, and its correlation through
tanh. The signs of the roots are lost, so that every posterior has four modes. The points come as
one vector of eight numbers, as the benchmark has it, or as the set that they are.

>>> theta, rng = np.zeros((1000, 5)), np.random.default_rng(0)
>>> slcp(theta, rng).shape, slcp_set(theta, rng).shape
((1000, 8), (1000, 4, 2))
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

POINTS = 4
BOUND = 3.0  # of the prior, on either side
LEAST = 1e-6  # added to both variances, as in sbibm


@simulator(batched=True)
def slcp(theta: Array, rng: np.random.Generator) -> Array:
    """Draw four points from a correlated Gaussian in the plane, side by side in one vector."""
    return points(theta, rng).reshape(len(theta), 2 * POINTS)


@simulator(batched=True, sets={"n": ["y"]})
def slcp_set(theta: Array, rng: np.random.Generator) -> Array:
    """Draw four points from a correlated Gaussian in the plane, as an exchangeable set."""
    return points(theta, rng)


def points(theta: Array, rng: np.random.Generator) -> Array:
    """Draw four points at each row of theta, shape (B, 5): shape (B, 4, 2)."""
    noise = rng.standard_normal((len(theta), POINTS, 2))
    return theta[:, None, :2] + noise @ factor(theta).transpose(0, 2, 1)


def factor(theta: Array) -> Array:
    """Give the Cholesky factors of the covariances at theta, shape (B, 2, 2)."""
    s1, s2 = theta[:, 2:4].T ** 2
    matrix = np.zeros((len(theta), 2, 2))
    matrix[:, 0, 0] = np.sqrt(s1**2 + LEAST)
    matrix[:, 1, 0] = np.tanh(theta[:, 4]) * s1 * s2 / matrix[:, 0, 0]
    matrix[:, 1, 1] = np.sqrt(s2**2 + LEAST - matrix[:, 1, 0] ** 2)
    return matrix


problem = Problem(
    slcp,
    Prior({f"theta{i}": st.uniform(-BOUND, 2 * BOUND) for i in range(1, 6)}),
    labels={"y": "points"},
    source="Papamakarios, Sterratt & Murray (2019), as in sbibm 1.1.0 (Lueckmann et al. 2021), "
    "task slcp",
)
problem_set = Problem(
    slcp_set,
    problem.prior,
    given={"n": POINTS},
    labels={"n": "number of points", "y": "points"},
    source=problem.source,
)
