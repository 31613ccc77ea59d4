"""The four points of slcp, hidden among 92 numbers that say nothing.

The distractors are heavy-tailed: a mixture, in equal shares, of twenty multivariate Student's t
with 2 degrees of freedom. Points and distractors come as one vector of 100, in a fixed shuffled
order. The posterior is that of slcp.

>>> y = slcp_distractors(np.zeros((1000, 5)), np.random.default_rng(0))
>>> y.shape, bool(np.abs(y[:, places()[:8]]).max() < 0.01)
((1000, 100), True)
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from sbi_inn.simulators import slcp

from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

DISTRACTORS = 92
COMPONENTS = 20
FREEDOM = 2  # degrees of freedom of Student's t


@simulator(batched=True)
def slcp_distractors(theta: Array, rng: np.random.Generator) -> Array:
    """Draw four points from a correlated Gaussian in the plane, and hide them in heavy noise."""
    points = slcp.slcp(theta, rng)
    _, _, order = constants()
    return np.hstack([points, distractors(len(theta), rng)])[:, order]


def distractors(n: int, rng: np.random.Generator) -> Array:
    """Draw from the mixture of Student's t, shape (n, 92)."""
    location, scale, _ = constants()
    which = rng.integers(COMPONENTS, size=n)
    draws = rng.standard_normal((n, DISTRACTORS))
    draws /= np.sqrt(rng.chisquare(FREEDOM, (n, 1)) / FREEDOM)
    for k in range(COMPONENTS):
        draws[which == k] = location[k] + draws[which == k] @ scale[k].T
    return draws


def places() -> npt.NDArray[np.intp]:
    """Say where in y the eight numbers of slcp stand, then the distractors, shape (100,)."""
    return constants()[2].argsort()


@cache
def constants() -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """Draw what sbibm froze in files, with its generator and seed and in its order.

    Returns
    -------
    tuple
        Locations, shape (20, 92), and lower triangular scales, shape (20, 92, 92), of the mixture;
        and the order that points and distractors are put in, shape (100,).
    """
    rng = np.random.RandomState(42)  # numpy will not change its stream
    location = 15 * rng.normal(size=(COMPONENTS, DISTRACTORS))
    scale = np.empty((COMPONENTS, DISTRACTORS, DISTRACTORS))
    for factor in scale:
        factor[:] = np.tril(rng.normal(size=factor.shape))
        factor += np.diag(np.exp(rng.normal(size=DISTRACTORS)))
    return location, 3 * scale, rng.permutation(2 * slcp.POINTS + DISTRACTORS)


problem = Problem(
    slcp_distractors,
    slcp.problem.prior,
    labels={"y": "points and distractors"},
    source="Greenberg, Nonnenmacher & Macke (2019), as in sbibm 1.1.0 (Lueckmann et al. 2021), "
    "task slcp_distractors",
)
