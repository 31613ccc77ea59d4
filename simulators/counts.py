"""Do counts scatter as chance has it, or more? Sets of 5 to 200, both evidences in closed form.

Counts of one rate are Poisson distributed; the rate is unknown, with a gamma prior. Counts whose
rates differ are negative binomial: of five gamma-distributed shares each, with a beta prior on the
probability that ends a share. Both expect a count of five or so.

>>> even, uneven = [4, 5, 5, 6, 5, 4], [1, 9, 2, 12, 0, 5]
>>> [round(log_evidence_poisson(y) - log_evidence_negative_binomial(y), 1) for y in (even, uneven)]
[1.8, -4.0]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st
from scipy.special import betaln, gammaln

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

SHAPE, RATE = 4.0, 0.8  # of the gamma prior on the Poisson rate
SHARES = 5.0  # of a negative binomial count: r, which is known
ALPHA, BETA = 6.0, 5.0  # of the beta prior on p
FEWEST, MOST = 5, 200  # counts in a set


@simulator(batched=True, sets={"n": ["y"]})
def poisson(rate: Array, n: Array, rng: np.random.Generator) -> Array:
    """Count n times at one rate; what lies beyond a row's own n is ignored."""
    return rng.poisson(rate[:, None], (len(rate), int(n.max()))).astype(float)


@simulator(batched=True, sets={"n": ["y"]})
def negative_binomial(p: Array, n: Array, rng: np.random.Generator) -> Array:
    """Count n times at rates that differ; what lies beyond a row's own n is ignored."""
    return rng.negative_binomial(SHARES, p[:, None], (len(p), int(n.max()))).astype(float)


def log_evidence_poisson(y: npt.ArrayLike) -> float:
    """Give the exact log evidence of counts `y`, shape (n,), at one rate."""
    y = np.asarray(y, np.float64)
    shape, rate = SHAPE + y.sum(), RATE + len(y)
    normalised = SHAPE * np.log(RATE) - gammaln(SHAPE)
    return float(normalised + gammaln(shape) - shape * np.log(rate) - gammaln(y + 1).sum())


def log_evidence_negative_binomial(y: npt.ArrayLike) -> float:
    """Give the exact log evidence of counts `y`, shape (n,), at rates that differ."""
    y = np.asarray(y, np.float64)
    ways = gammaln(y + SHARES) - gammaln(SHARES) - gammaln(y + 1)
    posterior = betaln(ALPHA + len(y) * SHARES, BETA + y.sum())
    return float(ways.sum() + posterior - betaln(ALPHA, BETA))


_GIVEN = {"n": st.randint(FEWEST, MOST + 1)}
_LABELS = {"y": "counts", "n": "number of counts"}
_SOURCE = "conjugate pairs: Gelman et al., Bayesian Data Analysis (3rd ed.), sec. 2.6 and 2.4"

problem_poisson = Problem(
    poisson,
    Prior(rate=st.gamma(SHAPE, scale=1 / RATE)),
    given=_GIVEN,
    labels=_LABELS | {"rate": "rate"},
    source=_SOURCE,
)
problem_negative_binomial = Problem(
    negative_binomial,
    Prior(p=st.beta(ALPHA, BETA)),
    given=_GIVEN,
    labels=_LABELS | {"p": "probability that ends a share"},
    source=_SOURCE,
)
