"""Successes among a known number of trials, such as deaths among patients: beta-binomial laws.

The chance of a success is learned by its log odds. A dispersion d says by how much successes
scatter more than a binomial law has it: if the chance itself follows a beta law of mean p and size
1 / d, their variance is N p (1 - p) (1 + N d) / (1 + d) (Skellam 1948, JRSS B 10, 257). Numbers of
trials have the shape (k,), all else has (..., k).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.likelihoods.generalised_linear import Law, Slopes
from sbi_inn.likelihoods.log_odds import MOST


def log_probability(n: Tensor, odds: Tensor, dispersion: Tensor, many: Tensor) -> Tensor:
    """Give the log probability of n successes among so many trials, but for a constant of n.

    Examples
    --------
    >>> import torch
    >>> from scipy.stats import betabinom
    >>> n, many = torch.tensor([0.0, 3.0]).double(), torch.tensor(5.0).double()
    >>> odds, dispersion = torch.tensor(0.5).double(), torch.tensor(0.25).double()
    >>> p = torch.sigmoid(odds).item()
    >>> ways = torch.tensor([1.0, 10.0]).double().log()
    >>> theirs = betabinom.logpmf(n.numpy(), 5, p * 4, (1 - p) * 4)
    >>> mine = log_probability(n, odds, dispersion, many) + ways
    >>> abs(mine.numpy() - theirs).max() < 1e-12
    np.True_
    """
    size, odds = 1 / dispersion, odds.clamp(-MOST, MOST)
    yes, no = size * torch.sigmoid(odds), size * torch.sigmoid(-odds)
    found = torch.lgamma(n + yes) - torch.lgamma(yes)
    found = found + torch.lgamma(many - n + no) - torch.lgamma(no)
    return found - torch.lgamma(many + size) + torch.lgamma(size)


def slopes(n: Tensor, mean: Tensor, dispersion: Tensor, many: Tensor) -> tuple[Tensor, Tensor]:
    """Say how the log probability changes with the mean, and with the log of the dispersion."""
    size, chance = 1 / dispersion, mean / many
    yes, no = size * chance, size * (1 - chance)
    of_yes = torch.digamma(n + yes) - torch.digamma(yes)
    of_no = torch.digamma(many - n + no) - torch.digamma(no)
    of_both = torch.digamma(many + size) - torch.digamma(size)
    by_mean = size / many * (of_yes - of_no)
    return by_mean, -size * (chance * of_yes + (1 - chance) * of_no - of_both)


def slopes_of_said(
    n: Tensor, odds: Tensor, dispersion: Tensor, many: Tensor
) -> tuple[Tensor, Tensor]:
    """Say how the log probability changes with the log odds, and with the log dispersion."""
    chance = torch.sigmoid(odds.clamp(-MOST, MOST))
    by_mean, by_dispersion = slopes(n, many * chance, dispersion, many)
    inside = odds.abs() < MOST
    return by_mean * many * chance * (1 - chance) * inside, by_dispersion


def law(odds: Tensor, dispersion: Tensor, many: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give means and log variances, and how they change with log odds and log dispersions."""
    chance = torch.sigmoid(odds.clamp(-MOST, MOST))
    steep = many * chance * (1 - chance)
    wide = (1 + many * dispersion) / (1 + dispersion)
    return many * chance, (steep * wide).log(), steep, _by_dispersion(dispersion, many)


def dispersion_of(mean: Tensor, log_variance: Tensor, many: Tensor) -> Tensor:
    """Give the dispersions behind variances; none is as wide as all or nothing."""
    wide = log_variance.exp() / (mean * (1 - mean / many))
    return (wide - 1) / (many - wide).clamp(min=1e-9 * many)


def leading(
    n: Tensor, mean: Tensor, log_variance: Tensor, dispersion: Tensor, many: Tensor
) -> tuple[Tensor, Tensor]:
    """Say how the log probability grows with the mean, in standard deviations, and log variance."""
    by_mean, by_dispersion = slopes(n, mean, dispersion, many)
    wider = by_dispersion / _by_dispersion(dispersion, many)
    return by_mean * torch.exp(0.5 * log_variance), wider


def said_of(mean: Tensor, many: Tensor) -> Tensor:
    """Give the log odds behind means."""
    return torch.logit(mean / many)


def observed(n: Tensor, many: Tensor) -> Tensor:
    """Give log odds that are seen, half a success and half a failure added."""
    return ((n + 0.5) / (many - n + 0.5)).log()


def regression(many: Tensor) -> Law:
    """Give what a logistic regression of successes among so many, (k,), minimises."""

    def loss(odds: Tensor, n: Tensor) -> Tensor:
        return (many * F.softplus(odds) - n * odds).sum(dim=0)

    def slopes(odds: Tensor, n: Tensor) -> Slopes:
        chance = torch.sigmoid(odds)
        return Slopes(n - many * chance, many * chance * (1 - chance))

    return Law(loss, slopes)


def _by_dispersion(dispersion: Tensor, many: Tensor) -> Tensor:
    """Say how the log variance changes with the log dispersion."""
    return dispersion * (many - 1) / (1 + many * dispersion) / (1 + dispersion)
