"""Counts, such as those of photons, cases or successes: laws of their own in place of normal ones.

Those without a bound have negative binomial laws, of which the log of a mean is learned. Those of
successes among a number of trials have beta-binomial ones, of which log odds are. Both have a
dispersion, which says by how much they scatter more than a Poisson or a binomial law has it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sbi_inn.likelihoods import beta_binomial, negative_binomial
from sbi_inn.likelihoods.generalised_linear import AT_ONCE, climbed
from sbi_inn.likelihoods.negative_binomial import HIGHEST, LOWEST
from sbi_inn.regressions.emulator import regressed as regressed_by_squares

# Dispersions: no larger, no smaller. The smallest is a scatter of a thousandth of the mean.
LEAST, MOST = 1e-6, 1e3
# How far the exponential of a column may be from whole numbers, and by how much more for each one:
# columns have had single precision.
WHOLE, WHOLE_EACH = 1e-4, 1e-5
# Values that counts take, at least: rare events among other counts are still counts.
FEWEST_VALUES = 3
# Rows of which all trials are successes, for a largest count to be a number of trials: so many, and
# so large a share. The largest one of counts without a bound comes once or twice.
SHARED, SHARED_BY = 0.005, 10
# Rows that a regression looks at, and that say which dispersion is likeliest.
ROWS, ROWS_OF_DISPERSION = 8_000, 2_000
# Parameters and their products, up to which a log rate is a quadratic function of them.
MOST_FEATURES = 45
# Dispersions that are tried, and the first one: that of an exponential law.
TRIED = torch.logspace(-6, 2, 17, dtype=torch.float64)
FIRST = 1.0
# Steps between those that are looked at, from coarse to fine.
STRIDES = (4, 2, 1)
# Times that log rates are regressed, each with the dispersions that the last one leaves.
ROUNDS = 3


def counted(y: Tensor) -> Tensor:
    """Say which columns of (rows, k) hold log(1 + n), n whole, of three values at least; (k,).

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


def trials(n: Tensor) -> Tensor:
    """Give of how many trials each column of counts (rows, k) has successes; 0: no bound; (k,).

    Examples
    --------
    >>> import torch
    >>> n = torch.arange(1_000.0)
    >>> trials(torch.stack([n, n.clamp(max=800)], dim=1))
    tensor([  0., 800.])
    """
    most = n.round().amax(dim=0)
    shared = (n.round() == most).sum(dim=0)
    bounded = (shared >= SHARED * len(n)) & (shared >= SHARED_BY)
    return torch.where(bounded, most, 0.0)


def law(
    said: Tensor, log_dispersion: Tensor, many: Tensor, least: float = LEAST
) -> tuple[Tensor, ...]:
    """Give means and log variances, and how they change with what is said and log dispersions.

    Said are log rates, or log odds of counts among so `many` trials, (k,).
    """
    return _each("law", many, said, log_dispersion.exp().clamp(least, MOST))


def compared(
    n: Tensor, mean: Tensor, log_variance: Tensor, many: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compare counts with what was expected of them, (batch, k) each.

    Returns
    -------
    Tensor
        Log probabilities, but for constants.
    Tensor, Tensor
        How these grow with means, in standard deviations, and with log variances.
    """
    dispersion = _each("dispersion_of", many, mean, log_variance).clamp(LEAST, MOST)
    said = _each("said_of", many, mean)
    likely = _each("log_probability", many, n, said, dispersion)
    return likely, *_each("leading", many, n, mean, log_variance, dispersion)


def loss(n: Tensor, said: Tensor, log_dispersion: Tensor, many: Tensor) -> Tensor:
    """Give negative log probabilities of counts, but for constants of each count."""
    dispersion = log_dispersion.exp().clamp(LEAST, MOST)
    return -_log_probability(n, said, dispersion, many)


def slopes_of_loss(
    n: Tensor, said: Tensor, log_dispersion: Tensor, many: Tensor
) -> tuple[Tensor, Tensor]:
    """Say how `loss` changes with what is said, and with log dispersions."""
    dispersion = log_dispersion.exp()
    inside = (dispersion > LEAST) & (dispersion < MOST)
    free = (many > 0) | ((said > LOWEST) & (said < HIGHEST))
    bounded = torch.where(many > 0, said, said.clamp(LOWEST, HIGHEST))
    first, second = _each("slopes_of_said", many, n, bounded, dispersion.clamp(LEAST, MOST))
    return -first * free, -second * inside


def regressed(x: Tensor, n: Tensor, many: Tensor) -> tuple[Tensor, Tensor]:
    """Give coefficients, slopes above offsets (features + 1, k), and dispersions (k,).

    Of log rates of counts n (rows, k) as linear functions of x (rows, features); of those among so
    `many` trials, of log odds.

    Examples
    --------
    >>> import torch
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(20_000, 1, generator=generator).double()
    >>> n = torch.poisson((1 + 0.5 * x).exp(), generator=generator)
    >>> found, dispersion = regressed(x, n, torch.zeros(1))
    >>> found.round(decimals=1).T, bool(dispersion < 0.02)
    (tensor([[0.5000, 1.0000]], dtype=torch.float64), True)
    >>> n = torch.binomial(torch.full_like(x, 9), torch.sigmoid(1 - x), generator=generator)
    >>> regressed(x, n, torch.full((1,), 9.0))[0].round(decimals=1).T
    tensor([[-1.,  1.]], dtype=torch.float64)
    """
    x, n = x[:ROWS], n[:ROWS]
    found, dispersion = x.new_empty(x.shape[1] + 1, n.shape[1]), x.new_empty(n.shape[1])
    for alike in (many == 0, many > 0):
        for some in filter(len, alike.nonzero()[:, 0].split(AT_ONCE)):
            found[:, some], dispersion[some] = _regressed(x, n[:, some], many[some])
    return found, dispersion


def _regressed(x: Tensor, n: Tensor, many: Tensor) -> tuple[Tensor, Tensor]:
    """Regress columns that all have a bound, or none."""
    bounded, some = bool(many.any()), slice(ROWS_OF_DISPERSION)
    found = torch.vstack(regressed_by_squares(x, _each("observed", many, n)))
    dispersion = x.new_full(many.shape, FIRST)
    for _ in range(1 if bounded else ROUNDS):  # of chances, dispersions change nothing
        law = (beta_binomial if bounded else negative_binomial).regression
        found = climbed(x, n, law(many if bounded else dispersion), found)
        dispersion = scattered(n[some], x[some] @ found[:-1] + found[-1], many)
    return found, dispersion


def scattered(n: Tensor, said: Tensor, many: Tensor) -> Tensor:
    """Give the likeliest dispersion of each column (rows, k) by what is said of them; (k,)."""
    tried, last = TRIED.to(n), len(TRIED) - 1
    best, most = torch.zeros_like(many, dtype=torch.long), torch.full_like(n[0], -torch.inf)
    for stride in STRIDES:
        # The likelihood has one hill: a coarse grid finds it.
        coarse = [torch.full_like(best, place) for place in range(0, last + 1, stride)]
        for place in coarse if stride == STRIDES[0] else (best - stride, best + stride):
            place = place.clamp(0, last)
            likely = _log_probability(n, said, tried[place].expand_as(n), many).sum(dim=0)
            best = torch.where(likely > most, place, best)
            most = torch.maximum(likely, most)
    return tried[best]


def _log_probability(n: Tensor, said: Tensor, dispersion: Tensor, many: Tensor) -> Tensor:
    said = torch.where(many > 0, said, said.clamp(LOWEST, HIGHEST))
    return _each("log_probability", many, n, said, dispersion)


def _each(name: str, many: Tensor, *columns: Tensor) -> Any:
    """Ask one law of columns (..., k) without a bound, and the other of those with one.

    By their places: what a mask chooses takes far longer to differentiate.
    """
    of_rates, of_trials = getattr(negative_binomial, name), getattr(beta_binomial, name)
    free, bound = (many == 0).nonzero()[:, 0], (many > 0).nonzero()[:, 0]
    if not len(bound):
        return of_rates(*columns)
    if not len(free):
        return of_trials(*columns, many)
    first = of_rates(*(column.index_select(-1, free) for column in columns))
    second = of_trials(*(column.index_select(-1, bound) for column in columns), many[bound])
    back = torch.cat([free, bound]).argsort()
    if isinstance(first, Tensor):
        return torch.cat([first, second], dim=-1).index_select(-1, back)
    pairs = zip(first, second, strict=True)
    return tuple(torch.cat(pair, dim=-1).index_select(-1, back) for pair in pairs)
