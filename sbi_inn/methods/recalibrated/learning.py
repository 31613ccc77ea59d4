"""Learn from simulations with known truths how the ranks of a posterior must be changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import optimize, special, stats
from scipy.special import logsumexp

from sbi_inn.diagnostics.predicting_columns import PredictingColumns
from sbi_inn.diagnostics.rank_density import unevenness
from sbi_inn.diagnostics.score_law import (
    Features,
    ScoreLaw,
    association,
    learn_laws,
    simplest,
)
from sbi_inn.errors import NoDensityError
from sbi_inn.methods.protocols import Fitted
from sbi_inn.methods.recalibrated.fitted import Recalibration, Reference, recalibrated
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.typing import BoolArray, FloatArray

COMPARED = 1_000  # truths whose density is compared before and after
ROWS = 500  # that reference draws are made for at a time
SIGNIFICANT = 0.01  # p-value from which on how latents go together is looked at
DRAWN = 100  # draws at an observation, that a truth is compared with
NUMBERS = 8_000_000  # products of draws that are held at once
RIDGE = 5.0  # what keeps the weights small: the squares of their coefficients count as much
FEWEST_ROWS = 100  # for how latents go together
NOISE = 2.0  # standard deviations of how uneven ranks are, that chance may add
CLEARLY = 2.0  # standard errors by which weights have to gain more than moving
PARTS = 5  # of the rows, each of which shows what is learned from the others
MOST = 20  # latents, up to which products of all pairs are looked at

LeftOut = tuple[tuple[ScoreLaw, ...], BoolArray]  # laws, and the rows they were learned without


def learn_recalibration(
    fitted: Fitted, schema: Schema, truths: FloatArray, observations: Observations, *, seed: int
) -> Recalibration:
    """Learn a recalibration: latent by latent, then of all together.

    Parameters
    ----------
    fitted : Fitted
    schema : Schema
    truths : array, shape (n, dim)
        True parameters, on the latent side of the prior.
    observations : Observations
        As many rows, that training has not seen.
    seed : int
    """
    rng = generator(seed, Stream.RECALIBRATION_FOLDS)
    scores, drawn, columns = _looked_up(fitted, schema, truths, observations, seed)
    known = PredictingColumns.of(columns, rng, first=association(columns, scores))
    features = known.families(columns)
    laws = learn_laws(scores, features, rng, calibrated=True)
    n, dim = scores.shape
    how = Recalibration(schema, known, laws, np.zeros((dim, dim)), seed, n)
    left_out: tuple[LeftOut, ...] = ()
    if how.changed:
        left_out = _left_out(scores, features, rng)
        ranks = _ranks(how, left_out, scores, drawn, features, columns)
        gains = _gains(fitted, how, truths, observations, left_out)
        how = _harmless(how, ranks, gains)
    if how.by_weights or not 1 < dim <= MOST or n < FEWEST_ROWS:
        return how
    normal = _normalised(scores, left_out, features) if how.changed else scores
    return replace(how, together=_together(normal, drawn, rng))


def _left_out(
    scores: FloatArray, features: Features, rng: np.random.Generator
) -> tuple[LeftOut, ...]:
    """Learn laws again without each part of the rows, and say which rows these are."""
    part = rng.permutation(np.arange(len(scores)) % PARTS)
    return tuple(
        (
            learn_laws(
                scores[part != k],
                {name: f[part != k] for name, f in features.items()},
                rng,
                calibrated=True,
            ),
            part == k,
        )
        for k in range(PARTS)
    )


def _harmless(
    how: Recalibration, ranks: Sequence[FloatArray], gains: FloatArray | None
) -> Recalibration:
    """Choose how latents are changed, so that truths become no less likely nor worse calibrated.

    Where latents go together closely, as on a thin crescent, or where there are several modes, to
    move one of them leaves the posterior: then draws get weights in its place. If truths become
    less likely by that too, or if there is no gain in either, nothing is changed.

    Parameters
    ----------
    how : Recalibration
    ranks : three arrays, shape (n, d)
        Of truths: among draws as they are, moved, and weighted, by laws learned without the truth.
    gains : array, shape (2, n)
        Of the log density, if draws are moved and if they are weighted; None without a density.
    """
    before, *after = ranks
    fine = [not _more_uneven(one, before) for one in after]
    if gains is not None:
        # What neither gains density nor calibrates better is chance.
        fine = [
            one and not _lower(gain) and (gain.mean() > 0 or _more_uneven(before, r))
            for one, gain, r in zip(fine, gains, after, strict=True)
        ]
    if all(fine) and gains is not None:
        fine[0] = not _lower(gains[0] - gains[1], by=CLEARLY)
    if fine[0]:
        return how
    return replace(how, by_weights=True) if fine[1] else replace(how, laws=_exact(how))


def _exact(how: Recalibration) -> tuple[ScoreLaw, ...]:
    return (ScoreLaw(),) * len(how.laws)


def _lower(gain: FloatArray, by: float = 1.0) -> bool:
    """Say whether gains (n,) are below zero on average by so many of their standard errors."""
    return bool(gain.mean() < -by * gain.std() / np.sqrt(len(gain)))


def _more_uneven(ranks: FloatArray, before: FloatArray) -> bool:
    """Say whether ranks (n, d) are less uniform than those before by more than chance."""
    now, then = (np.stack([unevenness(column) for column in r.T]) for r in (ranks, before))
    return bool(now.sum() - then.sum() > NOISE * np.sqrt(2 * now.size))


def _ranks(
    how: Recalibration,
    left_out: tuple[LeftOut, ...],
    scores: FloatArray,
    drawn: FloatArray,
    features: Features,
    columns: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rank truths (n, d) among draws (n, m, d): as they are, moved, and weighted."""
    equal = np.zeros(drawn.shape[:2])
    weights = np.empty(drawn.shape[:2])
    for laws, out in left_out:
        one = replace(how, laws=laws, by_weights=True)
        weights[out] = one.log_weight(drawn[out], columns[out])
    moved = _normalised(scores, left_out, features)
    pairs = ((scores, equal), (moved, equal), (scores, weights))
    before, after, weighted = (_ranked(own, drawn, log_weights) for own, log_weights in pairs)
    return before, after, weighted


def _ranked(truths: FloatArray, drawn: FloatArray, log_weights: FloatArray) -> FloatArray:
    """Rank truths (n, d) among weighted draws (n, m, d), shape (n, d)."""
    weights = special.softmax(log_weights, axis=1)[:, :, None]
    # Half a draw at each end: the truth lies between draws, not on one of them.
    m = drawn.shape[1]
    return (m * (weights * (drawn < truths[:, None])).sum(axis=1) + 0.5) / (m + 1)


def _gains(
    fitted: Fitted,
    how: Recalibration,
    truths: FloatArray,
    observations: Observations,
    left_out: tuple[LeftOut, ...],
) -> FloatArray | None:
    """Give how much more likely truths become if latents are moved and if weighted, (2, n)."""
    try:
        fitted.log_prob(truths[:1], observations[:1])
    except NoDensityError:
        return None
    few = min(len(truths), COMPARED)
    gains = np.empty((2, few))
    for first in range(0, few, ROWS):
        rows = np.arange(first, min(first + ROWS, few))
        reference = Reference.at(fitted, how.schema, how.seed, observations[rows])
        for laws, out in left_out:
            here = np.flatnonzero(out[rows])
            if not len(here):
                continue
            each, seen = truths[rows[here]], observations[rows[here]]
            before = fitted.log_prob(each, seen)
            for i in (0, 1):
                one = recalibrated(fitted, replace(how, laws=laws, by_weights=bool(i)))
                after = one.log_prob_at(each[:, None], seen, reference[here])
                gains[i, rows[here]] = after[:, 0] - before
    return gains


def _looked_up(
    fitted: Fitted, schema: Schema, truths: FloatArray, observations: Observations, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give normal scores of truths (n, d) and of some draws (n, m, d), and what predicts (n, p)."""
    scores, drawn, columns = [], [], []
    n, dim = truths.shape
    some = int(np.clip(NUMBERS // (n * dim * (dim + 1) // 2), 10, DRAWN))
    for first in range(0, n, ROWS):
        rows = slice(first, min(first + ROWS, n))
        reference = Reference.at(fitted, schema, seed, observations[rows])
        scores.append(reference.map.forward(truths[rows][:, None])[0][:, 0])
        drawn.append(reference.map.forward(reference.latents[:, :some])[0])
        columns.append(reference.columns)
    return np.concatenate(scores), np.concatenate(drawn), np.concatenate(columns)


def _normalised(
    scores: FloatArray, left_out: tuple[LeftOut, ...], features: Features
) -> FloatArray:
    """Give scores of truths (n, d) as they are by laws that were learned without them."""
    found = np.empty(scores.shape)
    for laws, out in left_out:
        here = {name: f[out] for name, f in features.items()}
        n = int(out.sum())
        for j, law in enumerate(laws):
            found[out, j] = law.normalise(scores[out, j], *law.at(here, n))[0]
    return found


def _together(truths: FloatArray, drawn: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Learn the weight of normal scores t, exp(t' A t / 2), from truths (n, d) and draws (n, m, d).

    The likelihood of truths under the weighted draws, with a ridge; nothing, if products of pairs
    of truths are what they are in the draws, or if held-out truths become no more likely.
    """
    n, dim = truths.shape
    i, j = np.triu_indices(dim)
    scale = np.where(i == j, 0.5, 1.0)
    truths, drawn = np.clip(truths, -4, 4), np.clip(drawn, -4, 4)
    own, others = truths[:, i] * truths[:, j] * scale, drawn[:, :, i] * drawn[:, :, j] * scale
    gap = own - others.mean(axis=1)
    mean, covariance = gap.mean(axis=0), np.atleast_2d(np.cov(gap.T))
    square = n * mean @ np.linalg.pinv(covariance) @ mean
    nothing = np.zeros((dim, dim))
    if len(i) * 5 > n or stats.chi2.sf(square, len(i)) > SIGNIFICANT:
        return nothing
    half = rng.permutation(n) < n // 2
    gains = np.empty(n)
    for train in (half, ~half):
        learned = _coefficients(own[train], others[train])
        gains[~train] = _gain(learned, own[~train], others[~train])
    if simplest(("", "pairs"), (np.zeros(n), gains), lambda kind: kind) == "":
        return nothing
    nothing[i, j] = nothing[j, i] = _coefficients(own, others)
    return nothing


def _coefficients(own: FloatArray, others: FloatArray) -> FloatArray:
    """Maximise the likelihood of truths (n, k) among draws (n, m, k), coefficients (k,)."""
    n = len(own)

    def loss(a: FloatArray) -> tuple[float, FloatArray]:
        logits = others @ a
        total = logsumexp(logits, axis=1, keepdims=True)
        expected = np.einsum("nm,nmk->k", np.exp(logits - total), others, optimize=True)
        value = (total[:, 0] - own @ a).sum() + RIDGE / 2 * a @ a
        return float(value) / n, (expected - own.sum(axis=0) + RIDGE * a) / n

    return optimize.minimize(
        loss, np.zeros(own.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 40}
    ).x


def _gain(a: FloatArray, own: FloatArray, others: FloatArray) -> FloatArray:
    """Give how much more likely truths become by weights, in nats, shape (n,)."""
    usual = logsumexp(others @ a, axis=1) - np.log(others.shape[1])
    return own @ a - usual
