"""A series of 200 values, each of which follows from the five before it: AR(5)."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

ORDER, LENGTH = 5, 200
NAMES = tuple(f"memory{lag}" for lag in range(1, ORDER + 1))


@si.simulator(batched=True)
def memory(level, noise, memory1, memory2, memory3, memory4, memory5, rng):
    weights = np.stack([memory1, memory2, memory3, memory4, memory5], axis=1)
    values = np.zeros((len(level), ORDER + LENGTH))
    shocks = noise[:, None] * rng.normal(size=(len(level), LENGTH))
    for day in range(LENGTH):
        before = values[:, day : day + ORDER][:, ::-1]
        values[:, day + ORDER] = level + (weights * before).sum(axis=1) + shocks[:, day]
    return {"values": values[:, ORDER:]}


def log_likelihood(parameters, y):
    weights = np.stack([parameters[name] for name in NAMES], axis=1)
    seen = np.concatenate([np.zeros(ORDER), y["values"]])
    before = np.stack([seen[ORDER - lag : -lag] for lag in range(1, ORDER + 1)])
    mean = parameters["level"][:, None] + weights @ before
    return st.norm.logpdf(y["values"], mean, parameters["noise"][:, None]).sum(axis=1)


problem = si.Problem(
    memory,
    si.Prior(
        level=st.norm(0, 1),
        noise=st.halfcauchy(0, 1),
        **{name: st.uniform(-0.2, 0.4) for name in NAMES},
    ),
)

TRUTHS = (
    {"level": 0.1, "noise": 0.15} | dict(zip(NAMES, (0.18, 0.1, 0.15, 0.05, -0.1), strict=True)),
    {"level": -1.0, "noise": 1.0} | dict(zip(NAMES, (-0.1, 0.15, 0.0, 0.1, 0.15), strict=True)),
    {"level": 0.5, "noise": 3.0} | dict(zip(NAMES, (0.1, -0.15, 0.1, -0.05, 0.0), strict=True)),
)
