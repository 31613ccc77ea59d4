"""FrEIA, nflows and zuko with the common architecture, as a served process.

Run by the interpreter of the environment `networks`, with benchmarks/ on its path; sbi_inn is not
there. Each network is put together as the documentation of its library does it. One-sided blocks
come in twos, the halves swapped between them. Training as one would write it: the batch is indexed,
the gradient clipped, and the optimiser is torch.optim.Adam with its defaults.
"""

from functools import partial
from time import perf_counter

import torch
import zuko
from FrEIA.framework import SequenceINN
from FrEIA.modules import GLOWCouplingBlock
from nflows.distributions import StandardNormal
from nflows.flows import Flow
from nflows.transforms import (
    AffineCouplingTransform,
    CompositeTransform,
    PiecewiseRationalQuadraticCouplingTransform,
)
from speed_parts.architecture import (
    BINS,
    BLOCKS,
    BOUND,
    CLAMP,
    GRADIENT_CLIP,
    HIDDEN,
    OBSERVABLES,
    PARAMETERS,
)
from speed_parts.serving import main, pairs
from torch import nn

HALF = PARAMETERS // 2


def dense(n_in, n_out, activation):
    """Two hidden layers, as libraries that take a user's own network are given it."""
    inside = [nn.Linear(n_in, HIDDEN), activation(), nn.Linear(HIDDEN, HIDDEN), activation()]
    return nn.Sequential(*inside, nn.Linear(HIDDEN, n_out))


class Peer(nn.Module):
    """A network of another library, and the training loop that its users write."""

    optimizer = torch.optim.Adam

    @property
    def weights(self):
        return sum(p.numel() for p in self.parameters())

    def step(self, batch, steps):
        x, context = pairs(batch * steps)
        order = torch.randperm(len(x))
        optimizer = self.optimizer(self.parameters())
        started = perf_counter()
        for rows in order.split(batch):
            optimizer.zero_grad()
            loss = -self.density(x[rows], context[rows]).mean()
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters(), GRADIENT_CLIP)
            optimizer.step()
            loss.item()
        return (perf_counter() - started) / steps


class FrEIA(Peer):
    def __init__(self, activation=nn.SiLU, optimizer=torch.optim.Adam):
        super().__init__()
        self.optimizer = optimizer
        self.inn = SequenceINN(PARAMETERS)
        for _ in range(BLOCKS):
            self.inn.append(
                GLOWCouplingBlock,
                cond=0,
                cond_shape=(OBSERVABLES,),
                subnet_constructor=partial(dense, activation=activation),
                clamp=CLAMP,
            )
        self.latent = torch.distributions.Independent(
            torch.distributions.Normal(torch.zeros(PARAMETERS), torch.ones(PARAMETERS)), 1
        )

    def density(self, x, context):
        z, log_det = self.inn(x, c=[context])
        return self.latent.log_prob(z) + log_det

    def sample(self, n, context):
        z = torch.randn(n, PARAMETERS)
        return self.inn(z, c=[context.expand(n, -1)], rev=True)[0]


class Joined(nn.Module):
    """The dense network that nflows calls with the half that stays and the context."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.net = dense(n_in + OBSERVABLES, n_out, nn.SiLU)
        self.hidden_features = HIDDEN

    def forward(self, half, context):
        return self.net(torch.cat([half, context], dim=1))


class NFlows(Peer):
    def __init__(self, coupling):
        super().__init__()
        masks = [[0] * HALF + [1] * HALF, [1] * HALF + [0] * HALF] * BLOCKS
        transforms = [coupling(mask, Joined) for mask in masks]
        self.flow = Flow(CompositeTransform(transforms), StandardNormal([PARAMETERS]))

    def density(self, x, context):
        return self.flow.log_prob(x, context)

    def sample(self, n, context):
        return self.flow.sample(n, context)[0]


class Zuko(Peer):
    def __init__(self, **univariate):
        super().__init__()
        self.flow = zuko.flows.NICE(
            PARAMETERS,
            OBSERVABLES,
            transforms=2 * BLOCKS,
            hidden_features=[HIDDEN, HIDDEN],
            activation=nn.SiLU,
            **univariate,
        )

    def density(self, x, context):
        return self.flow(context).log_prob(x)

    def sample(self, n, context):
        return self.flow(context[0]).sample((n,))


SPLINE = partial(
    PiecewiseRationalQuadraticCouplingTransform, num_bins=BINS, tails="linear", tail_bound=BOUND
)
ZUKO_SPLINE = {
    "univariate": zuko.transforms.MonotonicRQSTransform,
    "shapes": [(BINS,), (BINS,), (BINS - 1,)],
}

if __name__ == "__main__":
    main(
        {
            "FrEIA": FrEIA,
            "FrEIA, ReLU": partial(FrEIA, nn.ReLU),
            "FrEIA, fused AdamW": partial(FrEIA, optimizer=partial(torch.optim.AdamW, fused=True)),
            "nflows": partial(NFlows, AffineCouplingTransform),
            "zuko": Zuko,
            "nflows, spline": partial(NFlows, SPLINE),
            "zuko, spline": partial(Zuko, **ZUKO_SPLINE),
        }
    )
