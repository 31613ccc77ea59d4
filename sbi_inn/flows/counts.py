"""Counts, such as those of photons or cases: negative binomial laws in place of normal ones.

The mean m is learned by its logarithm. A dispersion p says by how much counts scatter more than a
Poisson law has it: their variance is m + p m^2.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sbi_inn.flows.emulator import regressed as regressed_by_squares
from sbi_inn.flows.generalised import AT_ONCE, Law, Slopes, climbed

# Dispersions: no larger, no smaller. The smallest is a scatter of a thousandth of the mean.
LEAST, MOST = 1e-6, 1e3
# Largest and smallest log rate.
LOWEST, HIGHEST = -30.0, 60.0
# How far the exponential of a column may be from whole numbers, and by how much more for each one:
# columns have had single precision.
WHOLE, WHOLE_EACH = 1e-4, 1e-5
# Values that counts take, at least.
FEWEST_VALUES = 4
# Rows that a regression of log rates looks at, and that say which dispersion is likeliest.
ROWS, ROWS_OF_DISPERSION = 8_000, 2_000
# Parameters and their products, up to which a log rate is a quadratic function of them.
MOST_FEATURES = 45
# Dispersions that are tried, and the first one: that of an exponential law.
TRIED = torch.logspace(-6, 2, 17, dtype=torch.float64)
FIRST = 1.0
# Times that log rates are regressed, each with the dispersions that the last one leaves.
ROUNDS = 3


def counted(y: Tensor) -> Tensor:
    """Say which columns of (rows, k) hold log(1 + n), with n whole and of many values; (k,).

    Examples
    --------
    >>> import torch
    >>> n = torch.arange(6.0)
    >>> counted(torch.stack([n.log1p(), n / 4, n.clamp(max=1).log1p()], dim=1))
    tensor([ True, False, False])
    """
    n = torch.expm1(y)
    off = (n - n.round()).abs() <= WHOLE + WHOLE_EACH * n
    whole = ((n > -WHOLE) & off).all(dim=0)
    many = torch.tensor(
        [len(c.unique()) >= FEWEST_VALUES if w else False for c, w in zip(y.T, whole, strict=True)]
    )
    return whole & many.to(whole.device)


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


def law(
    log_rate: Tensor, log_dispersion: Tensor, least: float = LEAST
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give means and log variances, and how they change with log rates and log dispersions."""
    rate = log_rate.clamp(LOWEST, HIGHEST).exp()
    more = log_dispersion.exp().clamp(least, MOST) * rate
    return rate, (rate * (1 + more)).log(), rate, more / (1 + more)


def compared(n: Tensor, rate: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Give log probabilities of counts, but for constants, and how they grow with log variances."""
    dispersion = ((log_variance.exp() / rate - 1) / rate).clamp(LEAST, MOST)
    more = dispersion * rate
    wider = slope_of_dispersion(n, rate, dispersion) * (1 + more) / more
    return log_probability(n, rate.log(), dispersion), wider


def loss(n: Tensor, log_rate: Tensor, log_dispersion: Tensor) -> Tensor:
    """Give negative log probabilities of counts, but for constants of each count."""
    dispersion = log_dispersion.exp().clamp(LEAST, MOST)
    return -log_probability(n, log_rate.clamp(LOWEST, HIGHEST), dispersion)


def regressed(x: Tensor, n: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Give coefficients, slopes above offsets (features + 1, k), and dispersions (k,).

    Of log rates of counts n (rows, k) as linear functions of x (rows, features).

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(20_000, 1, generator=generator).double()
    >>> n = torch.poisson((1 + 0.5 * x).exp(), generator=generator)
    >>> found, dispersion = regressed(x, n)
    >>> found.round(decimals=1).T, bool(dispersion < 0.02)
    (tensor([[0.5000, 1.0000]], dtype=torch.float64), True)
    """
    x, n = x[:ROWS], n[:ROWS]
    if start is None:
        start = torch.vstack(regressed_by_squares(x, (n + 0.5).log()))
    parts = zip(n.split(AT_ONCE, dim=1), start.split(AT_ONCE, dim=1), strict=True)
    each = [_regressed(x, part, begin) for part, begin in parts]
    return torch.cat([found for found, _ in each], dim=1), torch.cat([p for _, p in each])


def _regressed(x: Tensor, n: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
    dispersion = x.new_full((n.shape[1],), FIRST)
    for _ in range(ROUNDS):
        law = Law(partial(_loss, dispersion=dispersion), partial(_slopes, dispersion=dispersion))
        found = climbed(x, n, law, found)
        some = slice(ROWS_OF_DISPERSION)
        dispersion = scattered(n[some], x[some] @ found[:-1] + found[-1])
    return found, dispersion


def scattered(n: Tensor, log_rate: Tensor) -> Tensor:
    """Give the likeliest dispersion of each column (rows, k) at these log rates; (k,)."""
    log_rate = log_rate.clamp(LOWEST, HIGHEST)
    likely = [log_probability(n, log_rate, one).sum(dim=0) for one in TRIED.to(n)]
    return TRIED.to(n)[torch.stack(likely).argmax(dim=0)]


def _loss(log_rate: Tensor, n: Tensor, dispersion: Tensor) -> Tensor:
    log_rate = log_rate.clamp(LOWEST, HIGHEST)
    more = torch.log1p(dispersion * log_rate.exp())
    return ((n + 1 / dispersion) * more - n * log_rate).sum(dim=0)


def _slopes(log_rate: Tensor, n: Tensor, dispersion: Tensor) -> Slopes:
    rate = log_rate.clamp(LOWEST, HIGHEST).exp()
    return Slopes((n - rate) / (1 + dispersion * rate), rate / (1 + dispersion * rate))
