"""Distances of 60 supernovae with known redshifts and errors: matter and dark energy."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

_RNG = np.random.default_rng(3)
REDSHIFTS, ERRORS = np.sort(_RNG.uniform(0.02, 1.2, 60)), _RNG.uniform(0.08, 0.2, 60)
GRID = np.linspace(0, 1.25, 126)
NAMES = ("matter", "w", "offset", "scatter")


def expected(matter, w, offset):
    """Give distance moduli (n, 60) in a flat universe, by the trapezoidal rule."""
    matter, w = matter[:, None], w[:, None]
    energy = matter * (1 + GRID) ** 3 + (1 - matter) * (1 + GRID) ** (3 * (1 + w))
    per_rate = energy**-0.5
    steps = 0.5 * (per_rate[:, 1:] + per_rate[:, :-1]) * np.diff(GRID)
    distance = np.cumsum(np.concatenate([np.zeros_like(matter), steps], axis=1), axis=1)
    before = np.searchsorted(GRID, REDSHIFTS) - 1
    share = (REDSHIFTS - GRID[before]) / (GRID[1] - GRID[0])
    at = distance[:, before] * (1 - share) + distance[:, before + 1] * share
    return 5 * np.log10((1 + REDSHIFTS) * at) + offset[:, None]


def noise(scatter):
    return np.hypot(ERRORS, scatter[:, None])


@si.simulator(batched=True)
def supernovae(matter, w, offset, scatter, rng):
    mean = expected(matter, w, offset)
    return {"modulus": mean + noise(scatter) * rng.normal(size=mean.shape)}


def log_likelihood(parameters, y):
    mean = expected(*(parameters[name] for name in NAMES[:-1]))
    return st.norm.logpdf(y["modulus"], mean, noise(parameters["scatter"])).sum(axis=1)


problem = si.Problem(
    supernovae,
    si.Prior(
        matter=st.uniform(0.01, 0.98),
        w=st.uniform(-3, 3),
        offset=st.norm(43, 5),
        scatter=st.halfcauchy(0, 0.3),
    ),
    units={"modulus": "mag", "offset": "mag", "scatter": "mag"},
)

TRUTHS = tuple(
    dict(zip(NAMES, values, strict=True))
    for values in ((0.3, -1.0, 43.2, 0.1), (0.25, -0.8, 43.0, 0.05), (0.4, -1.4, 43.3, 0.2))
)
