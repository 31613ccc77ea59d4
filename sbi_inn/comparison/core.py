"""What everything else needs of a comparison: evidences, and what simulated observations score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sbi_inn.checks.candidates import Labelled
from sbi_inn.comparison.likelihoods import Strangeness
from sbi_inn.errors import ComparisonError
from sbi_inn.methods.ib_inn.ensemble import Evidence, FittedClassifiers
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import FloatArray

# How far from one prior probabilities may sum to, as they are typed.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Core:
    """Trained classifiers, the simulations behind them, and how they came about.

    Attributes
    ----------
    names : tuple of str
        Of the models.
    fitted : FittedClassifiers
    schema : Schema
        The observation as understood, the same for all models.
    simulations : dict of str to Simulations
        What it was learned from; after loading there are none.
    problems : dict of str to Problem or None
        What to simulate with.
    tests : Labelled
        Simulations that training has never seen.
    usual : Labelled
        Simulations by which training was judged: observations are ranked among them.
    seen : Observations
        Some of those that training has seen, which distances are measured to.
    log_prior : array, shape (models,)
    seed : int
    n_simulations : int
        How many simulations of all models it was learned from.
    """

    names: tuple[str, ...]
    fitted: FittedClassifiers
    schema: Schema
    simulations: Mapping[str, Simulations]
    problems: Mapping[str, Problem | None]
    tests: Labelled
    usual: Labelled
    seen: Observations
    log_prior: FloatArray
    seed: int
    n_simulations: int
    seconds: float = np.inf
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def evidence(self, observations: Observations) -> Evidence:
        """Give the log evidences of the models, and how well they are known."""
        return self.fitted.evidence(observations)

    def log_posterior(
        self, evidence: Evidence, prior: Mapping[str, float] | None = None
    ) -> FloatArray:
        """Give the log probabilities of the models (eq. 5.7), shape (rows, models)."""
        log_prior = self.log_prior if prior is None else log_prior_of(self.names, prior)
        joint = evidence.log + log_prior
        top = joint.max(axis=1, keepdims=True)
        return joint - top - np.log(np.exp(joint - top).sum(axis=1, keepdims=True))

    @cached_property
    def strangeness(self) -> Strangeness:
        """What simulations score in every test of "none of them"."""
        return Strangeness.of(self.fitted, self.schema, self.usual, self.seen)


def log_prior_of(names: tuple[str, ...], prior: Mapping[str, float] | None) -> FloatArray:
    """Read prior probabilities of the models; equal ones where none are stated.

    Raises
    ------
    ComparisonError
        If a model is missing or unknown, a number is negative, or they do not sum to one.
    """
    if prior is None:
        return np.full(len(names), -np.log(len(names)))
    if not isinstance(prior, Mapping) or set(prior) != set(names):
        known = ", ".join(prior) if isinstance(prior, Mapping) else repr(prior)
        raise ComparisonError(
            f"expected a prior probability of each model, {', '.join(names)}; got {known}"
        )
    try:
        stated = np.array([float(prior[name]) for name in names])
    except (TypeError, ValueError):
        raise ComparisonError(f"expected prior probabilities as numbers; got {prior}") from None
    total = float(stated.sum())
    if not (stated >= 0).all() or abs(total - 1) > ROUNDING:
        raise ComparisonError(
            f"expected prior probabilities of at least 0 that sum to 1; got {dict(prior)}, whose "
            f"sum is {total:.6g}"
        )
    with np.errstate(divide="ignore"):
        return np.log(stated / total)
