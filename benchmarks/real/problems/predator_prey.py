"""Hares and lynxes: 21 yearly counts of pelts, the equations of Lotka and Volterra.

Priors as they are usually taken for the pelts of the Hudson Bay company: four rates, the counts of
the first year, and the noise of either, all unknown. The simulator solves the equations of the
logarithms in steps of a fiftieth of a year; the likelihood, in steps of a twelfth, which differ
where the posterior is by less than a thousandth of the noise.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

YEARS = 21
STEPS, QUICK_STEPS = 50, 12  # a year
LARGEST = 50.0  # of the logarithm of a count
RATES = ("birth", "hunt", "death", "feed")
START = ("hares_first", "lynxes_first")


def solve(birth, hunt, death, feed, hares_first, lynxes_first, steps=STEPS):
    """Give the logarithms of hares and lynxes in 21 years, shape (2, 21, n), by Runge-Kutta."""

    def slope(logs):
        hares, lynxes = np.exp(np.minimum(logs, LARGEST))
        return np.stack([birth - hunt * lynxes, feed * hares - death])

    now, h = np.log(np.stack([hares_first, lynxes_first])), 1 / steps
    found = [now]
    for _ in range(YEARS - 1):
        for _ in range(steps):
            a = slope(now)
            b = slope(now + h / 2 * a)
            c = slope(now + h / 2 * b)
            d = slope(now + h * c)
            now = np.clip(now + h / 6 * (a + 2 * b + 2 * c + d), -600, LARGEST)
        found.append(now)
    return np.stack(found, axis=1)


@si.simulator(batched=True)
def predator_prey(
    birth, hunt, death, feed, hares_first, lynxes_first, noise_hares, noise_lynxes, rng
):
    logs = solve(birth, hunt, death, feed, hares_first, lynxes_first).transpose(0, 2, 1)
    noise = np.stack([noise_hares, noise_lynxes])[..., None]
    hares, lynxes = np.exp(np.clip(logs + noise * rng.normal(size=logs.shape), -700, 700))
    return {"hares": hares, "lynxes": lynxes}


def log_likelihood(parameters, y):
    logs = solve(*(parameters[name] for name in (*RATES, *START)), steps=QUICK_STEPS)
    total = 0.0
    for kind, found in zip(("hares", "lynxes"), logs, strict=True):
        seen = np.log(y[kind])[:, None]
        total = total + (st.norm.logpdf(seen, found, parameters[f"noise_{kind}"]) - seen).sum(0)
    return total


def positive(mean, sd):
    """Make a normal distribution that is cut at zero."""
    return st.truncnorm(-mean / sd, np.inf, mean, sd)


problem = si.Problem(
    predator_prey,
    si.Prior(
        birth=positive(1, 0.5),
        hunt=positive(0.05, 0.05),
        death=positive(1, 0.5),
        feed=positive(0.05, 0.05),
        hares_first=st.lognorm(1, scale=10),
        lynxes_first=st.lognorm(1, scale=10),
        noise_hares=st.lognorm(1, scale=np.exp(-1)),
        noise_lynxes=st.lognorm(1, scale=np.exp(-1)),
    ),
    units=dict.fromkeys(("hares", "lynxes"), "thousand pelts"),
    source="priors after Carpenter (2018), Predator-prey population dynamics, Stan case studies",
)

TRUTHS = (
    dict(zip(problem.prior.names, (0.55, 0.028, 0.80, 0.024, 34.0, 6.0, 0.25, 0.25), strict=True)),
    dict(zip(problem.prior.names, (0.85, 0.035, 0.65, 0.015, 20.0, 10.0, 0.2, 0.3), strict=True)),
    dict(zip(problem.prior.names, (0.42, 0.02, 1.0, 0.04, 40.0, 15.0, 0.35, 0.2), strict=True)),
)
