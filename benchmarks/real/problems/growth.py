"""Lengths of 27 dugongs of known ages: a curve that levels off.

The ages are those of Ratkowsky (1983), Nonlinear regression modeling.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

AGES = np.array(
    [1, 1.5, 1.5, 1.5, 2.5, 4, 5, 5, 7, 8, 8.5, 9, 9.5, 9.5, 10, 12, 12, 13, 13, 14.5]
    + [15.5, 15.5, 16.5, 17, 22.5, 29, 31.5]
)
NAMES = ("final", "to_grow", "rest", "precision")


def expected(final, to_grow, rest):
    """Give lengths (n, 27): a share `rest` of what there is to grow is left after each year."""
    return final[:, None] - to_grow[:, None] * rest[:, None] ** AGES


@si.simulator(batched=True)
def growth(final, to_grow, rest, precision, rng):
    mean = expected(final, to_grow, rest)
    return {"length": mean + rng.normal(size=mean.shape) / np.sqrt(precision)[:, None]}


def log_likelihood(parameters, y):
    mean = expected(*(parameters[name] for name in NAMES[:-1]))
    sd = parameters["precision"][:, None] ** -0.5
    return st.norm.logpdf(y["length"], mean, sd).sum(axis=1)


problem = si.Problem(
    growth,
    si.Prior(
        final=st.norm(0, 10),
        to_grow=st.norm(0, 10),
        rest=st.uniform(0.5, 0.5),
        precision=st.gamma(1, scale=100),
    ),
    units={"length": "m", "final": "m", "to_grow": "m"},
)

TRUTHS = tuple(
    dict(zip(NAMES, values, strict=True))
    for values in ((2.65, 0.97, 0.87, 100.0), (3.0, 1.5, 0.8, 30.0), (5.0, 3.0, 0.93, 60.0))
)
