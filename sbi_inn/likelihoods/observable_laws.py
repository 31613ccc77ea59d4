"""Which law each observable follows: a normal one, one of yes and no, or one of counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods import counts, log_odds


class Law(NamedTuple):
    """Means and log variances, and how they change with what is learned; (batch, observables)."""

    mean: Tensor
    log_variance: Tensor
    by_first: Tensor
    by_second: Tensor

    def where(self, chosen: Tensor, other: Law) -> Law:
        """Give the other for chosen observables, (observables,), else this."""
        return Law(*(torch.where(chosen, b, a) for a, b in zip(self, other, strict=True)))


class Left(NamedTuple):
    """What is left of observables, beside what was expected.

    Attributes
    ----------
    noises : Tensor, shape (batch, observables)
        In units of the noise of each.
    freed : Tensor, shape (batch, observables)
        The same, times the inverse of the correlation: by how much the log density grows with the
        mean of each, in units of its noise.
    square : Tensor, shape (batch, observables)
        Both multiplied; of a binary observable twice the negative log of the probability of what
        came.
    wider : Tensor, shape (batch, observables)
        By how much the log density grows with the log variance of each.
    loss : Tensor, shape (batch,)
        Negative log density of the observables, but for a constant.
    """

    noises: Tensor
    freed: Tensor
    square: Tensor
    wider: Tensor
    loss: Tensor


Within = Callable[[Tensor], Tensor]
"""It takes places, (batch, dim), to the nearest ones that parameters may have."""


class Uphill(NamedTuple):
    """How the log density of observables changes with parameters.

    Attributes
    ----------
    misfit : Tensor, shape (batch, 1)
        Mean square of what is left of the observables, each in units of its noise.
    loss : Tensor, shape (batch,)
        Negative log density of the observables, but for a constant.
    steepest : Tensor, shape (batch, dim)
        Slope of the log density.
    information : Tensor, shape (batch, dim, dim)
        Fisher's, in place of second derivatives.
    """

    misfit: Tensor
    loss: Tensor
    steepest: Tensor
    information: Tensor


class Kinds(NamedTuple):
    """Which observables are binary, and which are counts; (observables,) each.

    Attributes
    ----------
    binary, counted : Tensor
    no, step : Tensor
        What a binary one has for no, and by how much yes is more.
    trials : Tensor
        Of how many a count has successes; 0 for counts without a bound, and for others.
    """

    binary: Tensor
    counted: Tensor
    no: Tensor
    step: Tensor
    trials: Tensor

    @classmethod
    def of(cls, y: Tensor) -> Kinds:
        """Find out from rows (rows, observables)."""
        binary, low = log_odds.two_valued(y), y.amin(dim=0)
        no = torch.where(binary, low, 0.0)
        step = torch.where(binary, y.amax(dim=0) - low, 1.0)
        counted = counts.counted(y)
        trials = torch.where(counted, counts.trials(y.expm1()), 0.0)
        return cls(binary, counted, no, step, trials)

    @property
    def normal(self) -> Tensor:
        """The places of all others."""
        return torch.where(~(self.binary | self.counted))[0]

    def law(self, first: Tensor, second: Tensor, least: float) -> Law:
        """Give the law where `first` are means, log odds or log rates; (batch, observables).

        `second` are log variances; of counts, log dispersions, which are `least` at least.
        """
        found = Law(first, second, torch.ones_like(first), torch.ones_like(first))
        if self.binary.any():
            yes = torch.sigmoid(first.clamp(-log_odds.MOST, log_odds.MOST))
            scatter = self.step * yes * (1 - yes)
            mean, log_variance = self.no + self.step * yes, (self.step * scatter).log()
            binary = Law(mean, log_variance, scatter, torch.zeros_like(first))
            found = found.where(self.binary, binary)
        if self.counted.any():
            found = found.where(self.counted, Law(*counts.law(first, second, self.trials, least)))
        return found

    def left(self, y: Tensor, mean: Tensor, log_variance: Tensor, inverse: Tensor) -> Left:
        """Compare observables with what was expected, (batch, k) each.

        `inverse` is that of the correlation of what is left, (k, k).
        """
        y = torch.where(self.counted, self._counts(y), y) if self.counted.any() else y
        noises = (y - mean) * torch.exp(-0.5 * log_variance)
        freed = noises @ inverse if len(self.normal) else noises
        square = noises * freed
        wider, loss = 0.5 * (square - 1), 0.5 * (square + log_variance)
        if self.binary.any():
            came = 1 - ((y - mean) / self.step).abs().clamp(max=1 - 1e-12)
            square = torch.where(self.binary, -2 * came.log(), square)
            loss = torch.where(self.binary, -came.log(), loss)
        if self.counted.any():
            here = self.counted.nonzero()[:, 0]
            parts = (part[..., here] for part in (y, mean, log_variance, self.trials))
            likely, steep, more = counts.compared(*parts)
            freed, wider = freed.index_copy(1, here, steep), wider.index_copy(1, here, more)
            loss = loss.index_copy(1, here, -likely)
        return Left(noises, freed, square, wider, loss.sum(dim=1))

    def came(self, y: Tensor) -> Tensor:
        """Give 1 for yes, -1 for no, and counts; 0 for other observables; (rows, observables)."""
        signs = torch.where(self.binary, 2 * ((y - self.no) / self.step).round() - 1, 0.0)
        return torch.where(self.counted, self._counts(y), signs)

    def _counts(self, y: Tensor) -> Tensor:
        """Give n of columns that hold log(1 + n): no more successes than there are trials."""
        n = y.expm1()
        return torch.where(self.trials > 0, torch.minimum(n, self.trials), n)
