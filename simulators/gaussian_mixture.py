"""A point in the plane, measured well or badly: the posterior is a sharp Gaussian in a broad one.

>>> inside = posterior([0.0, 0.0])
>>> round(float(np.exp(inside.logpdf([0.0, 0.0]))), 3)
8.037
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Mixture, Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

BOUND = 10.0  # of the prior, on either side
SIGMAS = np.array([1.0, 0.1])  # of the noise, equally likely, in each direction


@simulator(batched=True)
def gaussian_mixture(theta: Array, rng: np.random.Generator) -> Array:
    """Measure a point with Gaussian noise of standard deviation 1 or 0.1, equally likely."""
    sigma = rng.choice(SIGMAS, len(theta))
    return theta + sigma[:, None] * rng.standard_normal(theta.shape)


def posterior(y: npt.ArrayLike) -> Mixture:
    """Give the posterior at `y`, shape (2,), but for the cut where the prior ends."""
    mean = np.asarray(y, np.float64)
    components = [st.multivariate_normal(mean, sigma**2 * np.eye(2)) for sigma in SIGMAS]
    return Mixture([0.5, 0.5], components)


problem = Problem(
    gaussian_mixture,
    Prior(theta1=st.uniform(-BOUND, 2 * BOUND), theta2=st.uniform(-BOUND, 2 * BOUND)),
    labels={"y": "measurement"},
    source="Sisson, Fan & Tanaka (2007), as in sbibm 1.1.0 (Lueckmann et al. 2021), "
    "task gaussian_mixture",
)
