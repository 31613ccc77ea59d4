"""From a learned posterior and a likelihood to draws of the exact posterior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import logsumexp

from sbi_inn.diagnostics.pareto import pareto_smoothed
from sbi_inn.diagnostics.weighted import effective_sample_size
from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray
from sbi_inn.weighting.adaptation import BETTER, Fit, Round, Target, adapted, balanced, round_size
from sbi_inn.weighting.proposal import Part, PriorPart, Proposal
from sbi_inn.weighting.student import StudentMixture, fitted
from sbi_inn.weighting.warped import Flow, fitted_through

NETWORK, PRIOR, MIXTURE = 0.1, 0.05, 0.05  # share of the draws that each such part has at least
REPAIRS = 3  # parts of the posterior that are added where none of the others reaches
LOST = 0.02  # share of the evidence, from which on it matters that points are missed
TIMES = 30  # weight of a missed point over the mean of all draws


@dataclass(frozen=True)
class Weighted:
    """Weighted points on the latent side of the prior.

    Attributes
    ----------
    points : array, shape (n, d)
    log_weights : array, shape (n,)
        Smoothed and normalised.
    pareto_k, effective_share, log_evidence, log_evidence_error, network_share : float
        As in `Importance`; the evidence under the prior whose latent side it is.
    evaluations : int
    missed : bool
    """

    points: FloatArray
    log_weights: FloatArray
    pareto_k: float
    effective_share: float
    log_evidence: float
    log_evidence_error: float
    network_share: float
    evaluations: int
    missed: bool


def importance(
    network: Part,
    near: FloatArray,
    target: Target,
    n: int,
    rng: np.random.Generator,
    *,
    flow: Flow | None = None,
) -> Weighted:
    """Adapt a proposal to the target, then draw from it and weight the draws.

    Two mixtures of Student's t adapt to the target, each by rounds of its own: one starts from the
    network, the other from the parameters of simulations that came close to the observation, which
    do not depend on what the network has missed. The proposal holds both, the network and the
    prior. It is fixed before the final draws: these are independent, and their weights exact.

    Parameters
    ----------
    network : Part
        The posterior that was learned.
    near : array, shape (k, d)
        Points to start from beside it, such as those of a rejection ABC.
    target : callable
        Log of prior times likelihood at points (n, d).
    n : int
        Final draws.
    rng : numpy.random.Generator
    flow : Flow, optional
        The network's map from its own latents, among which the first mixture is fitted then.

    Raises
    ------
    ShapeError
        If the likelihood is zero at every draw.
    """
    size = round_size(near.shape[1], n)
    fit = fitted if flow is None else partial(fitted_through, flow)
    first, seen = adapted(network, target, size, rng, fit)
    network_share = seen[0].share
    second, more = adapted(fitted(near, np.zeros(len(near)), rng), target, size, rng)
    mixtures = [mixture for mixture in (first, second) if mixture is not None]
    proposal, pilots = _joined(network, mixtures, target, [*seen, *more], rng, fit)
    found = Round.of(proposal, target, n, rng)
    if not found.possible.any():
        raise ShapeError(
            f"expected a log_likelihood that is not always -inf; got -inf at every one of {n:,} "
            "draws, so that there is nothing to weight"
        )
    log_weights, k = pareto_smoothed(found.log_weights)
    return Weighted(
        points=found.points,
        log_weights=log_weights,
        pareto_k=k,
        effective_share=found.share,
        log_evidence=found.log_mean,
        log_evidence_error=float(np.sqrt(max(1 / found.share - 1, 0) / n)),
        network_share=network_share,
        evaluations=n + sum(len(one.points) for one in pilots),
        missed=len(missed(found, proposal, pilots)[0]) > 0,
    )


def _joined(
    network: Part,
    mixtures: list[Part],
    target: Target,
    seen: list[Round],
    rng: np.random.Generator,
    fit: Fit,
) -> tuple[Proposal, list[Round]]:
    """Put the parts together, and add one wherever the target was seen but is not reached.

    Returns
    -------
    proposal : Proposal
    rounds : list of Round
        All that was seen.
    """
    (size, dim), before = seen[0].points.shape, 0.0
    for left in reversed(range(1 + REPAIRS)):
        least = np.array([NETWORK, PRIOR, *[MIXTURE] * len(mixtures)])
        proposal = Proposal([network, PriorPart(dim), *mixtures], least / least.sum())
        found = Round.of(proposal, target, size, rng)
        proposal = balanced(proposal, found, least)
        lost = missed(found, proposal, seen)
        seen = [*seen, found]
        settled = found.even or found.share < BETTER * before
        if not left or (settled and not len(lost[0])):
            break
        before = found.share
        if len(lost[0]):
            more, rounds = adapted(StudentMixture.around(*lost), target, size, rng)
        else:
            more, rounds = adapted(proposal, target, size, rng, fit)
        seen = [*seen, *rounds]
        if more is not None:
            mixtures = [*mixtures, more]
    return proposal, seen


def missed(
    draws: Round, proposal: Proposal, seen: Sequence[Round]
) -> tuple[FloatArray, FloatArray]:
    """Find points that were seen and that the proposal does not reach.

    Each would have thirty times the mean weight, were it drawn; and together they hold more than a
    fiftieth of the evidence, by two standard errors, as their weights tell in the round that they
    were seen in. (A single one that is heavy is none: in the tails there are always some.)

    Parameters
    ----------
    draws : Round
        Of such a proposal.
    proposal : Proposal
    seen : sequence of Round

    Returns
    -------
    points : array, shape (k, d)
    log_weights : array, shape (k,)
        Their weights where they were seen.
    """
    points, log_weights = [draws.points[:0]], [draws.log_weights[:0]]
    for one in seen:
        beyond = one.heights > proposal.log_prob(one.points) + draws.log_mean + np.log(TIMES)
        if beyond.any():
            found = one.log_weights[beyond]
            share = np.exp(logsumexp(found) - np.log(len(beyond)) - draws.log_mean)
            if share * (1 - 2 / np.sqrt(effective_sample_size(found))) > LOST:
                points.append(one.points[beyond])
                log_weights.append(found)
    return np.concatenate(points), np.concatenate(log_weights)
