"""A likelihood in which each observable follows one of two normal laws, whichever it happens to.

Some points of a line are outliers, some pixels were hit by a cosmic ray, some answers are guesses.
One normal law is as wide as the outliers then, and says little of the line (Hogg, Bovy & Lang 2010,
arXiv:1008.4686).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.likelihoods.learned_of_parameters import LearnedOfParameters
from sbi_inn.likelihoods.likelihood import read_slopes
from sbi_inn.likelihoods.networks import HIGHEST, LOWEST, SMALL
from sbi_inn.likelihoods.observable_laws import Uphill, Within
from sbi_inn.regressions.prediction import n_products, powers

# What networks say of each observable: what they add to both means, log variances, and log odds.
SAID = 5
# By how many times noises are larger on the way to a mode: from far away each observable would be
# taken for an outlier.
SOFTER = 5.0
# Further places that a search for a mode begins at: there may be several.
STARTS = 4


class Laws(NamedTuple):
    """Both normal laws of observables, and how likely the second one is.

    Attributes
    ----------
    mean, log_variance : Tensor, shape (2, batch, observables)
    odds : Tensor, shape (batch, observables)
        Log odds of the second law.
    """

    mean: Tensor
    log_variance: Tensor
    odds: Tensor

    def compared(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Give residuals in units of their noises, and log densities; (2, batch, observables)."""
        noises = (y - self.mean) * torch.exp(-0.5 * self.log_variance)
        chance = torch.stack([F.logsigmoid(-self.odds), F.logsigmoid(self.odds)])
        return noises, chance - 0.5 * (self.log_variance + noises.square())


class TwoLaws(LearnedOfParameters):
    """Two normal laws of each observable, given parameters; all of double precision.

    Given the parameters, observables are independent. Each law has a mean, a quadratic function of
    the parameters that a network adds to, and a variance; the network also gives the log odds of
    the second one. It stands in for a `Likelihood`.

    Parameters
    ----------
    dim : int
        Number of parameters.
    n_observables : int
    n_givens : int
        Number of what is known of an experiment beside its observables.
    hidden : int
        Width of the two layers of the network; a file that is read says which.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.learning import learned
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(1200, 1, generator=generator).double()
    >>> noise, far = torch.randn(2, 1200, 4, generator=generator).double()
    >>> outlier = torch.rand(1200, 4, generator=generator) < 0.2
    >>> y = torch.where(outlier, 10 * far, 3 * x + 0.1 * noise)
    >>> likelihood, _ = learned(x, y)
    >>> laws = likelihood(torch.tensor([[0.0], [1.0]]).double())
    >>> laws.mean[0, :, 0].round().abs()
    tensor([0., 3.], dtype=torch.float64)
    >>> (0.5 * laws.log_variance[:, 0, 0]).exp().round(decimals=1)[0]
    tensor(0.1000, dtype=torch.float64)
    """

    passes = 1
    """As of a `Likelihood`."""

    from_middle = True
    """As of a `Likelihood`."""

    coarse = None
    """As of a `Likelihood`."""

    alone = False
    """As of a `Likelihood`."""

    strays = True
    """As of a `Likelihood`. One search in fifty may end at another mode."""

    slope: Tensor
    offset: Tensor
    size: Tensor
    odds: Tensor
    apart: Tensor

    def __init__(
        self, dim: int, n_observables: int, n_givens: int = 0, hidden: int = SMALL.hidden
    ) -> None:
        k, wide = n_observables, dim + n_givens
        shapes = {
            "slope": (2, wide + n_products(wide, 2), k),
            "offset": (2, k),
            "size": (2, k),
            "odds": (k,),
            "apart": (STARTS, dim),
        }
        super().__init__(dim, n_givens, hidden, SAID * k, shapes)
        self._softer = 1.0
        self.size.fill_(1.0)

    @property
    def softened(self) -> Sequence[TwoLaws]:
        """Laws of larger noises, which show the way to a mode from farther."""
        found = copy(self)
        found._softer = SOFTER
        return [found]

    def around(self, x: Tensor, y: Tensor, given: Tensor, within: Within) -> list[Tensor]:
        """Give further places for a search to begin at, around those foreseen, (batch, dim)."""
        del y, given
        return [within(x + apart) for apart in self.apart]

    def forward(self, x: Tensor, given: Tensor | None = None) -> Laws:
        """Give both laws at parameters (batch, dim) and givens (batch, n_givens)."""
        scaled = self.scaled(x, given)
        return self._laws(scaled, self.said(scaled))

    def compare(self, x: Tensor, y: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compare observables (batch, k) with what parameters lead to; as a `Likelihood` does."""
        noises, likely = self(x, given).compared(y)
        square = (likely.softmax(dim=0) * noises.square()).sum(dim=0)
        return square.mean(dim=1), likely.logsumexp(dim=0).sum(dim=1)

    def uphill(self, x: Tensor, y: Tensor, given: Tensor) -> Uphill:
        """Give how the log density of observables changes with parameters, and its information.

        The information is that of observables which say what law they follow: as near to the
        right one as the laws are far apart, and never smaller.
        """
        scaled = self.scaled(x, given)
        said, slope = self.said_and_slopes(scaled)
        slope = slope.unflatten(2, (SAID, -1))
        laws = self._laws(scaled, said)
        noises, likely = laws.compared(y)
        mine, per_noise = likely.softmax(dim=0), torch.exp(-0.5 * laws.log_variance)
        means, widths, odds = slope[:, :, :2], slope[:, :, 2:4], slope[:, :, 4]
        by_read = read_slopes(scaled, self.dim) / self.spreads[:, None]
        means = means * self.size + torch.einsum("bdf,jfk->bdjk", by_read, self.slope)
        inside = _inside(said.unflatten(1, (SAID, -1))[:, 2:4])
        widths, means = widths * inside[:, None], means * per_noise.movedim(0, 1)[:, None]
        mine, noises = mine.movedim(0, 1), noises.movedim(0, 1)
        second = torch.sigmoid(laws.odds)
        steepest = (
            torch.einsum("bdjk,bjk->bd", means, mine * noises)
            + torch.einsum("bdjk,bjk->bd", widths, 0.5 * mine * (noises.square() - 1))
            + torch.einsum("bdk,bk->bd", odds, mine[:, 1] - second)
        )
        by_mean = (means * mine.sqrt()[:, None]).flatten(2)
        by_width = (widths * (0.5 * mine).sqrt()[:, None]).flatten(2)
        by_odds = odds * (second * (1 - second)).sqrt()[:, None]
        told = torch.cat([by_mean, by_width, by_odds], dim=2)
        square = (mine * noises.square()).sum(dim=1)
        loss = -likely.logsumexp(dim=0).sum(dim=1)
        return Uphill(square.mean(dim=1, keepdim=True), loss, steepest, told @ told.mT)

    def _laws(self, scaled: Tensor, said: Tensor) -> Laws:
        """Put together what is regressed and what a network says."""
        parts = said.unflatten(1, (SAID, -1)).movedim(1, 0)
        bent = self.offset[:, None] + powers(scaled, 2) @ self.slope
        size = self.size[:, None]
        wider = 2 * (self._softer * size).log()
        log_variance = parts[2:4].clamp(LOWEST, HIGHEST) + wider
        return Laws(bent + parts[:2] * size, log_variance, self.odds + parts[4])


def _inside(log_variance: Tensor) -> Tensor:
    """Say which are not at the end of their range."""
    return (log_variance > LOWEST) & (log_variance < HIGHEST)
