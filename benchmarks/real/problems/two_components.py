"""A mixture of two normal distributions, in sets of 1,000 draws."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

DRAWS, PIECE, LOWEST = 1_000, 50, 1e-300
NAMES = ("share", "low", "high", "sd_low", "sd_high")


@si.simulator(batched=True, sets={"n": ["x"]})
def two_components(share, low, high, sd_low, sd_high, n, rng):
    shape = (len(low), int(n.max()))
    first = rng.random(shape) < share[:, None]
    mean = np.where(first, low[:, None], high[:, None])
    sd = np.where(first, sd_low[:, None], sd_high[:, None])
    return {"x": mean + sd * rng.normal(size=shape)}


def log_likelihood(parameters, y):
    values = np.stack([parameters[name] for name in NAMES], axis=1)
    found = np.empty(len(values))
    for piece in np.array_split(np.arange(len(values)), -(-len(values) // PIECE)):
        share, low, high, sd_low, sd_high = values[piece].T[..., None]
        first = share / sd_low * np.exp(-0.5 * ((y["x"] - low) / sd_low) ** 2)
        second = (1 - share) / sd_high * np.exp(-0.5 * ((y["x"] - high) / sd_high) ** 2)
        found[piece] = np.log((first + second) / np.sqrt(2 * np.pi) + LOWEST).sum(axis=1)
    return found


problem = si.Problem(
    two_components,
    si.Prior(
        share=st.beta(5, 5),
        low=st.norm(0, 2),
        high=lambda low: st.expon(low, 3),
        sd_low=st.halfnorm(0, 2),
        sd_high=st.halfnorm(0, 2),
    ),
    given={"n": DRAWS},
)

TRUTHS = (
    {"share": 0.4, "low": -2.75, "high": 2.75, "sd_low": 1.0, "sd_high": 1.0},
    {"share": 0.6, "low": -1.0, "high": 1.5, "sd_low": 0.5, "sd_high": 1.2},
    {"share": 0.5, "low": 0.0, "high": 1.0, "sd_low": 1.5, "sd_high": 0.4},
)
