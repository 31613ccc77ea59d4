"""What benchmarks need of a posterior and its users do not: the one place that reaches inside."""

from dataclasses import replace


def draw(posterior, observations, n, rng):
    """Draw flat parameters for many observations, shape (rows, n, dim)."""
    return _core(posterior).draw(observations, n, rng)


def log_ratio(posterior, flat, observations):
    """Give the log of posterior over prior density, normalised, shape (rows, n)."""
    return _core(posterior).log_ratio(flat, observations, normalised=True)


def fitted(posterior):
    """Give the trained method, on the latent side of the prior."""
    return _core(posterior).fitted


def with_fitted(posterior, method):
    """Give the same posterior with another trained method in the place of its own."""
    if hasattr(posterior, "core"):
        return type(posterior)(replace(posterior.core, fitted=method))
    rows, problem = posterior.test_rows, posterior.problem
    return type(posterior)(
        method, posterior.simulations, rows, seed=posterior.seed, problem=problem
    )


def _core(posterior):
    return getattr(posterior, "core", posterior)
