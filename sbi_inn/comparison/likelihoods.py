"""How strange an observation is to all models: likelihoods as test statistics (sec. 5.4.3).

Any number computed from an observation becomes a test by its rank among the numbers of simulations.
Likelihoods may be too low, or too high to be typical. Learned features ignore what does not differ
between models, so distances between observations are tested too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import logsumexp

from sbi_inn.checks.candidates import Labelled
from sbi_inn.checks.goodness import Familiar
from sbi_inn.diagnostics.tails import tail_p_value, two_tailed
from sbi_inn.methods.ib_inn.ensemble import FittedClassifiers
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.typing import FloatArray

TOTAL, CLASS, STYLE, WAIC = "likelihood", "class likelihood", "style likelihood", "WAIC"
DISTANCE = "distance"
SCORES = (TOTAL, CLASS, STYLE, WAIC)
ONE_TAILED, TYPICALITY, TWO_TAILED = "one-tailed", "typicality", "two-tailed"
TESTS = (ONE_TAILED, TYPICALITY, TWO_TAILED)
# Tests that decide together, and how much each counts; the others are shown beside them. Distances
# and what is learned of the classes see what likelihoods of features forget, and little else.
DECIDING = {
    (TOTAL, TWO_TAILED): 1.0,
    (WAIC, ONE_TAILED): 1.0,
    (CLASS, ONE_TAILED): 0.25,
    (DISTANCE, TWO_TAILED): 0.25,
}


@dataclass(frozen=True)
class Scored:
    """What observations score.

    Attributes
    ----------
    scores : dict of str to array, shape (rows,)
        Log-likelihoods, larger where an observation is less strange.
    each : array, shape (rows, models)
        Log density under each model.
    distance : array, shape (rows,)
        P-value of the distance to simulations.
    """

    scores: Mapping[str, FloatArray]
    each: FloatArray
    distance: FloatArray

    def p_values(self, usual: Scored) -> dict[tuple[str, str], FloatArray]:
        """Give the p-value of every test, by score and kind, shape (rows,) each."""
        found = {}
        for name, score in self.scores.items():
            reference = usual.scores[name]
            middle = reference.mean()
            found[name, ONE_TAILED] = tail_p_value(-score, -reference)
            found[name, TYPICALITY] = tail_p_value(
                np.abs(score - middle), np.abs(reference - middle)
            )
            found[name, TWO_TAILED] = two_tailed(score, reference)
        found[DISTANCE, TWO_TAILED] = self.distance
        return found


@dataclass(frozen=True, eq=False)
class Strangeness:
    """Scores of simulations, and p-values of observations among them.

    Attributes
    ----------
    fitted : FittedClassifiers
    schema : Schema
    familiar : Familiar
        What simulations look like, by distance.
    usual : Scored
        Of simulations that neither the networks nor `familiar` were fitted to.
    labels : array of int, shape (n,)
        Which models they are of.
    """

    fitted: FittedClassifiers
    schema: Schema
    familiar: Familiar
    usual: Scored
    labels: Any

    @classmethod
    def of(
        cls, fitted: FittedClassifiers, schema: Schema, usual: Labelled, seen: Observations
    ) -> Strangeness:
        """Score the usual simulations, and learn distances from others."""
        familiar = Familiar.of(Plain(schema), seen)  # pyright: ignore[reportArgumentType]
        scored = score(fitted, schema, familiar, usual.observations)
        return cls(fitted, schema, familiar, scored, usual.labels)

    def scored(self, observations: Observations) -> Scored:
        """Score observations."""
        return score(self.fitted, self.schema, self.familiar, observations)

    def p_value(self, scored: Scored) -> FloatArray:
        """Give the p-value of all deciding tests together, shape (rows,).

        The smallest of theirs, each over its weight, ranked among those that simulations have: the
        tests look at much the same, and a correction for their number would be too careful.
        """
        mine = _smallest(scored.p_values(self.usual))
        return tail_p_value(-np.log(mine), self._usual_smallest)

    def p_values_each(self, scored: Scored) -> FloatArray:
        """Give two-tailed p-values under each model, (rows, models), among its simulations."""
        columns = [
            two_tailed(scored.each[:, k], self.usual.each[self.labels == k, k])
            for k in range(scored.each.shape[1])
        ]
        return np.stack(columns, axis=1)

    @cached_property
    def _usual_smallest(self) -> FloatArray:
        return -np.log(_smallest(self.usual.p_values(self.usual)))


@dataclass(frozen=True)
class Plain:
    """What measuring distances between observations asks for, without learned features."""

    schema: Schema

    def features(self, observations: Observations) -> FloatArray:
        """Give none."""
        return np.empty((len(observations), 0))


def score(
    fitted: FittedClassifiers, schema: Schema, familiar: Familiar, observations: Observations
) -> Scored:
    """Score observations by likelihoods over the ensemble, and by distance."""
    log_posterior = fitted.evidence(observations).log
    log_posterior = log_posterior - logsumexp(log_posterior, axis=1, keepdims=True)
    found = familiar.compare(Plain(schema), observations)  # pyright: ignore[reportArgumentType]
    distance = np.array([one.p_value for one in found])
    members = fitted.likelihoods(observations)
    if not members:
        nothing = np.zeros(len(observations))
        return Scored(dict.fromkeys(SCORES, nothing), log_posterior, distance)
    totals = np.stack([one.total for one in members])
    total = logsumexp(totals, axis=0) - np.log(len(totals))
    scores = {
        TOTAL: total,
        CLASS: np.mean([one.class_part for one in members], axis=0),
        STYLE: np.mean([one.style_part for one in members], axis=0),
        WAIC: totals.mean(axis=0) - totals.var(axis=0),
    }
    each = total[:, None] + log_posterior + np.log(log_posterior.shape[1])
    return Scored(scores, each, distance)


def _smallest(p_values: Mapping[tuple[str, str], FloatArray]) -> FloatArray:
    return np.min([p_values[test] / weight for test, weight in DECIDING.items()], axis=0)
