"""Weights of 30 young rats on five days: each grows along a line of its own (a hierarchical model).

Asked is what the rats have in common: mean and spread of intercepts and slopes, and the noise. Rats
have no order: they are a set. Posterior: given the five parameters each rat is Gaussian (Gelfand et
al. 1990, JASA 85, 972).
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

RATS = 30
DAYS = np.array([8.0, 15.0, 22.0, 29.0, 36.0])
SINCE = DAYS - DAYS.mean()
COLUMNS = [f"day{day:.0f}" for day in DAYS]


@si.simulator(batched=True, sets={"n": COLUMNS})
def rats(weight, growth, sd_weight, sd_growth, noise, n, rng):
    shape = (len(weight), int(n.max()))
    start = weight[:, None] + sd_weight[:, None] * rng.normal(size=shape)
    slope = growth[:, None] + sd_growth[:, None] * rng.normal(size=shape)
    seen = start[..., None] + slope[..., None] * SINCE
    seen = seen + noise[:, None, None] * rng.normal(size=seen.shape)
    return dict(zip(COLUMNS, np.moveaxis(seen, 2, 0), strict=True))


def log_likelihood(parameters, y):
    """Give the Gaussian density of all rats: intercept, slope and noise of each are summed out."""
    seen = np.stack([y[name] for name in COLUMNS], axis=1)
    middle, along = seen.mean(axis=1), seen @ SINCE / (SINCE @ SINCE)
    rest = ((seen - middle[:, None] - along[:, None] * SINCE) ** 2).sum()
    variance = parameters["noise"] ** 2
    total = -0.5 * rest / variance - 0.5 * RATS * 3 * np.log(variance)
    for mean, sd, found, weight in (
        ("weight", "sd_weight", middle, len(DAYS)),
        ("growth", "sd_growth", along, SINCE @ SINCE),
    ):
        width = parameters[sd] ** 2 + variance / weight
        gap = found - parameters[mean][:, None]
        total = total - 0.5 * (gap**2 / width[:, None]).sum(axis=1) - 0.5 * RATS * np.log(width)
    return total


problem = si.Problem(
    rats,
    si.Prior(
        weight=st.norm(0, 500),
        growth=st.norm(0, 50),
        sd_weight=st.halfcauchy(0, 25),
        sd_growth=st.halfcauchy(0, 2),
        noise=st.halfcauchy(0, 25),
    ),
    given={"n": RATS},
    units={"weight": "g", "growth": "g/d", "sd_weight": "g", "sd_growth": "g/d", "noise": "g"},
)

TRUTHS = (
    {"weight": 243.0, "growth": 6.2, "sd_weight": 14.0, "sd_growth": 0.5, "noise": 6.0},
    {"weight": 180.0, "growth": 3.0, "sd_weight": 30.0, "sd_growth": 1.5, "noise": 12.0},
    {"weight": 320.0, "growth": 9.0, "sd_weight": 8.0, "sd_growth": 0.2, "noise": 3.0},
)
