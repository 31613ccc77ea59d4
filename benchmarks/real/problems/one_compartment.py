"""A drug that is taken up, and broken down by an enzyme that can be saturated: 20 measurements."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

HOURS = np.linspace(0.5, 24, 20)
DOSE, VOLUME, STEP = 400.0, 35.0, 0.05
LEAST = 1e-12


def course(uptake, fastest, half):
    """Give concentrations (n, 20), by fourth-order Runge-Kutta steps."""
    each = int(round((HOURS[1] - HOURS[0]) / STEP))
    edges = np.concatenate([[0.0], HOURS])
    conc, found = np.zeros(len(uptake)), []

    def rate(conc, t):
        given = DOSE / VOLUME * uptake * np.exp(-uptake * t)
        conc = np.maximum(conc, 0)
        return given - fastest * conc / (VOLUME * (half + conc))

    for start, end in zip(edges[:-1], edges[1:], strict=True):
        h = (end - start) / each
        for i in range(each):
            t = start + i * h
            a = rate(conc, t)
            b = rate(conc + h / 2 * a, t + h / 2)
            c = rate(conc + h / 2 * b, t + h / 2)
            d = rate(conc + h * c, t + h)
            conc = np.maximum(conc + h / 6 * (a + 2 * b + 2 * c + d), 0)
        found.append(conc)
    return np.stack(found, axis=1)


@si.simulator(batched=True)
def one_compartment(uptake, fastest, half, noise, rng):
    mean = np.log(course(uptake, fastest, half) + LEAST)
    with np.errstate(over="ignore"):  # of noises from the tail of the prior: such runs fail
        return {"concentration": np.exp(mean + noise[:, None] * rng.normal(size=mean.shape))}


def log_likelihood(parameters, y):
    mean = np.log(course(*(parameters[n] for n in ("uptake", "fastest", "half"))) + LEAST)
    seen = np.log(y["concentration"])
    return st.norm.logpdf(seen, mean, parameters["noise"][:, None]).sum(axis=1)


problem = si.Problem(
    one_compartment,
    si.Prior(
        uptake=st.halfcauchy(0, 1),
        fastest=st.halfcauchy(0, 50),
        half=st.halfcauchy(0, 10),
        noise=st.halfcauchy(0, 1),
    ),
    units={"concentration": "mg/l"},
)

TRUTHS = (
    {"uptake": 0.6, "fastest": 35.0, "half": 3.0, "noise": 0.2},
    {"uptake": 1.5, "fastest": 60.0, "half": 8.0, "noise": 0.1},
    {"uptake": 0.3, "fastest": 25.0, "half": 1.0, "noise": 0.4},
)
