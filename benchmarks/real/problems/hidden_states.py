"""Two hidden states that follow each other, seen as 100 noisy levels (a hidden Markov model)."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

STEPS = 100


@si.simulator(batched=True)
def hidden_states(stay_low, stay_high, low, high, rng):
    state = rng.random(len(low)) < 0.5
    values = np.empty((len(low), STEPS))
    for step in range(STEPS):
        if step:
            stays = rng.random(len(low)) < np.where(state, stay_high, stay_low)
            state = np.where(stays, state, ~state)
        values[:, step] = np.where(state, high, low) + rng.normal(size=len(low))
    return {"values": values}


def log_likelihood(parameters, y):
    stay_low, stay_high, low, high = (
        parameters[n] for n in ("stay_low", "stay_high", "low", "high")
    )
    at = np.full((len(low), 2), 0.5)
    total = 0.0
    for step in range(STEPS):
        if step:
            to_low = at[:, 0] * stay_low + at[:, 1] * (1 - stay_high)
            at = np.stack([to_low, 1 - to_low], axis=1)
        log_each = st.norm.logpdf(y["values"][step], np.stack([low, high], axis=1))
        most = log_each.max(axis=1, keepdims=True)
        at = at * np.exp(log_each - most)
        scale = at.sum(axis=1)
        total = total + np.log(scale) + most[:, 0]
        at = at / scale[:, None]
    return total


problem = si.Problem(
    hidden_states,
    si.Prior(
        stay_low=st.uniform(0, 1),
        stay_high=st.uniform(0, 1),
        low=st.norm(3, 5),
        high=lambda low: st.expon(low, 5),
    ),
)

TRUTHS = (
    {"stay_low": 0.6, "stay_high": 0.8, "low": 3.0, "high": 10.0},
    {"stay_low": 0.9, "stay_high": 0.7, "low": -1.0, "high": 2.0},
    {"stay_low": 0.4, "stay_high": 0.3, "low": 0.0, "high": 4.0},
)
