"""A mixture of three normal distributions, in sets of 200 to 1,000 draws.

The means are in order: the second and the third prior start where the one before is.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

MOST = 1_000
PIECE = 50  # parameters that are looked at together, so that arrays stay in the cache
LOWEST = 1e-300  # of a density, so that its logarithm is a number
MEANS, SDS = ("low", "middle", "high"), ("sd_low", "sd_middle", "sd_high")


@si.simulator(batched=True, sets={"n": ["x"]})
def mixture(weights, low, middle, high, sd_low, sd_middle, sd_high, n, rng):
    shape = (len(low), int(n.max()))
    which = (rng.random(shape)[..., None] > np.cumsum(weights, axis=1)[:, None, :2]).sum(axis=2)
    mean = np.take_along_axis(np.stack([low, middle, high], axis=1), which, axis=1)
    sd = np.take_along_axis(np.stack([sd_low, sd_middle, sd_high], axis=1), which, axis=1)
    return {"x": mean + sd * rng.normal(size=shape)}


def log_likelihood(parameters, y):
    mean = np.stack([parameters[name] for name in MEANS], axis=1)[..., None]
    sd = np.stack([parameters[name] for name in SDS], axis=1)[..., None]
    height = parameters["weights"][..., None] / sd / np.sqrt(2 * np.pi)
    found = np.empty(len(mean))
    for piece in np.array_split(np.arange(len(mean)), -(-len(mean) // PIECE)):
        each = height[piece] * np.exp(-0.5 * ((y["x"] - mean[piece]) / sd[piece]) ** 2)
        found[piece] = np.log(each.sum(axis=1) + LOWEST).sum(axis=1)
    return found


def to_walk(flat):
    """Leave out the last weight: what is left may walk anywhere."""
    return np.delete(flat, 2, axis=1)


def from_walk(points):
    """Put the last weight back."""
    return np.insert(points, 2, 1 - points[:, :2].sum(axis=1), axis=1)


problem = si.Problem(
    mixture,
    si.Prior(
        weights=st.dirichlet([2.0, 2.0, 2.0]),
        low=st.norm(0, 10),
        middle=lambda low: st.expon(low, 5),
        high=lambda middle: st.expon(middle, 5),
        sd_low=st.halfnorm(0, 3),
        sd_middle=st.halfnorm(0, 3),
        sd_high=st.halfnorm(0, 3),
    ),
    given={"n": st.randint(200, MOST + 1)},
)

TRUTHS = tuple(
    dict(zip(problem.prior.names, values, strict=True))
    for values in (
        ((0.3, 0.5, 0.2), -4.0, 0.0, 5.0, 0.8, 1.2, 1.0),
        ((0.2, 0.35, 0.45), 2.0, 4.5, 9.0, 0.7, 0.9, 1.8),
        ((0.5, 0.2, 0.3), -9.0, -5.0, 1.0, 1.3, 0.6, 2.0),
    )
)
GIVENS = ({"n": 400}, {"n": 800}, {"n": 250})
