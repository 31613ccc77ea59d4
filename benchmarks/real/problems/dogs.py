"""Thirty dogs learn in 25 trials to avoid a shock: whether each was shocked, trial by trial.

The chance of a trial depends on how often a dog has avoided the shock and been shocked before
(Gelman et al. 2000, JASA 95, 1122, on data of Solomon and Wynne 1953). Dogs have no order: a set.
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

DOGS, TRIALS = 30, 25
COLUMNS = [f"trial{trial:02d}" for trial in range(1, TRIALS + 1)]


@si.simulator(batched=True, sets={"n": COLUMNS})
def dogs(start, by_avoided, by_shocked, n, rng):
    shape = (len(start), int(n.max()))
    avoided, shocked, seen = np.zeros(shape), np.zeros(shape), []
    for _ in range(TRIALS):
        odds = start[:, None] + by_avoided[:, None] * avoided + by_shocked[:, None] * shocked
        came = (rng.random(shape) < sp.expit(odds)).astype(float)
        shocked, avoided = shocked + came, avoided + 1 - came
        seen.append(came)
    return dict(zip(COLUMNS, seen, strict=True))


def log_likelihood(parameters, y):
    came = np.stack([y[name] for name in COLUMNS], axis=1)
    shocked = np.cumsum(came, axis=1) - came
    avoided = np.arange(TRIALS) - shocked
    odds = (
        parameters["start"][:, None]
        + parameters["by_avoided"][:, None] * avoided.ravel()
        + parameters["by_shocked"][:, None] * shocked.ravel()
    )
    return sp.log_expit(np.where(came.ravel() == 1, odds, -odds)).sum(axis=1)


problem = si.Problem(
    dogs,
    si.Prior(start=st.norm(0, 10), by_avoided=st.norm(0, 2), by_shocked=st.norm(0, 2)),
    given={"n": DOGS},
)

TRUTHS = (
    {"start": 2.4, "by_avoided": -0.35, "by_shocked": -0.2},
    {"start": 1.0, "by_avoided": -0.1, "by_shocked": -0.05},
    {"start": 4.0, "by_avoided": -0.25, "by_shocked": -0.5},
)
