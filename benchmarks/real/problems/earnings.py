"""Earnings of 1,192 people: their logarithm follows from how tall they are, and from their sex.

Posterior: given the noise, Gaussian; the noise on a grid.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

_RNG = np.random.default_rng(12)
_MALE = _RNG.random(1_192) < 0.4
DESIGN = np.column_stack(
    [
        np.ones(1_192),
        np.where(_MALE, 70.0, 64.5) + 2.7 * _RNG.normal(size=1_192),  # height, inches
        _MALE,
    ]
)
NAMES = ("intercept", "height", "male")
WIDE = np.array([10.0, 1.0, 5.0])  # sds of the priors


@si.simulator(batched=True)
def earnings(intercept, height, male, noise, rng):
    mean = np.stack([intercept, height, male], axis=1) @ DESIGN.T
    return {"log_earnings": mean + noise[:, None] * rng.normal(size=mean.shape)}


def log_likelihood(parameters, y):
    mean = np.stack([parameters[name] for name in NAMES], axis=1) @ DESIGN.T
    return st.norm.logpdf(y["log_earnings"], mean, parameters["noise"][:, None]).sum(axis=1)


problem = si.Problem(
    earnings,
    si.Prior(
        **{name: st.norm(0, sd) for name, sd in zip(NAMES, WIDE, strict=True)},
        noise=st.halfcauchy(0, 2.5),
    ),
)

TRUTHS = tuple(
    dict(zip((*NAMES, "noise"), values, strict=True))
    for values in ((8.2, 0.02, 0.42, 0.88), (5.0, 0.06, 0.1, 0.5), (12.0, -0.03, 0.8, 1.5))
)


def exact(y, n, rng):
    """Draw from the exact posterior: flat, in the order of the prior's columns."""
    from real.conjugate import draw

    return draw(DESIGN, y["log_earnings"], np.zeros(3), WIDE, st.halfcauchy(0, 2.5), n, rng)
