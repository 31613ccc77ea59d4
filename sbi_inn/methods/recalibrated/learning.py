"""Learn from simulations with known truths how the ranks of a posterior must be changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import optimize, stats
from scipy.special import logsumexp

from sbi_inn.diagnostics.predicting_columns import PredictingColumns
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
from sbi_inn.typing import FloatArray

COMPARED = 1_000  # truths whose density is compared before and after
ROWS = 500  # that reference draws are made for at a time
SIGNIFICANT = 0.01  # p-value from which on how latents go together is looked at
DRAWN = 100  # draws at an observation, that a truth is compared with
NUMBERS = 8_000_000  # products of draws that are held at once
RIDGE = 5.0  # what keeps the weights small: the squares of their coefficients count as much
FEWEST_ROWS = 100  # for how latents go together
MOST = 20  # latents, up to which products of all pairs are looked at


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
    laws = learn_laws(scores, features, rng)
    dim = scores.shape[1]
    how = Recalibration(schema, known, laws, np.zeros((dim, dim)), seed, len(truths))
    how = _harmless(fitted, how, truths, observations)
    if how.by_weights or not 1 < dim <= MOST or len(scores) < FEWEST_ROWS:
        return how
    laws = how.laws
    return replace(how, together=_together(_normalised(scores, laws, features), drawn, rng))


def _harmless(
    fitted: Fitted, how: Recalibration, truths: FloatArray, observations: Observations
) -> Recalibration:
    """Choose how latents are changed, so that truths become no less likely.

    Where latents go together closely, as on a thin crescent, to move one of them leaves it: then
    draws get weights in its place. If truths become less likely by that too, nothing is changed.
    """
    if not how.changed:
        return how
    few = slice(0, COMPARED)
    here, seen = truths[few], observations[few]
    try:
        before = fitted.log_prob(here, seen)
        for tried in (how, replace(how, by_weights=True)):
            gain = recalibrated(fitted, tried).log_prob(here, seen) - before
            if gain.mean() > -gain.std() / np.sqrt(len(gain)):
                return tried
    except NoDensityError:
        return how
    return replace(how, laws=(ScoreLaw(),) * len(how.laws))


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


def _normalised(scores: FloatArray, laws: tuple[ScoreLaw, ...], features: Features) -> FloatArray:
    """Give scores of truths (n, d) as they are once every latent is recalibrated."""
    n = len(scores)
    each = [
        law.normalise(z, *law.at(features, n))[0] for z, law in zip(scores.T, laws, strict=True)
    ]
    return np.column_stack(each)


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
