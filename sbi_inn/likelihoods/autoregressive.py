"""A likelihood of a series, in which each value follows from those before it.

Given the parameters, shocks of a series may echo, its values may remember those before, and calm
days may follow calm ones: an ARMA process whose noise is GARCH(1, 1) (Box and Jenkins 1970;
Bollerslev 1986, doi:10.1016/0304-4076(86)90063-1), with shares, level and noise that are
functions of the parameters. A normal law of all values with one correlation says little of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods.learned_of_parameters import LearnedOfParameters
from sbi_inn.likelihoods.likelihood import read_slopes
from sbi_inn.likelihoods.networks import HIGHEST, LOWEST, SMALL
from sbi_inn.likelihoods.observable_laws import Uphill, Within
from sbi_inn.likelihoods.recursion import before, carried, recursed
from sbi_inn.regressions.prediction import n_products, powers

# Values before each one that it may follow from.
ORDER = 6
# Powers of each parameter that shares of earlier values are regressed on.
DEGREE = 3
# Curves that a network adds to the mean, at most: those that the regression found largest.
CURVES = 16
# Waves of the log variance along the series, the constant among them.
WAVES = 4
# Largest share of a shock that echoes in the next value.
LOUDEST = 0.98
# Log odds of a variance's share of the last squared shock, where a network adds nothing.
CALM = -4.0
# By how many times noises are larger on the way to a mode.
SOFTER = 5.0


class Said(NamedTuple):
    """What a network says of a series, (..., n) each: time is not among the axes.

    Attributes
    ----------
    curves : Tensor, shape (..., curves)
        Of what is added to the mean, in units of its size.
    waves : Tensor, shape (..., waves)
        Of the log variance.
    shares : Tensor, shape (..., ORDER)
        Added to what each value owes to those before it.
    echo, shock, memory : Tensor, shape (...)
        Added to the echo; log odds of a variance's share of the last squared shock and of the
        last variance.
    """

    curves: Tensor
    waves: Tensor
    shares: Tensor
    echo: Tensor
    shock: Tensor
    memory: Tensor

    @classmethod
    def of(cls, said: Tensor, curves: int) -> Said:
        """Take apart what a network says, (..., curves + WAVES + ORDER + 3)."""
        parts = said.split([curves, WAVES, ORDER, 3], dim=-1)
        return cls(*parts[:3], *parts[3].unbind(dim=-1))

    @property
    def shock_share(self) -> Tensor:
        """Share of the last squared shock in the variance."""
        return torch.sigmoid(self.shock + CALM)

    @property
    def memory_share(self) -> Tensor:
        """Share of the last variance."""
        return torch.sigmoid(self.memory)


class Shocks(NamedTuple):
    """What is left of a series, shape (length, ...) each.

    Attributes
    ----------
    shock : Tensor
        In units of a size that does not depend on what came before.
    log_width : Tensor
        The log variance of that, in so far as it does not, either.
    square : Tensor
        The shock's, in units of that variance.
    excess : Tensor
        The variance that follows from what came before, in the same units, less 1.
    """

    shock: Tensor
    log_width: Tensor
    square: Tensor
    excess: Tensor

    @property
    def likely(self) -> Tensor:
        """Log density of a series in units of the size, but for a constant, (...)."""
        return -0.5 * (self.log_width + self.excess.log1p() + self.square / (1 + self.excess)).sum(
            dim=0
        )


def shocks(left: Tensor, away: Tensor, echo: Tensor, said: Said, basis: Tensor) -> Shocks:
    """Give what is left by regressions and networks.

    Parameters
    ----------
    left : Tensor, shape (length, ...)
        What a regression on the parameters and on the values before leaves, in units of its size.
    away : Tensor, shape (length, ...)
        How far values are from their mean, in the same units.
    echo : Tensor, shape (...)
        By the regression.
    basis : Tensor, shape (curves, length)
        Curves that are added.
    """
    added = torch.einsum("ct,...c->t...", basis, said.curves)
    added = added + carried(away, said.shares.movedim(-1, 0))
    echoes = (echo + said.echo).clamp(-LOUDEST, LOUDEST)
    shock = recursed(left - added, -echoes)
    log_width = torch.einsum("wt,...w->t...", waves(len(left), left), said.waves)
    log_width = log_width.clamp(LOWEST, HIGHEST)
    square = shock.square() * torch.exp(-log_width)
    excess = recursed(said.shock_share * before(square), said.memory_share)
    return Shocks(shock, log_width, square, excess)


def waves(length: int, like: Tensor) -> Tensor:
    """Give a constant, and half waves along a series, (WAVES, length)."""
    along = (torch.arange(length, dtype=like.dtype, device=like.device) + 0.5) / length
    each = torch.arange(WAVES, dtype=like.dtype, device=like.device)
    return torch.cos(math.pi * each[:, None] * along)


class Autoregressive(LearnedOfParameters):
    """A law of a series, value by value; of double precision.

    What is expected of a value is a quadratic function of the parameters, which differs from place
    to place, and shares of the `ORDER` values before it and of the last shock. These shares follow
    from powers of the parameters. A network adds to all of it, and says how the variance changes
    along the series and with the last squared shock. The law stands in for a `Likelihood`.

    Parameters
    ----------
    dim : int
        Number of parameters.
    n_observables : int
        Values of the series, in their order.
    n_givens : int
        Number of what is known of an experiment beside its observables.
    hidden : int
        Width of the two layers of the network; a file that is read says which.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.learning import of_series
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.rand(1200, 1, generator=generator).double()
    >>> y = torch.randn(1200, 30, generator=generator).double()
    >>> for day in range(1, 30):
    ...     y[:, day] += x[:, 0] * y[:, day - 1]
    >>> _, (likelihood, folds) = of_series(x, y)
    >>> square, log_density = likelihood.compare(x, y)
    >>> square.mean().round(decimals=1)
    tensor(1., dtype=torch.float64)
    """

    passes = 16
    """As of a `Likelihood`."""

    from_middle = False
    """As of a `Likelihood`: softer laws lead to the same mode from far away."""

    coarse = None
    """As of a `Likelihood`."""

    alone = True
    """As of a `Likelihood`."""

    strays = False
    """As of a `Likelihood`."""

    means_slope: Tensor
    means_offset: Tensor
    levels_slope: Tensor
    levels_offset: Tensor
    shares_slope: Tensor
    shares_offset: Tensor
    log_slope: Tensor
    size: Tensor
    basis: Tensor

    def __init__(
        self, dim: int, n_observables: int, n_givens: int = 0, hidden: int = SMALL.hidden
    ) -> None:
        length, wide = n_observables, dim + n_givens
        features = wide + n_products(wide, 2)
        self.curves = min(CURVES, length, features + 1)
        shapes = {
            "means_slope": (features, length),
            "means_offset": (length,),
            "levels_slope": (features, length),
            "levels_offset": (length,),
            "shares_slope": (DEGREE * wide, ORDER + 1),
            "shares_offset": (ORDER + 1,),
            "log_slope": (features,),
            "size": (length,),
            "basis": (self.curves, length),
        }
        super().__init__(dim, n_givens, hidden, self.curves + WAVES + ORDER + 3, shapes)
        self.size.fill_(1.0)
        self._softer = 1.0

    @property
    def softened(self) -> Sequence[Autoregressive]:
        """The law with larger noises, which shows the way to a mode from farther."""
        found = copy(self)
        found._softer = SOFTER
        return [found]

    def around(self, x: Tensor, y: Tensor, given: Tensor, within: Within) -> list[Tensor]:
        """Give further places for a search to begin at, around those that are foreseen: none."""
        del x, y, given, within
        return []

    def compare(self, x: Tensor, y: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compare series (batch, length) with what parameters lead to; as a `Likelihood` does."""
        scaled = self.scaled(x, given)
        found = self._shocks(scaled, y)
        square = found.square / (1 + found.excess)
        return square.mean(dim=0), found.likely - self.log_size(scaled)

    def regressed(self, scaled: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give what the regressions leave, how far values are from their mean, and the echo.

        Of scaled parameters and givens (batch, n) and series (batch, length): (length, batch)
        twice, and (batch,).
        """
        read, values = powers(scaled, 2), y.T
        shares = (self.shares_offset + own_powers(scaled) @ self.shares_slope).T
        left = values - self.means_offset[:, None] - self.means_slope.T @ read.T
        left = left - carried(values, shares[:ORDER])
        away = values - self.levels_offset[:, None] - self.levels_slope.T @ read.T
        per_size = torch.exp(-(read @ self.log_slope)) / (self._softer * self.size[:, None])
        return left * per_size, away * per_size, shares[ORDER]

    def uphill(self, x: Tensor, y: Tensor, given: Tensor) -> Uphill:
        """Give how the log density of series changes with parameters, and its information.

        That of each value given those before it: of its mean and of its log variance.
        """
        scaled = self.scaled(x, given)
        found, of_shock, of_log_variance = self._slopes(scaled, y)
        square = found.square / (1 + found.excess)
        per_noise = torch.exp(-0.5 * (found.log_width + found.excess.log1p()))
        noise, slope = found.shock * per_noise, of_shock * per_noise[:, :, None]
        steepest = (0.5 * of_log_variance * (square - 1)[:, :, None]).sum(dim=0)
        steepest = steepest - (slope * noise[:, :, None]).sum(dim=0)
        told = torch.cat([slope, math.sqrt(0.5) * of_log_variance]).movedim(0, 2)
        loss = self.log_size(scaled) - found.likely
        return Uphill(square.mean(dim=0)[:, None], loss, steepest, told @ told.mT)

    def _shocks(self, scaled: Tensor, y: Tensor) -> Shocks:
        said = Said.of(self.said(scaled), self.curves)
        return shocks(*self.regressed(scaled, y), said, self.basis)

    def log_size(self, scaled: Tensor) -> Tensor:
        """Give the log of the product of all sizes, (batch,)."""
        width = powers(scaled, 2) @ self.log_slope
        return len(self.size) * width + (self._softer * self.size).log().sum()

    def _slopes(self, scaled: Tensor, y: Tensor) -> tuple[Shocks, Tensor, Tensor]:
        """Give shocks, and how they and log variances change with parameters.

        (length, batch, dim) each; the first in units of a size that is held fixed.
        """
        raw, raw_slope = self.said_and_slopes(scaled)
        said, slope = Said.of(raw, self.curves), Said.of(raw_slope, self.curves)
        regressed = self.regressed(scaled, y)
        found = shocks(*regressed, said, self.basis)
        by_read = read_slopes(scaled, self.dim) / self.spreads[:, None]
        by_width = by_read @ self.log_slope
        drive, of_echo = self._left_slopes(scaled, y, regressed, (said, slope), by_read)
        last = before(found.shock)[:, :, None]
        echoes = (regressed[2] + said.echo)[:, None]
        heard, echoes = echoes.abs() < LOUDEST, echoes.clamp(-LOUDEST, LOUDEST)
        drive = torch.addcmul(drive, (of_echo + slope.echo) * heard, last, value=-1)
        of_shock = recursed(drive, -echoes.expand_as(by_width))
        wave = torch.einsum("wt,bdw->tbd", waves(len(self.size), scaled), slope.waves)
        inside = (found.log_width > LOWEST) & (found.log_width < HIGHEST)
        wave = wave * inside[:, :, None]
        calm = (2 * found.shock * torch.exp(-found.log_width))[:, :, None]
        of_square = torch.addcmul(calm * of_shock, found.square[:, :, None], wave, value=-1)
        shock, memory = said.shock_share[:, None], said.memory_share[:, None]
        of_shares = (shock * (1 - shock) * slope.shock, memory * (1 - memory) * slope.memory)
        drive = before(shock * of_square)
        for each, values in zip(of_shares, (found.square, found.excess), strict=True):
            drive = torch.addcmul(drive, each, before(values)[:, :, None])
        of_excess = recursed(drive, memory.expand_as(by_width))
        of_log_variance = torch.addcdiv(
            wave + 2 * by_width, of_excess, 1 + found.excess[:, :, None]
        )
        return found, torch.addcmul(of_shock, found.shock[:, :, None], by_width), of_log_variance

    def _left_slopes(
        self,
        scaled: Tensor,
        y: Tensor,
        regressed: tuple[Tensor, Tensor, Tensor],
        networks: tuple[Said, Said],
        by_read: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Give how what is left before echoes, and the echo, change with parameters.

        (length, batch, dim) and (batch, dim), sizes held fixed; `networks` is what networks say,
        and its slopes. All that is linear goes into two products of matrices.
        """
        (left, away, _), (said, slope), by_share = regressed, networks, self._share_slopes(scaled)
        by_width = by_read @ self.log_slope
        width = torch.exp(-(powers(scaled, 2) @ self.log_slope)) / self._softer
        sized = (by_read * width[:, None, None]).flatten(0, 1)
        levels = ((self.levels_slope / self.size).T @ sized.T).unflatten(1, by_width.shape)
        of_away = torch.addcmul(-levels, away[:, :, None], by_width, value=-1)
        along = torch.cat([self.means_slope / self.size, self.basis])
        means = along.T @ torch.cat([sized, slope.curves.flatten(0, 1)], dim=1).T
        lags = range(1, ORDER + 1)
        past = [before(y.T, lag) * (width / self.size[:, None]) for lag in lags]
        past = torch.stack([*past, *(before(away, lag) for lag in lags)], dim=2)
        shares = torch.cat([by_share[..., :ORDER], slope.shares], dim=2)
        owed = torch.bmm(past.movedim(1, 0), shares.mT).movedim(0, 1)
        of_left = torch.addcmul(owed, left[:, :, None], by_width)
        of_left = of_left + means.unflatten(1, by_width.shape)
        of_left = of_left + carried(of_away, said.shares.T[:, :, None])
        return -of_left, by_share[..., ORDER]

    def _share_slopes(self, scaled: Tensor) -> Tensor:
        """Give how shares change with parameters, (batch, dim, ORDER + 1)."""
        each = self.shares_slope.unflatten(0, (DEGREE, -1))[:, : self.dim]
        found = scaled.new_zeros(len(scaled), self.dim, ORDER + 1)
        for power, one in enumerate(each, 1):
            found = found + power * scaled[:, : self.dim, None] ** (power - 1) * one
        return found / self.spreads[:, None]


def own_powers(scaled: Tensor) -> Tensor:
    """Give each parameter and its powers up to `DEGREE`, side by side, (batch, DEGREE n)."""
    return torch.cat([scaled**power for power in range(1, DEGREE + 1)], dim=1)
