"""How much each network of an ensemble weighs."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from sbi_inn.typing import FloatArray

# Rows by which each member's weight is drawn to the others'. Two members that are equally good get
# weights within 1 / sqrt(32 * 16) = .04 (sd) of 1/2, however many validation rows there are;
# one that is worse at all of 1,000 rows gets .016.
PSEUDO_ROWS = 16.0

# Steps of expectation-maximisation at most.
STEPS = 1_000

# The largest change of a weight, at which they have settled.
SETTLED = 1e-6


def stacked(log_density: FloatArray) -> FloatArray:
    """Find the weights under which the mixture gives most density to validation rows.

    By expectation-maximisation, with `PSEUDO_ROWS` rows for each member beside those that are
    given: with few rows, noise does not decide.

    Parameters
    ----------
    log_density : array, shape (members, rows)
        A row that no member gives any density to says nothing.

    Returns
    -------
    array, shape (members,)
        Positive, of sum 1.

    Examples
    --------
    >>> stacked(np.array([[-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]]))
    array([0.5, 0.5])
    >>> stacked(np.stack([np.zeros(1_000), np.full(1_000, -9.0)])).round(3)
    array([0.984, 0.016])
    """
    known = np.isfinite(log_density)
    log_density = np.where(known, log_density, -np.inf)[:, known.any(axis=0)]
    members, rows = log_density.shape
    weights = np.full(members, 1 / members)
    for _ in range(STEPS):
        shares = softmax(log_density + np.log(weights)[:, None], axis=0).sum(axis=1)
        before, weights = weights, (shares + PSEUDO_ROWS) / (rows + members * PSEUDO_ROWS)
        if np.abs(weights - before).max() < SETTLED:
            break
    return weights
