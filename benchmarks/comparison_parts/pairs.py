"""Pairs of simulators whose evidences are known, and tests of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sbi_inn.simulators import counts, t_test, trend

import sbi_inn as si


@dataclass(frozen=True)
class Pair:
    """Two models, and their exact log evidences.

    Attributes
    ----------
    models : dict of str to str
        Registered problems.
    observable : str
    evidences : callables
        Of one observation's measurements, in the order of the models.
    """

    models: dict[str, str]
    observable: str
    evidences: tuple[Callable, Callable]


PAIRS = {
    "trend": Pair(
        {"line": "trend_line", "parabola": "trend_parabola"},
        "y",
        (
            lambda y: trend.log_evidence(y, "line"),
            lambda y: trend.log_evidence(y, "parabola"),
        ),
    ),
    "t-test": Pair(
        {"null": "t_test_null", "alternative": "t_test_alternative"},
        "x",
        (t_test.log_evidence_null, t_test.log_evidence_alternative),
    ),
    "counts": Pair(
        {"poisson": "counts_poisson", "negative binomial": "counts_negative_binomial"},
        "y",
        (counts.log_evidence_poisson, counts.log_evidence_negative_binomial),
    ),
}


@dataclass(frozen=True)
class Seen:
    """Observations of both models in turn.

    Attributes
    ----------
    ys : list of observations
    labels : array of int, shape (n,)
    log_evidence : array, shape (n, 2)
    """

    ys: list
    labels: np.ndarray
    log_evidence: np.ndarray

    @property
    def log_bayes_factor(self):
        """Of the second model over the first, in nats."""
        return self.log_evidence[:, 1] - self.log_evidence[:, 0]

    def probabilities(self, prior=(0.5, 0.5)):
        """Give the exact probabilities, shape (n, 2)."""
        second = 1 / (1 + np.exp(-self.log_bayes_factor - np.log(prior[1] / prior[0])))
        return np.stack([1 - second, second], axis=1)


def simulated(pair, n, seed):
    """Simulate n observations, the models taking turns."""
    each = []
    for i, name in enumerate(pair.models.values()):
        table = si.simulate(name, n=-(-n // 2), seed=seed + i, n_jobs=1, progress=False)
        each.append([table.schema.unstack(table.observations(), row) for row in range(-(-n // 2))])
    ys = [y for two in zip(*each, strict=True) for y in two][:n]
    found = [[exact(np.asarray(y[pair.observable])) for exact in pair.evidences] for y in ys]
    return Seen(ys, np.arange(n) % 2, np.array(found))
