"""Leaves of 46 shrubs: a regression of the logarithm of their weight on six known measures."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

_RNG = np.random.default_rng(7)
_SIZE = _RNG.normal(size=(46, 1))
MEASURES = np.column_stack(
    [0.5 + 0.5 * _SIZE + [0.15, 0.15, 0.3, 0.25, 0.2] * _RNG.normal(size=(46, 5))]
    + [(_RNG.random(46) < 0.5).astype(float)]
)
DESIGN = np.column_stack([np.ones(46), MEASURES])
NAMES = ("intercept", "diameter", "breadth", "height", "total", "density", "group")


@si.simulator(batched=True)
def shrubs(intercept, diameter, breadth, height, total, density, group, noise, rng):
    weights = np.stack([intercept, diameter, breadth, height, total, density, group], axis=1)
    normal = rng.normal(size=(len(noise), len(DESIGN)))
    return {"log_weight": weights @ DESIGN.T + noise[:, None] * normal}


def log_likelihood(parameters, y):
    weights = np.stack([parameters[name] for name in NAMES], axis=1)
    scale = parameters["noise"][:, None]
    return st.norm.logpdf(y["log_weight"], weights @ DESIGN.T, scale).sum(axis=1)


problem = si.Problem(
    shrubs,
    si.Prior(**dict.fromkeys(NAMES, st.norm(0, 10)), noise=st.halfcauchy(0, 5)),
)

TRUTHS = tuple(
    dict(zip((*NAMES, "noise"), values, strict=True))
    for values in (
        (4.8, 0.4, 1.1, 0.4, 0.4, 0.1, 0.6, 0.34),
        (2.0, 0.0, 2.0, -1.0, 0.5, 0.3, -0.6, 0.8),
        (6.0, 1.0, 0.5, 0.2, 0.1, 0.4, 0.3, 0.2),
    )
)
