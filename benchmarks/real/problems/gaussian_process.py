"""A smooth function seen at 11 points: length, height and noise of a Gaussian process."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

POINTS = np.linspace(-10, 10, 11)
SQUARES = (POINTS[:, None] - POINTS) ** 2
LEAST = 1e-8  # of a variance, so that the covariance can be inverted


def factors(length, height, noise):
    """Cholesky factors of the covariances, shape (n, 11, 11)."""
    wide, high, low = (v[:, None, None] ** 2 for v in (length, height, noise))
    covariance = high * np.exp(-0.5 * SQUARES / wide) + (low + LEAST) * np.eye(len(POINTS))
    return np.linalg.cholesky(covariance)


@si.simulator(batched=True)
def gaussian_process(length, height, noise, rng):
    normal = rng.normal(size=(len(length), len(POINTS), 1))
    return {"values": (factors(length, height, noise) @ normal)[..., 0]}


def log_likelihood(parameters, y):
    root = factors(*(parameters[name] for name in ("length", "height", "noise")))
    seen = np.broadcast_to(y["values"], root.shape[:2])[..., None]
    normal = np.linalg.solve(root, seen)[..., 0]
    log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return st.norm.logpdf(normal).sum(axis=1) - log_det


problem = si.Problem(
    gaussian_process,
    si.Prior(length=st.gamma(25, scale=1 / 4), height=st.halfnorm(0, 2), noise=st.halfnorm(0, 1)),
)

TRUTHS = (
    {"length": 5.5, "height": 3.0, "noise": 0.3},
    {"length": 7.0, "height": 1.0, "noise": 0.1},
    {"length": 5.0, "height": 2.0, "noise": 0.8},
)
