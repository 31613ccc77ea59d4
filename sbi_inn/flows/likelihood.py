"""A likelihood that is learned: which observables parameters lead to, and how noisy these are.

A simulator is smoother than its inverse. What is expected of the observables, and the variance of
each, are learned as functions of the parameters from few rows; a constant correlation of what is
left completes a normal law (a synthetic likelihood; Wood 2010, doi:10.1038/nature09319).
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sbi_inn.flows.emulator import regressed
from sbi_inn.flows.left_out import left_out
from sbi_inn.flows.prediction import n_products, pairs, powers
from sbi_inn.flows.regression import SMALLEST_VARIANCE

# Width of the two hidden layers.
HIDDEN = 64
# Steps of the optimiser, at most.
STEPS = 1_500
# Rows from which on there are so many; of fewer, they grow like the root of the rows.
ROWS = 8_000
# Steps, at least.
FEWEST_STEPS = 400
# Steps before its rate is at the peak.
WARM_UP = 50
# Peak of the learning rate of AdamW.
RATE = 5e-3
# Its weight decay.
DECAY = 1e-4
# Rows of a batch, at most.
BATCH = 256
# Batches in a pass, at least.
BATCHES = 4
# Largest norm of a gradient.
STEEPEST = 5.0
# Names of the layers of the network.
LAYERS = ("first", "second", "last")
# Parts that rows are cut into; what is said of each is learned from the others.
FOLDS = 4
# Steps between looks at rows that were left out.
LOOK = 50
# Share of all steps before the first one.
FIRST_LOOK = 1 / 3
# Size of the last layer's first weights, in the usual one.
SMALL = 0.1
# Smallest log of a variance, in that of what a quadratic function leaves.
LOWEST = -12.0
# Largest.
HIGHEST = 6.0
# Widths beyond which what is left says no more about correlations.
OUTLYING = 4.0
# Shares of the correlations that may not be believed; rows left out say which one is best.
SHRUNK = (0.1, 0.2, 0.4, 0.7, 0.95)

# The places of the rows of each part, and of all others.
Parts = list[tuple[Tensor, Tensor]]


class Expected(NamedTuple):
    """What is expected of observables, and how that changes with the parameters.

    Attributes
    ----------
    mean, log_variance : Tensor, shape (batch, observables)
    mean_slope, log_variance_slope : Tensor, shape (batch, dim, observables)
    """

    mean: Tensor
    log_variance: Tensor
    mean_slope: Tensor
    log_variance_slope: Tensor


class Likelihood(nn.Module):
    """A normal law of observables, given parameters; both of double precision.

    What is expected is a quadratic function of the parameters, and what a small network adds. The
    network also gives the log variances. Its weights are kept, as all else here is, as buffers: the
    training of the flow leaves them alone.

    Parameters
    ----------
    dim : int
        Number of parameters.
    n_observables : int
    n_givens : int
        Number of what is known of an experiment beside its observables. The law is that of the
        observables given these, too.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows.likelihood import learned
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(1200, 1, generator=generator).double()
    >>> noise = torch.randn(1200, 1, generator=generator).double()
    >>> y = x.exp() + 0.1 * (0.5 * x).exp() * noise
    >>> likelihood, _ = learned(x, y)
    >>> there = likelihood(torch.tensor([[0.0], [1.0]]).double())
    >>> there.mean.T.round(decimals=1)
    tensor([[1.0000, 2.7000]], dtype=torch.float64)
    >>> (0.5 * there.log_variance).exp().T.round(decimals=1)
    tensor([[0.1000, 0.2000]], dtype=torch.float64)
    """

    centre: Tensor
    spread: Tensor
    slope: Tensor
    offset: Tensor
    size: Tensor
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    last: Tensor
    last_bias: Tensor
    noise: Tensor
    correlation: Tensor
    inverse: Tensor

    def __init__(self, dim: int, n_observables: int, n_givens: int = 0) -> None:
        super().__init__()
        self.dim, k, wide = dim, n_observables, dim + n_givens
        shapes = {
            "centre": (wide,),
            "spread": (wide,),
            "slope": (wide + n_products(wide, 2), k),
            "offset": (k,),
            "size": (k,),
            "first": (HIDDEN, wide),
            "first_bias": (HIDDEN,),
            "second": (HIDDEN, HIDDEN),
            "second_bias": (HIDDEN,),
            "last": (2 * k, HIDDEN),
            "last_bias": (2 * k,),
            "noise": (k,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        for name in ("spread", "size", "noise"):
            getattr(self, name).fill_(1.0)
        self.register_buffer("correlation", torch.eye(k, dtype=torch.float64))
        self.register_buffer("inverse", torch.eye(k, dtype=torch.float64))

    @property
    def spreads(self) -> Tensor:
        """Those of the parameters, shape (dim,)."""
        return self.spread[: self.dim]

    def forward(self, x: Tensor, given: Tensor | None = None) -> Expected:
        """Give what is expected at parameters (batch, dim) and givens (batch, n_givens)."""
        scaled = self._scaled(x if given is None else torch.cat([x, given], dim=1))
        (weight, bias), *rest = ((getattr(self, n), getattr(self, f"{n}_bias")) for n in LAYERS)
        found = F.linear(scaled, weight, bias)
        slope = (weight[:, : self.dim] / self.spreads).T
        for weight, bias in rest:
            gate = torch.sigmoid(found)
            slope = slope * (gate * (1 + found * (1 - gate)))[:, None] @ weight.T
            found = F.linear(found * gate, weight, bias)
        (added, log_variance), (added_slope, log_slope) = found.chunk(2, 1), slope.chunk(2, 2)
        inside = (log_variance > LOWEST) & (log_variance < HIGHEST)
        bent = _slopes(scaled, self.dim) / self.spreads[:, None] @ self.slope
        return Expected(
            self.offset + powers(scaled, 2) @ self.slope + added * self.size,
            log_variance.clamp(LOWEST, HIGHEST) + 2 * (self.size * self.noise).log(),
            bent + added_slope * self.size,
            log_slope * inside[:, None],
        )

    def law(self, x: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Give means and log variances at parameters (batch, dim), (batch, observables) each.

        As `forward` does, without slopes.
        """
        scaled = self._scaled(x if given is None else torch.cat([x, given], dim=1))
        h = F.silu(F.linear(scaled, self.first, self.first_bias))
        h = F.silu(F.linear(h, self.second, self.second_bias))
        added, log_variance = F.linear(h, self.last, self.last_bias).chunk(2, 1)
        return (
            self.offset + powers(scaled, 2) @ self.slope + added * self.size,
            log_variance.clamp(LOWEST, HIGHEST) + 2 * (self.size * self.noise).log(),
        )

    def compare(self, x: Tensor, y: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compare observables (batch, k) with what parameters (batch, dim) lead to.

        Returns
        -------
        Tensor, shape (batch,)
            Mean square of what is left, in units of its noise.
        Tensor, shape (batch,)
            Log density of the observables, but for a constant.
        """
        mean, log_variance = self.law(x, given)
        left = (y - mean) * torch.exp(-0.5 * log_variance)
        square = (left @ self.inverse * left).sum(dim=1)
        return square / left.shape[1], -0.5 * (square + log_variance.sum(dim=1))

    def _scaled(self, x: Tensor) -> Tensor:
        """Scale parameters and givens, side by side."""
        return (x - self.centre) / self.spread

    def _bend(self, x: Tensor, y: Tensor) -> None:
        """Regress y on a quadratic function of x."""
        slope, offset = regressed(powers(self._scaled(x), 2), y)
        self.slope.copy_(slope)
        self.offset.copy_(offset)

    def _left(self, x: Tensor, y: Tensor) -> Tensor:
        """Give what the quadratic function leaves, scaled."""
        return (y - self.offset - powers(self._scaled(x), 2) @ self.slope) / self.size


@torch.no_grad()
def learned(
    x: Tensor, y: Tensor, given: Tensor | None = None
) -> tuple[Likelihood, list[Likelihood]]:
    """Learn from parameters (rows, dim), observables (rows, observables) and givens (rows, givens).

    Returns
    -------
    Likelihood
        Of all rows.
    list of Likelihood
        Of all but those of a part, for each of the parts that `parts_of` gives: what is said of
        rows by one that was learned from them is too good to be true.
    """
    parts, dim = parts_of(len(x)), x.shape[1]
    x = x if given is None else torch.cat([x, given], dim=1)
    n_givens = x.shape[1] - dim
    members = [Likelihood(dim, y.shape[1], n_givens) for _ in range(1 + len(parts))]
    rows = [torch.arange(len(x)), *(others for _, others in parts)]
    whole, *folds = members
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp(min=SMALLEST_VARIANCE)
    for member, mine in zip(members, rows, strict=True):
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        member._bend(x[mine], y[mine])
    size = whole._left(x, y).square().mean(dim=0).sqrt()
    for member in members:
        member.size.copy_(torch.where(size > 0, size, 1.0))
    left = torch.stack([member._left(x, y) for member in members])
    held = [part for part, _ in parts]
    weights = _trained(((x - centre) / spread).float(), left.float(), rows, held)
    for place, member in enumerate(members):
        for name, weight, bias in zip(LAYERS, weights[::2], weights[1::2], strict=True):
            getattr(member, name).copy_(weight[place].T)
            getattr(member, f"{name}_bias").copy_(bias[place, 0])
    _correlate(members, x, y, parts)
    return whole, folds


def parts_of(rows: int) -> Parts:
    """Give the places of each part of so many rows, and of all others."""
    return list(left_out(rows, FOLDS))


def _correlate(members: list[Likelihood], x: Tensor, y: Tensor, parts: Parts) -> None:
    """Learn how large what is left of rows left out is, and how it goes together."""
    left = torch.empty_like(y)
    for member, (part, _) in zip(members[1:], parts, strict=True):
        expected = member(*x[part].tensor_split([member.dim], dim=1))
        left[part] = (y[part] - expected.mean) * torch.exp(-0.5 * expected.log_variance)
    left = left.clamp(-OUTLYING, OUTLYING)
    noise, correlation = _together(left, _believed(left, parts))
    for member in members:
        member.noise.copy_(noise)
        member.correlation.copy_(correlation)
        member.inverse.copy_(torch.linalg.inv(correlation))


def _together(left: Tensor, shrunk: float) -> tuple[Tensor, Tensor]:
    """Give the noise of each observable, and correlations of which a share is not believed."""
    together = left.T @ left / len(left)
    noise = together.diagonal().clamp(min=SMALLEST_VARIANCE).sqrt()
    correlation = (1 - shrunk) * together / noise / noise[:, None]
    correlation.diagonal().fill_(1.0)
    return noise, correlation


def _believed(left: Tensor, parts: Parts) -> float:
    """Find which share of the correlations not to believe: each part is compared with the others.

    Those of many observables that were learned from few rows are too sure of their smallest
    directions.
    """
    found = []
    for shrunk in SHRUNK:
        loss = 0.0
        for part, others in parts:
            noise, correlation = _together(left[others], shrunk)
            root = torch.linalg.cholesky(correlation)
            z = torch.linalg.solve_triangular(root, (left[part] / noise).T, upper=False)
            size = root.diagonal().log().sum() + noise.log().sum()
            loss += float(0.5 * z.square().sum() + len(part) * size)
        found.append((loss, shrunk))
    return min(found)[1]


def _slopes(x: Tensor, dim: int) -> Tensor:
    """Give how `powers` of degree 2 change with the first columns of x, (batch, dim, features)."""
    wide = x.shape[1]
    found = x.new_zeros(len(x), wide, wide + n_products(wide, 2))
    found[:, :, :wide] = torch.eye(wide, dtype=x.dtype, device=x.device)
    for place, (i, j) in enumerate(pairs(wide), wide):
        found[:, i, place] += x[:, j]
        found[:, j, place] += x[:, i]
    return found[:, :dim]


@torch.enable_grad()
def _trained(x: Tensor, y: Tensor, rows: list[Tensor], held: list[Tensor]) -> list[Tensor]:
    """Train networks side by side to give means and log variances of y (networks, rows, k).

    Each sees rows of its own. All stop where the rows that the second and later ones have not seen
    fare best on average.
    """
    generator = torch.Generator().manual_seed(0)
    weights = _drawn(len(rows), x.shape[1], 2 * y.shape[2], generator)
    batch = min(BATCH, max(1, min(map(len, rows)) // BATCHES))
    steps = int(min(STEPS, max(FEWEST_STEPS, STEPS * (len(x) / ROWS) ** 0.5)))
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY, foreach=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(_rate, steps=steps))
    best, kept = math.inf, weights
    each = torch.arange(len(rows))[:, None]
    for step in range(steps):
        chosen = [mine[torch.randint(len(mine), (batch,), generator=generator)] for mine in rows]
        places = torch.stack(chosen)
        optimiser.zero_grad()
        _loss(weights, x[places], y[each, places]).sum().backward()
        nn.utils.clip_grad_norm_(weights, STEEPEST * len(rows) ** 0.5)
        optimiser.step()
        schedule.step()
        if step % LOOK == LOOK - 1 and step > FIRST_LOOK * steps:
            now = _held_loss(weights, x, y, held)
            if now < best:
                best, kept = now, [weight.detach().clone() for weight in weights]
    return kept


def _rate(step: int, steps: int) -> float:
    """Give the share of the peak of the learning rate: a warm-up, and half a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _drawn(networks: int, n_in: int, n_out: int, generator: torch.Generator) -> list[Tensor]:
    """Draw weights; the last layer starts small, near what the quadratic function says."""
    found = []
    for wide, narrow in ((n_in, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, n_out)):
        bound = wide**-0.5
        for rows in (wide, 1):
            shape = (networks, rows, narrow)
            uniform = torch.rand(shape, generator=generator, dtype=torch.float32)
            found.append((2 * uniform - 1) * bound)
    found[-2] *= SMALL
    found[-1] *= 0
    return [weight.requires_grad_() for weight in found]


def _loss(weights: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Mean negative log-likelihood of an observable by each network, but for a constant."""
    h = torch.baddbmm(weights[1], x, weights[0])
    h = torch.baddbmm(weights[3], F.silu(h), weights[2])
    mean, log_variance = torch.baddbmm(weights[5], F.silu(h), weights[4]).chunk(2, dim=2)
    log_variance = log_variance.clamp(LOWEST, HIGHEST)
    loss = 0.5 * (log_variance + (y - mean).square() * torch.exp(-log_variance))
    return loss.mean(dim=(1, 2))


@torch.no_grad()
def _held_loss(weights: list[Tensor], x: Tensor, y: Tensor, held: list[Tensor]) -> float:
    """Give the mean loss of rows left out."""
    losses = [
        _loss([weight[[place]] for weight in weights], x[None, part], y[place, part][None])
        for place, part in enumerate(held, 1)
    ]
    return torch.cat(losses).mean().item()
