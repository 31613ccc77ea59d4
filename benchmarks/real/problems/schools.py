"""Eight schools: ten parameters, of which eight share a mean and a spread that are unknown, too.

Each school reports an effect with a known standard error (Rubin 1981, Journal of Educational
Statistics 6, 377). Posterior: given the spread, Gaussian; the spread on a grid.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
SCHOOLS = tuple(f"school{i}" for i in range(1, 9))
WIDE, SPREAD = 50.0, st.halfcauchy(0, 25)
GRID = 20_000  # of the latent of the spread


@si.simulator(batched=True)
def schools(school1, school2, school3, school4, school5, school6, school7, school8, rng):
    effects = (school1, school2, school3, school4, school5, school6, school7, school8)
    means = np.stack(effects, axis=1)
    return {"effect": means + ERRORS * rng.normal(size=means.shape)}


def log_likelihood(parameters, y):
    means = np.stack([parameters[name] for name in SCHOOLS], axis=1)
    return st.norm.logpdf(y["effect"], means, ERRORS).sum(axis=1)


problem = si.Problem(
    schools,
    si.Prior(
        mean=st.norm(0, WIDE),
        spread=SPREAD,
        **dict.fromkeys(SCHOOLS, lambda mean, spread: st.norm(mean, spread)),
    ),
)

TRUTHS = tuple(
    {"mean": mean, "spread": spread} | dict(zip(SCHOOLS, effects, strict=True))
    for mean, spread, effects in (
        (8.0, 6.0, (14.0, 9.0, 3.0, 7.0, 1.0, 5.0, 16.0, 10.0)),
        (-5.0, 15.0, (-20.0, 12.0, -9.0, 3.0, -14.0, 8.0, -25.0, 1.0)),
        (20.0, 3.0, (21.0, 18.0, 24.0, 16.0, 20.0, 22.0, 19.0, 23.0)),
    )
)


def exact(y, n, rng):
    """Draw from the exact posterior: flat, in the order of the prior's columns."""
    cells = (np.arange(GRID) + 0.5) / GRID  # of the prior's distribution function
    spread = SPREAD.ppf(cells)
    precision = 1 / (spread[:, None] ** 2 + ERRORS**2)
    total = precision.sum(axis=1) + WIDE**-2
    middle = (precision * y["effect"]).sum(axis=1) / total
    log_weight = 0.5 * (np.log(precision).sum(axis=1) - np.log(total) + total * middle**2)
    log_weight -= 0.5 * (precision * y["effect"] ** 2).sum(axis=1)
    weight = np.exp(log_weight - log_weight.max())
    cell = rng.choice(GRID, n, p=weight / weight.sum())
    mean = middle[cell] + rng.normal(size=n) / np.sqrt(total[cell])
    spread = SPREAD.ppf(cells[cell] + (rng.random(n) - 0.5) / GRID)
    gain = spread[:, None] ** 2 / (spread[:, None] ** 2 + ERRORS**2)
    effects = mean[:, None] + gain * (y["effect"] - mean[:, None])
    effects += ERRORS * np.sqrt(gain) * rng.normal(size=(n, 8))
    return np.column_stack([mean, spread, effects])
