"""Train the members of an ensemble one by one, score them on validation rows, and weight them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from sbi_inn.errors import NoDensityError
from sbi_inn.methods.protocols import Fitted, Method, TrainingData, takes_integral
from sbi_inn.observation.batch import Observations
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray, IntArray

# Rows by which each member's weight is drawn to the others'. Two members that are equally good get
# weights within 1 / sqrt(32 * 16) = .04 (sd) of 1/2, however many validation rows there are;
# one that is worse at all of 1,000 rows gets .016.
PSEUDO_ROWS = 16.0
# Share of its even part below which a member is left out: it is blunter than the others nearly
# everywhere, and the few draws that it would add are far out.
WORTHWHILE = 0.5
# Steps of expectation-maximisation at most.
STEPS = 1_000
# The largest change of a weight, at which they have settled.
SETTLED = 1e-6


@dataclass(frozen=True)
class Member:
    """A trained network, and its log density of the validation rows."""

    fitted: Fitted
    log_density: FloatArray

    @property
    def interrupted(self) -> bool:
        """Whether its training was ended before its time."""
        return self.fitted.history.stopped == "interrupted"

    @property
    def loss(self) -> float:
        """Mean loss of the validation rows; infinite if one has no density."""
        found = -float(self.log_density.mean())
        return np.inf if np.isnan(found) else found


def train(method: Method, data: TrainingData, training: Training, seed: int) -> Member:
    """Train a member; it runs in a process of its own."""
    fitted = method.fit(data, training, seed=seed, progress=False)
    rows = data.validation
    return Member(fitted, _score(fitted, data.latents[rows], data.observations[rows]))


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


def worthwhile(log_density: FloatArray) -> IntArray:
    """Find the members that the others do not make superfluous, in order.

    Examples
    --------
    >>> worthwhile(np.stack([np.zeros(1_000), np.full(1_000, -9.0), np.zeros(1_000)]))
    array([0, 2])
    """
    weights = stacked(log_density)
    return np.flatnonzero(weights >= WORTHWHILE / len(weights))


def weighed(members: list[Member]) -> tuple[list[Member], FloatArray]:
    """Choose the networks that are mixed at all observations, and their weights."""
    return mixed(alike(members))


def mixed(members: list[Member]) -> tuple[list[Member], FloatArray]:
    """Leave out those that the others make superfluous, and give the weights of the others."""
    density = np.stack([one.log_density for one in members])
    chosen = worthwhile(density)
    return [members[place] for place in chosen], stacked(density[chosen])


def alike(members: list[Member]) -> list[Member]:
    """Keep the networks of the kind whose mixture gives most density to validation rows.

    Narrow and wide posteriors together are too wide, even if truths are likelier by them.
    """
    return max(by_kind(members), key=_together)


def by_kind(members: list[Member]) -> list[list[Member]]:
    """Group the networks by what they may be mixed with."""
    kinds: dict[str, list[Member]] = {}
    for one in members:
        kinds.setdefault(getattr(one.fitted, "kind", ""), []).append(one)
    return list(kinds.values())


def density_of(members: list[Member], weights: FloatArray) -> FloatArray:
    """Give the log density of each validation row under a mixture."""
    each = np.stack([one.log_density for one in members])
    found = np.asarray(logsumexp(each, axis=0, b=weights[:, None]), float)
    return np.where(np.isnan(found), -np.inf, found)


def _together(members: list[Member]) -> float:
    """Mean log density of the validation rows under the mixture."""
    weights = stacked(np.stack([one.log_density for one in members]))
    return float(density_of(members, weights).mean())


def _score(fitted: Fitted, latent: FloatArray, observations: Observations) -> FloatArray:
    """Log density of each row; where it takes an integral, or there is none, weights are equal."""
    if takes_integral(fitted):
        return np.zeros(len(latent))
    try:
        return fitted.log_prob(latent, observations)
    except NoDensityError:
        return np.zeros(len(latent))


def converged(trained: list[Member]) -> list[Member]:
    """Leave out members whose loss turned non-finite, unless all of them did."""
    kept = finite(trained)
    if len(kept) < len(trained):
        warnings.warn(
            f"the loss of {len(trained) - len(kept)} of {len(trained)} networks turned non-finite: "
            "they are left out. A smaller Training(learning_rate=...) may help",
            stacklevel=3,
        )
    return kept


def finite(trained: list[Member]) -> list[Member]:
    """Give the members whose loss stayed finite; all, if none has."""
    return [one for one in trained if one.fitted.history.stopped != "diverged"] or trained
