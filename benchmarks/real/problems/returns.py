"""Returns of 200 days whose variance follows itself: GARCH(1, 1).

The variance of a day is a base, a share of the last squared shock, and of what that share leaves, a
share of the last variance (Bollerslev 1986, Journal of Econometrics 31, 307).
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

DAYS = 200
FIRST = 0.25  # variance of the first day


@si.simulator(batched=True)
def returns(mean, base, shock, memory, rng):
    variance, seen = np.full(len(mean), FIRST), np.empty((len(mean), DAYS))
    for day in range(DAYS):
        gap = np.sqrt(variance) * rng.normal(size=len(mean))
        seen[:, day] = mean + gap
        variance = base + shock * gap**2 + memory * (1 - shock) * variance
    return {"returns": seen}


def log_likelihood(parameters, y):
    mean, base, shock, memory = (parameters[n] for n in ("mean", "base", "shock", "memory"))
    variance, total = np.full(len(mean), FIRST), np.zeros(len(mean))
    for seen in y["returns"]:
        gap = seen - mean
        total += st.norm.logpdf(gap, 0, np.sqrt(variance))
        variance = base + shock * gap**2 + memory * (1 - shock) * variance
    return total


problem = si.Problem(
    returns,
    si.Prior(
        mean=st.norm(0, 5),
        base=st.halfcauchy(0, 1),
        shock=st.uniform(0, 1),
        memory=st.uniform(0, 1),
    ),
)

TRUTHS = (
    {"mean": 5.0, "base": 1.5, "shock": 0.5, "memory": 0.3},
    {"mean": 0.5, "base": 0.3, "shock": 0.2, "memory": 0.8},
    {"mean": -2.0, "base": 4.0, "shock": 0.3, "memory": 0.5},
)
