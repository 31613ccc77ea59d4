"""Counts without a bound, such as those of photons: negative binomial laws.

The mean m is learned by its logarithm. A dispersion p says by how much counts scatter more than a
Poisson law has it: their variance is m + p m^2.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sbi_inn.likelihoods.generalised_linear import Law, Slopes

# Largest and smallest log rate.
LOWEST, HIGHEST = -30.0, 60.0


def log_probability(n: Tensor, log_rate: Tensor, dispersion: Tensor) -> Tensor:
    """Give the log probability of counts, but for a constant of each count.

    Examples
    --------
    >>> import torch
    >>> from scipy.stats import nbinom
    >>> n = torch.tensor([0.0, 3.0]).double()
    >>> rate, dispersion = torch.tensor(2.0).double(), torch.tensor(0.5).double()
    >>> mine = log_probability(n, rate.log(), dispersion) - torch.lgamma(n + 1)
    >>> abs(mine.numpy() - nbinom.logpmf(n.numpy(), 2, 2 / (2 + 2.0))).max() < 1e-12
    np.True_
    """
    size = 1 / dispersion
    more = torch.log1p(dispersion * log_rate.exp())
    rising = torch.lgamma(n + size) - torch.lgamma(size) - n * size.log()
    return rising + n * (log_rate - more) - size * more


def slope_of_dispersion(n: Tensor, rate: Tensor, dispersion: Tensor) -> Tensor:
    """Say how the log probability changes with the logarithm of the dispersion."""
    size = 1 / dispersion
    of_size = torch.digamma(n + size) - torch.digamma(size) - torch.log1p(dispersion * rate)
    return -size * (of_size + (rate - n) / (size + rate))


def slopes_of_said(n: Tensor, log_rate: Tensor, dispersion: Tensor) -> tuple[Tensor, Tensor]:
    """Say how the log probability changes with the log rate, and with the log dispersion."""
    rate = log_rate.exp()
    by_rate = (n - rate) / (1 + dispersion * rate)
    return by_rate, slope_of_dispersion(n, rate, dispersion)


def law(log_rate: Tensor, dispersion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give means and log variances, and how they change with log rates and log dispersions."""
    rate = log_rate.clamp(LOWEST, HIGHEST).exp()
    more = dispersion * rate
    return rate, (rate * (1 + more)).log(), rate, more / (1 + more)


def dispersion_of(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Give the dispersions behind variances."""
    return (log_variance.exp() / mean - 1) / mean


def leading(
    n: Tensor, rate: Tensor, log_variance: Tensor, dispersion: Tensor
) -> tuple[Tensor, Tensor]:
    """Say how the log probability grows with the mean, in standard deviations, and log variance."""
    more = dispersion * rate
    wider = slope_of_dispersion(n, rate, dispersion) * (1 + more) / more
    return (n - rate) * torch.exp(-0.5 * log_variance), wider


def said_of(rate: Tensor) -> Tensor:
    """Give the log rates behind means."""
    return rate.log()


def observed(n: Tensor) -> Tensor:
    """Give log rates that are seen, half a count added."""
    return (n + 0.5).log()


def regression(dispersion: Tensor) -> Law:
    """Give what a regression of log rates minimises, at dispersions (k,)."""
    return Law(partial(_loss, dispersion=dispersion), partial(_slopes, dispersion=dispersion))


def _loss(log_rate: Tensor, n: Tensor, dispersion: Tensor) -> Tensor:
    log_rate = log_rate.clamp(LOWEST, HIGHEST)
    more = torch.log1p(dispersion * log_rate.exp())
    return ((n + 1 / dispersion) * more - n * log_rate).sum(dim=0)


def _slopes(log_rate: Tensor, n: Tensor, dispersion: Tensor) -> Slopes:
    rate = log_rate.clamp(LOWEST, HIGHEST).exp()
    return Slopes((n - rate) / (1 + dispersion * rate), rate / (1 + dispersion * rate))
