"""A series of 200 values with memory and echoes of its shocks: ARMA(1, 1)."""

from __future__ import annotations

import numpy as np
import scipy.signal as ss
import scipy.stats as st

import sbi_inn as si

DAYS = 200


@si.simulator(batched=True)
def arma(level, memory, echo, noise, rng):
    shocks = noise[:, None] * rng.normal(size=(len(level), DAYS))
    driven = shocks.copy()
    driven[:, 1:] += echo[:, None] * shocks[:, :-1]
    driven += level[:, None]
    driven[:, 0] += memory * level
    values = [ss.lfilter([1.0], [1.0, -m], row) for m, row in zip(memory, driven, strict=True)]
    return {"values": np.array(values)}


def log_likelihood(parameters, y):
    level, memory, echo, noise = (parameters[n] for n in ("level", "memory", "echo", "noise"))
    seen, total = y["values"], 0.0
    shock = seen[0] - level - memory * level
    for day in range(DAYS):
        if day:
            shock = seen[day] - level - memory * seen[day - 1] - echo * shock
        total = total + st.norm.logpdf(shock, scale=noise)
    return total


problem = si.Problem(
    arma,
    si.Prior(
        level=st.norm(0, 10),
        memory=st.truncnorm(-2, 2, 0, 0.5),
        echo=st.truncnorm(-2, 2, 0, 0.5),
        noise=st.halfcauchy(0, 2.5),
    ),
)

TRUTHS = (
    {"level": 0.5, "memory": 0.7, "echo": 0.3, "noise": 0.15},
    {"level": -1.0, "memory": 0.2, "echo": -0.5, "noise": 2.0},
    {"level": 3.0, "memory": 0.9, "echo": 0.5, "noise": 1.0},
)
