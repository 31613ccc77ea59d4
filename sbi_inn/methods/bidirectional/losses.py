"""Two ways to train a bidirectional network: by maximum likelihood, or by mean discrepancies.

Both weight their own terms. The squared error of each observable is divided by its present value,
which amounts to learning its standard deviation by maximum likelihood. A discrepancy is divided by
the value that it has by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from sbi_inn.methods.bidirectional.importance import log_normal
from sbi_inn.methods.bidirectional.mmd import mmd
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Outputs
from sbi_inn.methods.bidirectional.noise import Noisy
from sbi_inn.methods.bidirectional.settings import TERMS

# A discrepancy weighs one where it is what chance makes of it at this many rows.
AT_ROWS = 512
# An exact prediction would have an infinite likelihood; float32 ends well before this.
SMALLEST = 1e-12
# The mean predicts a scaled observable with a variance of about one. Where larger ones were
# allowed, a network could be as likely by making y huge and ignoring it, and would stay there.
LARGEST = 1.0
# How the discrepancy of the parameters, misleading early, rises to its full weight.
RAMP = 0.002

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Likelihood:
    """Maximum likelihood of y ~ N(f_y(x), s^2) and z ~ N(0, I), each observable with its own s.

    Padding, on the side of x only, is noise of unit variance that the network maps along: what
    is then maximised is the likelihood of parameters and noise together, a lower bound of that of
    the parameters.
    """

    padding: ClassVar[float] = 1.0
    quantity: ClassVar[str] = "negative log-likelihood [nats]"

    network: BidirectionalNetwork

    def __call__(self, batch: Noisy) -> Tensor:
        """Negative log-likelihood of each row in the units of scaled observations, (batch,)."""
        pairs, noise = batch.pairs, batch.padding[0]
        out = self.network(pairs.x, noise, pairs.given)
        squared = (out.y - pairs.y).square()
        variance = squared.detach().mean(dim=0).clamp(SMALLEST, LARGEST)
        misfit = 0.5 * (squared / variance + variance.log() + LOG_2PI).sum(dim=1)
        return misfit - log_normal(out.z) + log_normal(noise) - out.log_det


@dataclass(frozen=True)
class MeanDiscrepancy:
    """The losses of the dissertation's sec. 4.1.2: L_y, L_z, L_x, and those of the padding.

    Parameters
    ----------
    network : BidirectionalNetwork
    widths : sequence of float
        Of the kernel (sec. 4.1.3), for values of unit spread.
    terms : sequence of {"y", "z", "x"}
        Which of the three to use: the ablations of fig. 4.2 leave some out.
    """

    # Amplitude of the noise that stands for zero in the padding: small beside a spread of one.
    padding: ClassVar[float] = 0.05
    quantity: ClassVar[str] = "sum of the balanced losses"

    network: BidirectionalNetwork
    widths: Sequence[float]
    terms: Sequence[str] = TERMS

    def __call__(self, batch: Noisy) -> Tensor:
        """Sum of the losses, the same for every row, shape (batch,)."""
        pairs = batch.pairs
        out = self.network(pairs.x, batch.padding[0], pairs.given)
        losses = [self._near_zero(out.padding)]
        if "y" in self.terms:
            squared = (out.y - pairs.y).square().mean(dim=0)
            losses.append(0.5 * _log_below_one(squared).sum())
        if "z" in self.terms:
            found = torch.cat([out.z, out.y.detach(), pairs.given], dim=1)
            wanted = torch.cat([batch.z, pairs.y, pairs.given], dim=1)
            losses.append(self._discrepancy(wanted, found))
        if "x" in self.terms:
            losses.append(self._backward(batch))
        if self.network.sides.padded:
            losses.append(self._reconstruction(batch, out))
        return torch.stack(losses).sum().expand(len(pairs))

    def _backward(self, batch: Noisy) -> Tensor:
        """L_x: the parameters of independent observations and latents against the prior."""
        y, given = batch.pairs.y[batch.order], batch.pairs.given[batch.order]
        back = self.network.inverse(y, batch.z, batch.padding[1], given)
        ramp = min(1.0, 2 * RAMP ** (1 - batch.done))
        return ramp * self._discrepancy(batch.x, back.x) + self._near_zero(back.padding)

    def _reconstruction(self, batch: Noisy, out: Outputs) -> Tensor:
        """Go back with the padding overwritten by noise: that has to lead to x all the same."""
        back = self.network.inverse(out.y, out.z, batch.padding[1], batch.pairs.given)
        return self._near_zero(back.x - batch.pairs.x)

    def _near_zero(self, values: Tensor) -> Tensor:
        """Logarithmic above the amplitude of the padding's noise, flat below."""
        if not values.shape[1]:
            return values.new_zeros(())
        return 0.5 * torch.log1p(values.square().mean() / self.padding**2)

    def _discrepancy(self, reference: Tensor, draws: Tensor) -> Tensor:
        found, chance = mmd(reference, draws, self.widths)
        return found / (chance * len(draws) / AT_ROWS)


def _log_below_one(squared: Tensor) -> Tensor:
    """Give the log of squared errors, above one a line: huge errors must still pull."""
    return torch.where(
        squared < LARGEST, squared.clamp(SMALLEST, LARGEST).log(), squared / LARGEST - 1
    )
