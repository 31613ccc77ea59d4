"""Rounds of draws, each from a proposal that was fitted to the weighted draws of the round before.

If a proposal is far from the target, one draw has nearly all of the weight, and nothing can be
fitted to the draws. So weights are raised to a power below 1, the largest that leaves enough
effective draws. The target of a round then lies between the proposal and the real target, and each
round comes closer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from sbi_inn.diagnostics.pareto import pareto_smoothed
from sbi_inn.diagnostics.weighted import effective_sample_size
from sbi_inn.typing import BoolArray, FloatArray
from sbi_inn.weighting.proposal import Part, Proposal
from sbi_inn.weighting.student import fitted

ROUNDS = 12  # at most
FEWEST = 0.1  # effective share that a mixture is fitted to
EVEN = 0.5  # effective share, from which on weights are even enough,
UNEVEN = 0.5  # unless the Pareto k of their tail exceeds this
BETTER = 1.1  # factor by which a round has to raise it
HALVINGS = 50  # of the interval of powers

Target = Callable[[FloatArray], FloatArray]
Fit = Callable[[FloatArray, FloatArray, np.random.Generator], Part]


@dataclass(frozen=True)
class Round:
    """Draws of a proposal with their weights.

    Attributes
    ----------
    points : array, shape (n, d)
    heights : array, shape (n,)
        Log of the target.
    log_weights : array, shape (n,)
        Log of target over proposal.
    """

    points: FloatArray
    heights: FloatArray
    log_weights: FloatArray

    @classmethod
    def of(cls, proposal: Part, target: Target, n: int, rng: np.random.Generator) -> Round:
        """Draw from a proposal, and weight the draws."""
        points = proposal.draw(n, rng)
        heights = target(points)
        return cls(points, heights, heights - proposal.log_prob(points))

    @property
    def share(self) -> float:
        """Effective share of the draws."""
        return float(effective_sample_size(self.log_weights)) / len(self.points)

    @property
    def log_mean(self) -> float:
        """Log of the mean weight, an estimate of the target's integral: of the evidence."""
        return float(logsumexp(self.log_weights) - np.log(len(self.log_weights)))

    @property
    def possible(self) -> BoolArray:
        """At which points the target is not zero, shape (n,)."""
        return np.isfinite(self.heights)

    @property
    def even(self) -> bool:
        """Whether the weights are so even that another round is not worth its likelihoods."""
        return self.share > EVEN and pareto_smoothed(self.log_weights)[1] <= UNEVEN


def round_size(dim: int, n: int) -> int:
    """Count the draws of a round before n final ones, in so many dimensions."""
    return max(100 * (dim + 5), n // 10)


def tempered(log_weights: FloatArray) -> FloatArray:
    """Raise weights to the largest power, of at most 1, that leaves a tenth of effective draws.

    Where even equal weights leave fewer, since most are zero, half of those that are not.
    """
    some = np.isfinite(log_weights)
    size = min(FEWEST * len(log_weights), some.sum() / 2)
    low, high = 0.0, 1.0
    if effective_sample_size(log_weights) >= size:
        return log_weights
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        powered = np.where(some, middle * np.where(some, log_weights, 0.0), -np.inf)
        if effective_sample_size(powered) >= size:
            low = middle
        else:
            high = middle
    return np.where(some, low * np.where(some, log_weights, 0.0), -np.inf)


def adapted(
    start: Part, target: Target, n: int, rng: np.random.Generator, fit: Fit = fitted
) -> tuple[Part | None, list[Round]]:
    """Adapt a proposal to the target by rounds of n draws, from a proposal to start with.

    Population Monte Carlo with tempered weights.

    Parameters
    ----------
    start : Part
    target : Target
    n : int
    rng : numpy.random.Generator
    fit : callable
        Points (n, d), log weights (n,) and a generator to the next proposal.

    Returns
    -------
    proposal : Part or None
        None if the target is zero at nearly all draws of the start.
    rounds : list of Round
        The first holds the draws of the start.

    References
    ----------
    Cappe et al. (2008), Statistics and Computing 18, 447; tempered weights: Koblents & Miguez
    (2015), Statistics and Computing 25, 407.
    """
    proposal, best = start, None
    rounds: list[Round] = []
    for _ in range(ROUNDS):
        found = Round.of(proposal, target, n, rng)
        rounds.append(found)
        if found.possible.sum() < 4 * (found.points.shape[1] + 1):
            break
        log_weights = tempered(found.log_weights)
        proposal = best = fit(found.points, log_weights, rng)
        settled = len(rounds) > 1 and found.share < BETTER * rounds[-2].share
        if log_weights is found.log_weights and (settled or found.even):
            break
    return best, rounds


def balanced(proposal: Proposal, found: Round, least: FloatArray, *, steps: int = 30) -> Proposal:
    """Give each part the share that brings the proposal closest to the target.

    As it was, where the target is zero at all draws.

    Parameters
    ----------
    proposal : Proposal
    found : Round
        Draws of it.
    least : array, shape (parts,)
        Shares that the parts keep in any case; they sum to less than 1.
    """
    if not found.possible.any():
        return proposal
    weights = softmax(tempered(found.log_weights))
    log_each = proposal.log_each(found.points)
    shares = proposal.shares
    for _ in range(steps):
        with np.errstate(divide="ignore"):
            shares = weights @ softmax(np.log(shares) + log_each, axis=1)
    return Proposal(proposal.parts, least + (1 - least.sum()) * shares)
