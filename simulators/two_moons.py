"""Two moons: a posterior of two thin crescents, global and local structure at once.

A point on a crescent-shaped cloud is shifted by the parameters, which enter only through
|theta1 + theta2| and theta2 - theta1: every observation has two crescents of parameters that
explain it, mirror images in the line theta1 + theta2 = 0.

>>> rng = np.random.default_rng(0)
>>> y = two_moons(np.zeros(1000), np.zeros(1000), rng)
>>> y.shape, bool(np.allclose(np.hypot(y[:, 0] - 0.25, y[:, 1]), 0.1, atol=0.06))
((1000, 2), True)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]


@simulator(batched=True)
def two_moons(theta1: Array, theta2: Array, rng: np.random.Generator) -> Array:
    """Put a point on a noisy half circle and shift it by two parameters, up to a mirror."""
    angle = rng.uniform(-np.pi / 2, np.pi / 2, len(theta1))
    radius = rng.normal(0.1, 0.01, len(theta1))
    return np.column_stack(
        [
            radius * np.cos(angle) + 0.25 - np.abs(theta1 + theta2) / np.sqrt(2),
            radius * np.sin(angle) + (theta2 - theta1) / np.sqrt(2),
        ]
    )


problem = Problem(
    two_moons,
    Prior(theta1=st.uniform(-1, 2), theta2=st.uniform(-1, 2)),
    source="Greenberg, Nonnenmacher & Macke (2019), as in sbibm 1.1.0 (Lueckmann et al. 2021), "
    "task two_moons",
)
