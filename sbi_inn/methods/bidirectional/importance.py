"""Draws of a bidirectional network, and their weights under the exact prior.

The network's own distribution of x = g(y, z), z ~ N(0, I), has the density N(z; 0, I) |det df/dx|
on the surface f_y(x) = y. If the simulator equals f_y, the posterior has the prior's density there
instead. Both can be evaluated; their ratio is a weight that corrects errors of z after a finite
training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sbi_inn.flows import Normal
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork
from sbi_inn.methods.row_generators import Random
from sbi_inn.training.device import to_numpy

# Rows that go through the network at once: enough to keep the cores busy, few enough for the cache.
ROWS = 8_192


@dataclass(frozen=True)
class Candidates:
    """Draws for each of a batch of observations.

    Attributes
    ----------
    x : Tensor, shape (observations, draws, parameters)
        On the latent side of the prior.
    log_weight : Tensor, shape (observations, draws)
        Log of the prior's density over the network's own.
    """

    x: Tensor
    log_weight: Tensor

    def choose(self, n: int, rng: Random) -> Tensor:
        """Choose n draws of each observation in proportion to their weights, none twice."""
        # The largest of log weight + Gumbel noise are such a choice (Vieira 2014).
        gumbel = rng.gumbel(size=tuple(self.log_weight.shape))
        best = (
            (self.log_weight.double() + torch.from_numpy(gumbel).to(self.x.device))
            .topk(n, dim=1)
            .indices
        )
        mixed = rng.permuted(to_numpy(best), axis=1)  # topk sorts
        best = torch.from_numpy(mixed).to(self.x.device)
        return self.x.gather(1, best.unsqueeze(2).expand(-1, -1, self.x.shape[2]))

    @property
    def log_mass(self) -> Tensor:
        """Log of the mean weight, shape (observations,): the prior's density on the surface."""
        draws = self.log_weight.shape[1]
        return self.log_weight.double().logsumexp(dim=1) - math.log(draws)

    @property
    def effective(self) -> Tensor:
        """Effective share of the draws (Kish), shape (observations,)."""
        shares = self.log_weight.double().softmax(dim=1)
        return 1 / shares.square().sum(dim=1) / shares.shape[1]


def candidates(
    network: BidirectionalNetwork,
    y: Tensor,
    given: Tensor,
    n: int,
    rng: Random,
    *,
    tolerance: Tensor,
) -> Candidates:
    """Draw from the network's own law, x = g(y', z) with y' ~ N(y, tolerance^2).

    Padding is zero: it makes the leaks between categories half of what noise as in training does.

    Parameters
    ----------
    network : BidirectionalNetwork
    y, given : Tensor, shape (observations, observables or givens)
    n : int
        Draws an observation.
    rng : numpy.random.Generator or RowGenerators
    tolerance : Tensor, shape (observables,)
    """

    def normal(width: int) -> Tensor:
        drawn = rng.standard_normal((len(y), n, width), dtype=np.float32)
        return torch.from_numpy(drawn).to(y.device).flatten(0, 1)

    sides = network.sides
    near = y.repeat_interleave(n, dim=0) + tolerance * normal(sides.observables)
    z, rest = normal(sides.latent), near.new_zeros(len(near), sides.padding[1])
    steer = given.repeat_interleave(n, dim=0)
    pieces = [p.split(ROWS) for p in (near, z, rest, steer)]
    back = [network.inverse(*piece) for piece in zip(*pieces, strict=True)]
    x, noise, log_det = (torch.cat(part) for part in zip(*back, strict=True))
    log_weight = log_normal(x) + log_normal(noise) - log_normal(z) + log_det
    return Candidates(x.reshape(len(y), n, -1), log_weight.reshape(len(y), n))


def log_normal(rows: Tensor) -> Tensor:
    """Log density of standard normal rows, shape (batch,)."""
    return Normal(rows.shape[1]).log_prob(rows)
