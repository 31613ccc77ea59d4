"""Draws for many test observations, a batch at a time: those of all do not fit in memory."""

from functools import partial

import numpy as np
from inside import draw

from sbi_inn.diagnostics.calibration import ranks

AT_ONCE = 100


def drawn(source, truth, observations, n, rng):
    """Yield which rows they are, n draws for each of them, and the ranks of the truth.

    Parameters
    ----------
    source : Posterior or callable
        Called as `source(observations, n, rng)`, it gives draws, shape (rows, n, dim).
    truth : array, shape (tests, dim)
    observations : Observations
        Of as many tests.
    n : int
    rng : numpy.random.Generator
    """
    draws_of = source if callable(source) else partial(draw, source)
    for start in range(0, len(truth), AT_ONCE):
        here = np.arange(start, min(start + AT_ONCE, len(truth)))
        draws = draws_of(observations[here], n, rng)
        yield here, draws, ranks(truth[here], draws, rng)


def landed(problem, draws, observations):
    """Simulate again at draws (rows, n, dim): how far from what was observed, shape (rows, n)."""
    again = problem.simulator(**problem.prior.unflatten(draws.reshape(-1, draws.shape[2])))
    again = np.stack(list(again.values()), axis=1).reshape(*draws.shape[:2], -1)
    return np.linalg.norm(again - observations.vector[:, None], axis=2)
