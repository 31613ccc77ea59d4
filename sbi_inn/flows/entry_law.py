"""A likelihood of a set whose entries are independent, and all follow one law.

Given the parameters, each entry of a set is drawn from the same law, and the likelihood of the set
is the product over its entries. The law is a mixture of normal laws that a network says of the
parameters (a mixture density network; Bishop 1994). Moments and quantiles of a set lose much of
what a few hundred draws tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor

from sbi_inn.flows.learned_of_parameters import LearnedOfParameters
from sbi_inn.flows.likelihood_networks import SMALL
from sbi_inn.flows.observable_laws import Uphill, Within

# Normal laws that are mixed.
MIXED = 6
# What a network says: a mean, a log width and log odds of each.
SAID = 3 * MIXED
# Where it adds nothing: how far means go, in spreads of all entries, and the width of a law, in
# that of a usual set.
APART, WIDE = 2.0, 0.5
# Smallest and largest log width, beside that.
NARROWEST, WIDEST = -8.0, 3.0
# Places at each law where information is looked at.
NODES = 5
# Places around the one foreseen that a search for a mode may begin at; so many of the likeliest
# are taken, and one entry in so many says which.
STARTS, CLIMBED, GLANCED = 256, 6, 4
# Largest difference of mean log densities that counts, in nats.
MISFIT = 3.0


class Laws(NamedTuple):
    """Normal laws that are mixed.

    Attributes
    ----------
    mean, log_width, log_share : Tensor, shape (..., MIXED)
    """

    mean: Tensor
    log_width: Tensor
    log_share: Tensor

    @classmethod
    def of(cls, said: Tensor, log_width: Tensor) -> Laws:
        """Give the laws that a network says, (..., SAID), beside the log width of a usual set."""
        mean, narrower, odds = said.unflatten(-1, (3, MIXED)).unbind(dim=-2)
        apart = torch.linspace(-APART, APART, MIXED, dtype=said.dtype, device=said.device)
        usual = log_width.to(said) + math.log(WIDE)
        return cls(
            apart + mean, usual + narrower.clamp(NARROWEST, WIDEST), odds.log_softmax(dim=-1)
        )

    def compared(self, entries: Tensor) -> tuple[Tensor, Tensor]:
        """Give residuals in widths, and log densities with shares; (..., MIXED, entries)."""
        left = entries[..., None, :] - self.mean[..., None]
        left = left.mul_(torch.exp(-self.log_width)[..., None])
        beside = (self.log_share - self.log_width)[..., None]
        return left, torch.addcmul(beside, left, left, value=-0.5)

    def likely(self, entries: Tensor) -> Tensor:
        """Give log densities of entries, but for a constant, (..., entries)."""
        return self.compared(entries)[1].logsumexp(dim=-2)

    def scores(self, entries: Tensor) -> Scores:
        """Give the same, and how they change with the laws."""
        left, each = self.compared(entries)
        largest = each.amax(dim=-2, keepdim=True)
        mine = each.sub_(largest).exp_()
        total = mine.sum(dim=-2, keepdim=True)
        mine = mine.div_(total)
        likely = total.log_().add_(largest)[..., 0, :]
        return Scores(likely, mine, mine * left, left.square_().mul_(mine))

    def nodes(self) -> tuple[Tensor, Tensor]:
        """Give places and weights of a quadrature of the law, (batch, nodes) each."""
        places, weights = (torch.from_numpy(one).to(self.mean) for one in hermegauss(NODES))
        at = self.mean[:, :, None] + torch.exp(self.log_width)[:, :, None] * places
        weigh = self.log_share.exp()[:, :, None] * (weights / weights.sum())
        return at.flatten(1), weigh.flatten(1)


class Scores(NamedTuple):
    """How log densities of entries change with the laws that are mixed.

    Attributes
    ----------
    likely : Tensor, shape (..., entries)
        Log densities.
    mine, left, square : Tensor, shape (..., MIXED, entries)
        The chance that an entry is of a law; the same times its residual in widths, and times the
        square of that.
    """

    likely: Tensor
    mine: Tensor
    left: Tensor
    square: Tensor

    def each(self, laws: Laws) -> Tensor:
        """Give slopes with means, log widths and log odds, (..., SAID, entries)."""
        by_mean = self.left * torch.exp(-laws.log_width)[..., None]
        by_odds = self.mine - laws.log_share.exp()[..., None]
        return torch.cat([by_mean, self.square - self.mine, by_odds], dim=-2)

    def summed(self, laws: Laws, weights: Tensor) -> Tensor:
        """Give the sum of these over entries, with weights (..., entries); (..., SAID)."""
        parts = (self.mine, self.left, self.square)
        mine, left, square = ((part @ weights[..., None])[..., 0] for part in parts)
        by_odds = mine - weights.sum(dim=-1, keepdim=True) * laws.log_share.exp()
        return torch.cat([left * torch.exp(-laws.log_width), square - mine, by_odds], dim=-1)


class EntryLaw(LearnedOfParameters):
    """A mixture of normal laws that every entry of a set follows; all of double precision.

    A network of the parameters, with a linear function beside it, says where each of the laws is,
    how wide it is, and its share. It stands in for a `Likelihood`.

    Parameters
    ----------
    dim : int
        Number of parameters.
    n_observables : int
        Of a set: its size, and its entries, in their order.
    n_givens : int
        Number of what is known of an experiment beside its observables.
    hidden : int
        Width of the two layers of the network; a file that is read says which.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows.likelihood_learning import of_entries
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(1200, 1, generator=generator)
    >>> noise = torch.randn(1200, 40, generator=generator)
    >>> entries = (x + 0.5 * noise.exp()).sort(dim=1).values
    >>> y = torch.cat([torch.full((1200, 1), 40.0), entries], dim=1).double()
    >>> likelihood, folds = of_entries(x.double(), y)
    >>> there, off = (likelihood.compare(x.double() + shift, y)[1].mean() for shift in (0, 0.2))
    >>> bool(there > off + 3)
    True
    """

    passes = 1
    """As of a `Likelihood`."""

    from_middle = False
    """As of a `Likelihood`: there are likelier places around the one foreseen."""

    alone = True
    """As of a `Likelihood`."""

    farthest = 4.0
    """As of a `Likelihood`. Two parts of a mixture may be taken for one, and rows that are far from
    such a mode would make all posteriors wide."""

    beside: Tensor
    log_width: Tensor
    apart: Tensor

    def __init__(
        self, dim: int, n_observables: int, n_givens: int = 0, hidden: int = SMALL.hidden
    ) -> None:
        del n_observables
        shapes = {"beside": (SAID, dim + n_givens), "log_width": (), "apart": (STARTS, dim)}
        super().__init__(dim, n_givens, hidden, SAID, shapes)

    @property
    def softened(self) -> Sequence[EntryLaw]:
        """Laws that show the way to a mode from farther: none."""
        return []

    def around(self, x: Tensor, y: Tensor, given: Tensor, within: Within) -> list[Tensor]:
        """Give the likeliest of many places around those foreseen, by a part of the entries."""
        entries, stand_for = (part[:, ::GLANCED].contiguous() for part in unpacked(y))
        found = []
        for apart in self.apart:
            laws = Laws.of(self.said(self.scaled(within(x + apart), given)), self.log_width)
            found.append((laws.likely(entries) * stand_for).sum(dim=1))
        best = torch.stack(found).topk(CLIMBED, dim=0).indices
        return [within(x + self.apart[which]) for which in best]

    def said(self, scaled: Tensor) -> Tensor:
        """Give what the network says, and what is linear, (batch, SAID)."""
        return super().said(scaled) + scaled @ self.beside.T

    def said_and_slopes(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Give it, and how it changes with the parameters, (batch, dim, SAID)."""
        said, slope = super().said_and_slopes(scaled)
        return said + scaled @ self.beside.T, slope + (self.beside[:, : self.dim] / self.spreads).T

    def compare(self, x: Tensor, y: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compare sets (batch, 1 + entries) with what parameters lead to: as a `Likelihood`."""
        entries, stand_for = unpacked(y)
        laws = Laws.of(self.said(self.scaled(x, given)), self.log_width)
        nodes, weights = laws.nodes()
        likely = (laws.likely(entries) * stand_for).sum(dim=1)
        usual = (laws.likely(nodes) * weights).sum(dim=1)
        return _misfit(usual, likely / _total(stand_for)), likely

    def uphill(self, x: Tensor, y: Tensor, given: Tensor) -> Uphill:
        """Give how the log density of sets changes with parameters, and its information.

        That of an entry is expected of the law: the squared slopes of the entries that came are
        far too large where they do not fit.
        """
        entries, stand_for = unpacked(y)
        said, slope = self.said_and_slopes(self.scaled(x, given))
        laws, total = Laws.of(said, self.log_width), _total(stand_for)
        scores, (nodes, weights) = laws.scores(entries), laws.nodes()
        usual = laws.scores(nodes)
        each = usual.each(laws)
        information = (each * (total[:, None] * weights)[:, None]) @ each.mT
        mean, log_width, odds = slope.unflatten(2, (3, MIXED)).unbind(dim=2)
        slope = torch.cat([mean, log_width * _inside(said)[:, None], odds], dim=2)
        steepest = (slope @ scores.summed(laws, stand_for)[:, :, None])[:, :, 0]
        likely = (scores.likely * stand_for).sum(dim=1)
        misfit = _misfit((usual.likely * weights).sum(dim=1), likely / total)
        return Uphill(misfit[:, None], -likely, steepest, slope @ information @ slope.mT)


def unpacked(y: Tensor) -> tuple[Tensor, Tensor]:
    """Give entries, and how many each stands for, (..., entries), of sizes beside entries."""
    size, entries = y[..., :1], y[..., 1:]
    place = torch.arange(entries.shape[-1], dtype=y.dtype, device=y.device)
    return entries, (place < size) * (size / entries.shape[-1]).clamp(min=1.0)


def slopes_of_losses(said: Tensor, entries: Tensor, log_width: Tensor) -> Tensor:
    """Say how the mean loss of entries (..., entries) changes with what a network says."""
    laws, even = Laws.of(said, log_width), torch.full_like(entries, 1 / entries.shape[-1])
    by_mean, by_width, by_odds = laws.scores(entries).summed(laws, even).chunk(3, dim=-1)
    return -torch.cat([by_mean, by_width * _inside(said), by_odds], dim=-1)


def _total(stand_for: Tensor) -> Tensor:
    return stand_for.sum(dim=1).clamp(min=1.0)


def _misfit(usual: Tensor, likely: Tensor) -> Tensor:
    """Give how far entries are off, by the mean of their log densities and what is usual, (batch,).

    As a mean square that is 1 where all is as usual.
    """
    return torch.exp(2 * (usual - likely).clamp(-MISFIT, MISFIT))


def _inside(said: Tensor) -> Tensor:
    """Say which log widths are not at the end of their range, (..., MIXED)."""
    narrower = said[..., MIXED : 2 * MIXED]
    return (narrower > NARROWEST) & (narrower < WIDEST)
