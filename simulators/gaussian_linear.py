"""Ten means, each measured once: the posterior is a Gaussian that can be written down.

Prior and noise have the same variance, so that the posterior mean is half the observation and its
variance half of theirs.

>>> mean, covariance = posterior(np.ones(10))
>>> float(mean[0]), float(covariance[0, 0])
(0.5, 0.05)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

DIM = 10
VARIANCE = 0.1  # of the prior and of the noise, in each direction


@simulator(batched=True)
def gaussian_linear(theta: Array, rng: np.random.Generator) -> Array:
    """Measure each of ten means with Gaussian noise of variance 0.1."""
    return theta + rng.normal(0, np.sqrt(VARIANCE), theta.shape)


def posterior(y: npt.ArrayLike) -> tuple[Array, Array]:
    """Give the mean, shape (10,), and covariance, shape (10, 10), of the exact posterior at `y`."""
    return np.asarray(y, np.float64) / 2, VARIANCE / 2 * np.eye(DIM)


problem = Problem(
    gaussian_linear,
    Prior(theta=st.multivariate_normal(np.zeros(DIM), VARIANCE * np.eye(DIM))),
    labels={"theta": "mean", "y": "measurement"},
    source="sbibm 1.1.0 (Lueckmann et al. 2021), task gaussian_linear",
)
