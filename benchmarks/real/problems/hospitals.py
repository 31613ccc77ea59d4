"""Deaths after heart surgery in twelve hospitals: chances that share a mean and a spread.

How many operations each hospital did is known (Spiegelhalter et al. 1996, BUGS examples).
"""

from __future__ import annotations

import numpy as np
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si

OPERATIONS = np.array([47, 148, 119, 810, 211, 196, 148, 215, 207, 97, 256, 360])
HOSPITALS = tuple(f"hospital{i}" for i in range(1, 13))


@si.simulator(batched=True)
def hospitals(
    hospital1,
    hospital2,
    hospital3,
    hospital4,
    hospital5,
    hospital6,
    hospital7,
    hospital8,
    hospital9,
    hospital10,
    hospital11,
    hospital12,
    rng,
):
    odds = (hospital1, hospital2, hospital3, hospital4, hospital5, hospital6, hospital7)
    odds = (*odds, hospital8, hospital9, hospital10, hospital11, hospital12)
    chance = sp.expit(np.stack(odds, axis=1))
    return {"deaths": rng.binomial(OPERATIONS, chance).astype(float)}


def log_likelihood(parameters, y):
    odds = np.stack([parameters[name] for name in HOSPITALS], axis=1)
    died = y["deaths"]
    return (died * sp.log_expit(odds) + (OPERATIONS - died) * sp.log_expit(-odds)).sum(axis=1)


problem = si.Problem(
    hospitals,
    si.Prior(
        mean=st.norm(0, 5),
        spread=st.halfcauchy(0, 1),
        **dict.fromkeys(HOSPITALS, lambda mean, spread: st.norm(mean, spread)),
    ),
)

_RNG = np.random.default_rng(11)
TRUTHS = tuple(
    {"mean": mean, "spread": spread}
    | dict(zip(HOSPITALS, mean + spread * _RNG.normal(size=12), strict=True))
    for mean, spread in ((-2.55, 0.4), (-1.0, 1.0), (-3.0, 0.15))
)
