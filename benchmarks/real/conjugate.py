"""The exact posterior of a linear model with Gaussian priors and a noise that is not known."""

from __future__ import annotations

import numpy as np

GRID = 4_000  # of the logarithm of the noise
REACH = 12.0  # its half-width, in standard errors of a logarithm


def draw(design, y, mean, sd, noise, n, rng):
    """Draw coefficients and noise.

    Given the noise, the posterior of the coefficients is Gaussian, and the marginal likelihood of
    the noise is known: it is drawn from a grid first.

    Parameters
    ----------
    design : array, shape (points, k)
    y : array, shape (points,)
    mean, sd : array, shape (k,)
        Of the prior of the coefficients.
    noise : frozen scipy distribution
        The prior of the noise.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    array, shape (n, k + 1)
    """
    rotated, singular, back = np.linalg.svd(design * sd, full_matrices=False)
    gap = y - design @ mean
    along = rotated.T @ gap
    rest = max(gap @ gap - along @ along, 0.0)
    freedom = len(y) - len(singular)
    middle = 0.5 * np.log(rest / freedom)
    log_sigma = middle + np.linspace(-1, 1, GRID) * REACH / np.sqrt(2 * freedom)
    sigma = np.exp(log_sigma)
    variance = sigma[:, None] ** 2 + singular**2
    log_weight = (
        -0.5 * (np.log(variance) + along**2 / variance).sum(axis=1)
        - freedom * log_sigma
        - 0.5 * rest / sigma**2
        + noise.logpdf(sigma)
        + log_sigma
    )
    weight = np.exp(log_weight - log_weight.max())
    cell = rng.choice(GRID, n, p=weight / weight.sum())
    width = log_sigma[1] - log_sigma[0]
    sigma = np.exp(log_sigma[cell] + width * (rng.random(n) - 0.5))[:, None]
    variance = sigma**2 + singular**2
    latent = singular * along / variance + sigma / np.sqrt(variance) * rng.normal(
        size=(n, len(singular))
    )
    return np.hstack([mean + sd * (latent @ back), sigma])
