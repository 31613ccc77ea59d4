"""Two decays above a background: 40 counts."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

TIMES = np.linspace(0.25, 20, 40)
NAMES = ("n_fast", "n_slow", "lifetime", "ratio", "background")


def expected(n_fast, n_slow, lifetime, ratio, background):
    """Give mean counts (n, 40)."""
    fast, slow = (np.exp(-TIMES / each[:, None]) for each in (lifetime, lifetime * ratio))
    return n_fast[:, None] * fast + n_slow[:, None] * slow + background[:, None]


@si.simulator(batched=True)
def decays(n_fast, n_slow, lifetime, ratio, background, rng):
    return {"counts": rng.poisson(expected(n_fast, n_slow, lifetime, ratio, background))}


def log_likelihood(parameters, y):
    mean = expected(*(parameters[name] for name in NAMES))
    return st.poisson.logpmf(y["counts"], mean).sum(axis=1)


problem = si.Problem(
    decays,
    si.Prior(
        n_fast=st.loguniform(1, 1e4),
        n_slow=st.loguniform(1, 1e4),
        lifetime=st.loguniform(0.1, 5),
        ratio=st.loguniform(2, 30),  # of the slow lifetime to the fast one
        background=st.loguniform(0.1, 100),
    ),
)

TRUTHS = tuple(
    dict(zip(NAMES, values, strict=True))
    for values in (
        (500.0, 100.0, 0.8, 6.0, 5.0),
        (2_000.0, 800.0, 0.4, 4.0, 20.0),
        (150.0, 60.0, 2.0, 8.0, 1.0),
    )
)
