"""Seeds that germinate on 21 plates: logistic regression, with a random effect of each plate.

How many seeds lie on a plate is known, their kind, and what root extract they got (Crowder 1978,
Applied Statistics 27, 34). Effects of plates are summed out of the likelihood by quadrature.
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

MANY = np.array([39, 62, 81, 51, 39, 6, 74, 72, 51, 79, 13, 16, 30, 28, 45, 4, 12, 41, 30, 51, 7])
KIND = np.repeat([0.0, 1.0], [11, 10])
EXTRACT = np.repeat([0.0, 1.0, 0.0, 1.0], [5, 6, 5, 5])
DESIGN = np.column_stack([np.ones(21), KIND, EXTRACT, KIND * EXTRACT])
NAMES = ("intercept", "kind", "extract", "both")
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)


@si.simulator(batched=True)
def seeds(intercept, kind, extract, both, plates, rng):
    odds = np.stack([intercept, kind, extract, both], axis=1) @ DESIGN.T
    odds = odds + plates[:, None] * rng.normal(size=odds.shape)
    return {"germinated": rng.binomial(MANY, sp.expit(odds)).astype(float)}


def log_likelihood(parameters, y):
    """Sum effects of plates out on points that lie where each plate's posterior does."""
    odds = np.stack([parameters[name] for name in NAMES], axis=1) @ DESIGN.T
    sd, came = parameters["plates"][:, None], y["germinated"]
    mode = np.zeros_like(odds)
    for _ in range(30):
        chance = sp.expit(odds + sd * mode)
        bend = sd**2 * MANY * chance * (1 - chance) + 1
        step = (sd * (came - MANY * chance) - mode) / bend
        mode = mode + step.clip(-1, 1)
    width = bend[..., None] ** -0.5
    effect = mode[..., None] + width * POINTS
    score = odds[..., None] + sd[..., None] * effect
    density = (
        came[:, None] * sp.log_expit(score)
        + (MANY - came)[:, None] * sp.log_expit(-score)
        - 0.5 * effect**2
        + 0.5 * POINTS**2
        + np.log(WEIGHTS * width)
    )
    return sp.logsumexp(density, axis=2).sum(axis=1)


problem = si.Problem(
    seeds,
    si.Prior(**dict.fromkeys(NAMES, st.norm(0, 10)), plates=st.halfcauchy(0, 1)),
)

TRUTHS = tuple(
    dict(zip(problem.prior.names, values, strict=True))
    for values in (
        (-0.55, 0.1, 1.3, -0.8, 0.3),
        (0.5, -1.0, -0.5, 1.0, 0.8),
        (-2.0, 0.5, 1.0, 0.3, 0.1),
    )
)
