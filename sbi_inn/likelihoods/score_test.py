"""Whether a learned likelihood is surer than it has reason to be, and how much it tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.stats import chi2
from torch import Tensor

from sbi_inn.likelihoods.kinds import AnyLikelihood
from sbi_inn.likelihoods.learning import learned, parts_of

# Share of the rows that may lie further out than the number says.
TAIL = 0.1
# What is added to the information of each parameter, so that it can be inverted.
LEAST = 1e-9
# Other rows that the parameters of a row are told from.
OTHERS = 50


@dataclass(frozen=True)
class Judged:
    """A likelihood, and what rows that it was not learned from say of it.

    Attributes
    ----------
    likelihood : AnyLikelihood
    warmth : float
        By which its logarithm is to be divided.
    told : float
        How well it tells parameters apart then, in nats (`told_apart`).
    """

    likelihood: AnyLikelihood
    warmth: float
    told: float


def judged(
    x: Tensor,
    y: Tensor,
    given: Tensor,
    *,
    warm: float = 1.0,
    forgiven: float = 1.0,
    asked: int | None = None,
) -> Judged:
    """Learn a likelihood of parameters, observables and givens (rows, ...), and judge it.

    Its warmth is `warm` at least; where it is too sure, by how many times, over `forgiven`. So many
    rows are `asked` how well it tells parameters apart, the first ones; by default all.
    """
    likelihood, folds = learned(x, y, given, weigh=False)
    warmth = max(warm, too_sure(folds, x, y, given) / forgiven)
    return Judged(likelihood, warmth, told_apart(folds, x, y, given, warmth, asked))


def too_sure(folds: Sequence[AnyLikelihood], x: Tensor, y: Tensor, given: Tensor) -> float:
    """Say how many times the log-likelihood is too large: 1 where it is right.

    Each fold is asked of the rows that it was not learned from (Rao's score test). At the true
    parameters the slope of a right log-likelihood, squared in units of its information, follows a
    chi-squared law with as many degrees of freedom as there are parameters. That of an
    overconfident one is larger: by this number, at the quantile that leaves out a tenth of the
    rows.

    Parameters
    ----------
    folds : list of Likelihood
        As `learned` gives them.
    x, y, given : Tensor, shape (rows, ...)
        All rows that they were learned from: parameters, observables and givens.
    """
    found = [
        statistic(fold, x[part], y[part], given[part])
        for fold, (part, _) in zip(folds, parts_of(len(x)), strict=True)
    ]
    usual = chi2.ppf(1 - TAIL, x.shape[1])
    return float(torch.cat(found).quantile(1 - TAIL) / usual)


def told_apart(
    folds: Sequence[AnyLikelihood],
    x: Tensor,
    y: Tensor,
    given: Tensor,
    warmth: float,
    first: int | None = None,
) -> float:
    """Say how well likelihoods tell the parameters of a row from those of others, in nats.

    The log of the likelihood at the right parameters over its mean at these and those of `OTHERS`
    rows, averaged over rows that a fold was not learned from: at most log(1 + OTHERS), and a lower
    bound of the information that observables hold (van den Oord, Li & Vinyals 2018,
    arXiv:1807.03748).

    Parameters
    ----------
    folds, x, y, given
        As of `too_sure`.
    warmth : float
        By which log-likelihoods are divided.
    first : int, optional
        So many rows, the first ones, are asked; by default all. Likelihoods that were learned of
        different numbers of rows are compared on the same ones.
    """
    found = []
    for fold, (whole, _) in zip(folds, parts_of(len(x)), strict=True):
        part = whole[whole < (len(x) if first is None else first)]
        own, others = x[part], [x[part].roll(shift + 1, dims=0) for shift in range(OTHERS)]
        each = [fold.compare(at, y[part], given[part])[1] / warmth for at in (own, *others)]
        together = torch.stack(each)
        found.append(together[0] - together.logsumexp(dim=0) + math.log(len(each)))
    return float(torch.cat(found).mean())


def statistic(likelihood: AnyLikelihood, x: Tensor, y: Tensor, given: Tensor) -> Tensor:
    """Give Rao's statistic of each row, shape (rows,), at parameters x (rows, dim)."""
    found = likelihood.uphill(x, y, given)
    least = LEAST * torch.eye(x.shape[1], dtype=x.dtype)
    whitened = torch.linalg.solve(found.information + least, found.steepest)
    return (found.steepest * whitened).sum(dim=1)
