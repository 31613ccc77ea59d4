"""Is the mean zero? Twenty to twenty-nine measurements of known spread: the test of one sample.

Under the null hypothesis the mean is zero, but for a spread of a millionth, since a prior has one;
under the alternative it is N(0, 1). The sum decides, and the evidences are Gaussian.

>>> [round(log_bayes_factor(np.full(25, mean)), 1) for mean in (0.0, 0.3, 0.6)]
[-1.6, -0.5, 2.7]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

ZERO = 1e-6  # sd of the mean under the null: no evidence differs by 1e-9 from that of zero
SPREAD = 1.0  # sd of the mean under the alternative, and of a measurement
FEWEST, MOST = 20, 29


@simulator(batched=True, sets={"n": ["x"]})
def sample(mu: Array, n: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Measure n times; what lies beyond a row's own n is ignored."""
    return {"x": rng.normal(mu[:, None], SPREAD, (len(mu), int(n.max())))}


def log_evidence_null(x: npt.ArrayLike) -> float:
    """Give the exact log evidence of measurements `x`, shape (n,), of mean zero."""
    return float(st.norm(0, SPREAD).logpdf(np.asarray(x, np.float64)).sum())


def log_evidence_alternative(x: npt.ArrayLike) -> float:
    """Give the exact log evidence of measurements `x`, shape (n,), whose mean is N(0, 1)."""
    return log_evidence_null(x) + log_bayes_factor(x)


def log_bayes_factor(x: npt.ArrayLike) -> float:
    """Give the exact log Bayes factor of the alternative over the null, shape (n,) to a number."""
    x = np.asarray(x, np.float64)
    return float(x.sum() ** 2 / (2 * (1 + len(x))) - np.log1p(len(x)) / 2)


_GIVEN = {"n": st.randint(FEWEST, MOST + 1)}
_LABELS = {"mu": "mean", "n": "sample size", "x": "measurements"}
_SOURCE = "BayesFlow 2.0 (Radev et al. 2023), example One-Sample T-Test"

problem_null = Problem(
    sample, Prior(mu=st.norm(0, ZERO)), given=_GIVEN, labels=_LABELS, source=_SOURCE
)
problem_alternative = Problem(
    sample, Prior(mu=st.norm(0, SPREAD)), given=_GIVEN, labels=_LABELS, source=_SOURCE
)
