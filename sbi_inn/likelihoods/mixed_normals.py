"""Mixtures of normal laws, and how their log densities change with what is said of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor

# The width of a law where nothing is said of it, in that of a usual set.
WIDE = 0.5
# Smallest and largest log width, beside that.
NARROWEST, WIDEST = -8.0, 3.0
# Places at each law where information is looked at: of a law that is not mixed three are exact.
NODES = 5
# What is said of each law that is mixed: a mean, a log width and log odds.
PARTS = 3


class Laws(NamedTuple):
    """Normal laws that are mixed; one mixture for each entry, or the same (1) for all.

    Attributes
    ----------
    mean, log_width, log_share : Tensor, shape (..., mixed, entries or 1)
    """

    mean: Tensor
    log_width: Tensor
    log_share: Tensor

    @classmethod
    def of(cls, said: Tensor, log_width: Tensor, reach: Tensor) -> Laws:
        """Give what is said (..., 3 mixed, entries or 1), beside widths and places without it.

        Parameters
        ----------
        said : Tensor
        log_width, reach : Tensor, shape (...,)
            Of a usual set, and how far means go.
        """
        mixed = said.shape[-2] // PARTS
        mean, narrower, odds = said.unflatten(-2, (PARTS, mixed)).unbind(dim=-3)
        apart = torch.linspace(-1, 1, mixed, dtype=said.dtype, device=said.device)
        apart = reach.to(said)[..., None, None] * apart[:, None]
        usual = log_width.to(said)[..., None, None] + math.log(WIDE)
        widths = usual + narrower.clamp(NARROWEST, WIDEST)
        return cls(apart + mean, widths, odds.log_softmax(dim=-2))

    def compared(self, entries: Tensor) -> tuple[Tensor, Tensor]:
        """Give residuals in widths, and log densities with shares; (..., mixed, entries)."""
        left = entries[..., None, :] - self.mean
        left = left.mul_(torch.exp(-self.log_width))
        return left, torch.addcmul(self.log_share - self.log_width, left, left, value=-0.5)

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

    def nodes(self, of_each: int = NODES) -> tuple[Tensor, Tensor]:
        """Give places and weights of a quadrature of one mixture, (..., nodes) each."""
        places, weights = (torch.from_numpy(one).to(self.mean) for one in hermegauss(of_each))
        at = self.mean + torch.exp(self.log_width) * places
        weigh = self.log_share.exp() * (weights / weights.sum())
        return at.flatten(-2), weigh.flatten(-2)


class Scores(NamedTuple):
    """How log densities of entries change with the laws that are mixed.

    Attributes
    ----------
    likely : Tensor, shape (..., entries)
        Log densities.
    mine, left, square : Tensor, shape (..., mixed, entries)
        The chance that an entry is of a law; the same times its residual in widths, and times the
        square of that.
    """

    likely: Tensor
    mine: Tensor
    left: Tensor
    square: Tensor

    def each(self, laws: Laws) -> Tensor:
        """Give slopes with means, log widths and log odds, (..., 3 mixed, entries)."""
        by_mean = self.left * torch.exp(-laws.log_width)
        by_odds = self.mine - laws.log_share.exp()
        return torch.cat([by_mean, self.square - self.mine, by_odds], dim=-2)

    def summed(self, laws: Laws, weights: Tensor) -> Tensor:
        """Give the sum of these over entries of one mixture, with weights (..., entries).

        Shape (..., 3 mixed, 1).
        """
        parts = (self.mine, self.left, self.square)
        mine, left, square = (part @ weights[..., None] for part in parts)
        by_odds = mine - weights.sum(dim=-1)[..., None, None] * laws.log_share.exp()
        return torch.cat([left * torch.exp(-laws.log_width), square - mine, by_odds], dim=-2)


def inside(said: Tensor) -> Tensor:
    """Say which log widths are not at the end of their range, of (..., 3 mixed, entries or 1).

    One for means and odds.
    """
    mixed = said.shape[-2] // PARTS
    found = torch.ones_like(said)
    narrower = said[..., mixed : 2 * mixed, :]
    found[..., mixed : 2 * mixed, :] = (narrower > NARROWEST) & (narrower < WIDEST)
    return found
