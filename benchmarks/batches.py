"""Draws for many test observations, a batch at a time: those of all do not fit in memory."""

import numpy as np

from sbi_inn.diagnostics.calibration import ranks

AT_ONCE = 100


def drawn(draw, truth, observations, n, rng):
    """Yield which rows they are, n draws for each of them, and the ranks of the truth.

    Parameters
    ----------
    draw : callable
        `draw(observations, n, rng)` gives draws, shape (rows, n, dim).
    truth : array, shape (tests, dim)
    observations : Observations
        Of as many tests.
    n : int
    rng : numpy.random.Generator
    """
    for start in range(0, len(truth), AT_ONCE):
        here = np.arange(start, min(start + AT_ONCE, len(truth)))
        draws = draw(observations[here], n, rng)
        yield here, draws, ranks(truth[here], draws, rng)
