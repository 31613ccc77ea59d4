"""Ten means, each measured once, known to lie in a box: the posterior is a Gaussian cut off.

As gaussian_linear, but that the prior is uniform, and ends within reach of the noise.

>>> round(float(posterior(np.zeros(10))[0].std()), 4)
0.3135
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

DIM = 10
BOUND = 1.0  # of the prior, on either side
SIGMA = np.sqrt(0.1)  # of the noise, in each direction


@simulator(batched=True)
def gaussian_linear_uniform(theta: Array, rng: np.random.Generator) -> Array:
    """Measure each of ten means with Gaussian noise of variance 0.1."""
    return theta + rng.normal(0, SIGMA, theta.shape)


def posterior(y: npt.ArrayLike) -> list[Distribution]:
    """Give the exact posteriors of the ten means at `y`, shape (10,): they are independent."""
    return [
        st.truncnorm((-BOUND - value) / SIGMA, (BOUND - value) / SIGMA, value, SIGMA)
        for value in np.asarray(y, np.float64)
    ]


problem = Problem(
    gaussian_linear_uniform,
    Prior({f"theta{i}": st.uniform(-BOUND, 2 * BOUND) for i in range(1, DIM + 1)}),
    labels={"y": "measurement"},
    source="sbibm 1.1.0 (Lueckmann et al. 2021), task gaussian_linear_uniform",
)
