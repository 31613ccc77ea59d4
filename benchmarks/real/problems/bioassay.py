"""Deaths of five animals at each of four doses: a logistic dose-response curve.

Gelman et al. (2013), Bayesian data analysis, sec. 3.7, on data of Racine et al. (1986).
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

DOSES = np.array([-0.86, -0.30, -0.05, 0.73])  # log(g/ml)
ANIMALS = 5


@si.simulator(batched=True)
def bioassay(level, slope, rng):
    odds = level[:, None] + slope[:, None] * DOSES
    return {"deaths": rng.binomial(ANIMALS, sp.expit(odds)).astype(float)}


def log_likelihood(parameters, y):
    odds = parameters["level"][:, None] + parameters["slope"][:, None] * DOSES
    died = y["deaths"]
    return (died * sp.log_expit(odds) + (ANIMALS - died) * sp.log_expit(-odds)).sum(axis=1)


problem = si.Problem(bioassay, si.Prior(level=st.norm(0, 10), slope=st.norm(0, 20)))

TRUTHS = (
    {"level": 0.8, "slope": 7.7},
    {"level": -1.0, "slope": 2.0},
    {"level": 0.0, "slope": -1.0},
)
