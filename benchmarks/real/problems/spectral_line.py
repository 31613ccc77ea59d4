"""An absorption line somewhere in a spectrum of 120 pixels, on a sloping continuum."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

PIXELS = np.linspace(0, 100, 120)
NAMES = ("level", "slope", "depth", "centre", "width", "noise")


def expected(level, slope, depth, centre, width):
    """Give fluxes (n, 120)."""
    level, slope, depth, centre, width = (
        each[:, None] for each in (level, slope, depth, centre, width)
    )
    line = np.exp(-0.5 * ((PIXELS - centre) / width) ** 2)
    return level + slope * (PIXELS - 50) - depth * line


@si.simulator(batched=True)
def spectral_line(level, slope, depth, centre, width, noise, rng):
    mean = expected(level, slope, depth, centre, width)
    return {"flux": mean + noise[:, None] * rng.normal(size=mean.shape)}


def log_likelihood(parameters, y):
    mean = expected(*(parameters[name] for name in NAMES[:-1]))
    return st.norm.logpdf(y["flux"], mean, parameters["noise"][:, None]).sum(axis=1)


problem = si.Problem(
    spectral_line,
    si.Prior(
        level=st.norm(0, 10),
        slope=st.norm(0, 0.5),
        depth=st.halfnorm(0, 10),
        centre=st.uniform(0, 100),
        width=st.loguniform(0.5, 20),
        noise=st.halfcauchy(0, 1),
    ),
)

TRUTHS = tuple(
    dict(zip(NAMES, values, strict=True))
    for values in (
        (5.0, 0.02, 2.0, 37.0, 3.0, 0.3),
        (10.0, -0.05, 4.0, 71.0, 1.5, 0.8),
        (8.0, 0.1, 1.5, 20.0, 6.0, 0.4),
    )
)
