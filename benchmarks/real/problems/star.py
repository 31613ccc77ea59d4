"""A star in an image of 15 x 15 pixels: counts of photons."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

PIXELS = np.arange(15.0)
NAMES = ("x", "y", "flux", "width", "sky")


def expected(x, y, flux, width, sky):
    """Give mean counts (n, 15, 15)."""
    across, down = (st.norm.pdf(PIXELS, place[:, None], width[:, None]) for place in (x, y))
    return flux[:, None, None] * down[:, :, None] * across[:, None] + sky[:, None, None]


@si.simulator(batched=True, images=["image"])
def star(x, y, flux, width, sky, rng):
    return {"image": rng.poisson(expected(x, y, flux, width, sky))}


def log_likelihood(parameters, y):
    mean = expected(*(parameters[name] for name in NAMES))
    return st.poisson.logpmf(y["image"], mean).sum(axis=(1, 2))


problem = si.Problem(
    star,
    si.Prior(
        x=st.uniform(2, 10),
        y=st.uniform(2, 10),
        flux=st.loguniform(100, 1e5),
        width=st.uniform(0.7, 2.3),
        sky=st.loguniform(1, 100),
    ),
    units={"x": "pixel", "y": "pixel", "flux": "photon", "width": "pixel"},
)

TRUTHS = tuple(
    dict(zip(NAMES, values, strict=True))
    for values in (
        (6.3, 8.1, 3_000.0, 1.2, 10.0),
        (9.2, 5.5, 20_000.0, 1.8, 30.0),
        (4.1, 10.3, 600.0, 1.0, 4.0),
    )
)
