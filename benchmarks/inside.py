"""What benchmarks need of a posterior and its users do not: the one place that reaches inside."""

from dataclasses import replace


def draw(posterior, observations, n, rng):
    """Draw flat parameters for many observations, shape (rows, n, dim)."""
    return posterior.core.draw(observations, n, rng)


def log_ratio(posterior, flat, observations):
    """Give the log of posterior over prior density, normalised, shape (rows, n)."""
    return posterior.core.log_ratio(flat, observations, normalised=True)


def fitted(posterior):
    """Give the trained method, on the latent side of the prior."""
    return posterior.core.fitted


def with_fitted(posterior, method):
    """Give the same posterior with another trained method in the place of its own."""
    return type(posterior)(replace(posterior.core, fitted=method))
