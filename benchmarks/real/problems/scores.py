"""Test scores of 434 children: a regression on their mother's schooling and test score.

Posterior: given the noise, Gaussian; the noise on a grid.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

_RNG = np.random.default_rng(11)
DESIGN = np.column_stack(
    [
        np.ones(434),
        _RNG.random(434) < 0.79,  # mother finished school
        _RNG.normal(100, 15, 434).clip(71, 139),  # her own score
    ]
)
NAMES = ("intercept", "school", "mother")
WIDE = np.array([100.0, 20.0, 2.0])  # sds of the priors


@si.simulator(batched=True)
def scores(intercept, school, mother, noise, rng):
    mean = np.stack([intercept, school, mother], axis=1) @ DESIGN.T
    return {"score": mean + noise[:, None] * rng.normal(size=mean.shape)}


def log_likelihood(parameters, y):
    mean = np.stack([parameters[name] for name in NAMES], axis=1) @ DESIGN.T
    return st.norm.logpdf(y["score"], mean, parameters["noise"][:, None]).sum(axis=1)


problem = si.Problem(
    scores,
    si.Prior(
        **{name: st.norm(0, sd) for name, sd in zip(NAMES, WIDE, strict=True)},
        noise=st.halfcauchy(0, 10),
    ),
)

TRUTHS = tuple(
    dict(zip((*NAMES, "noise"), values, strict=True))
    for values in ((26.0, 6.0, 0.56, 18.0), (80.0, -10.0, 0.1, 10.0), (-20.0, 15.0, 1.2, 30.0))
)


def exact(y, n, rng):
    """Draw from the exact posterior: flat, in the order of the prior's columns."""
    from real.conjugate import draw

    return draw(DESIGN, y["score"], np.zeros(3), WIDE, st.halfcauchy(0, 10), n, rng)
