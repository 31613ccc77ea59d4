"""Where a learned likelihood is largest, and how sharply it falls off there."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods.kinds import AnyLikelihood
from sbi_inn.shared_work.in_threads import in_threads

# Steps from each place that is started from, at most. Usual rows need six to thirty; of an
# observation with little noise the mode may be far from all that is usual.
STEPS = 30
# The same by each softer law, before.
SOFT_STEPS = 8
# Nats that a step promises, below which it is the last one.
SETTLED = 1e-3
# Damping of the first step.
DAMPING = 1e-3
# Steps by a law of fewer entries, at most.
SEARCH_STEPS = 12
# Places that are gone on from, of those that such a law leads to.
KEPT = 2
# Standard deviations from the likeliest beyond which another place is gone on from, too.
ANOTHER = 1.0
# Smallest and largest damping.
DAMPED = (1e-6, 1e4)
# By what it is multiplied after a step that helped.
EASED = 0.2
# By what, after one that did not.
STIFFENED = 10.0
# A step changes a parameter by so many of its spreads at most: beyond, all is different.
FARTHEST = 1.0
# A mean square that is nothing, before its logarithm is taken.
SMALLEST_MISFIT = 1e-6
# Observations that are looked at at once, at most.
AT_ONCE = 2_048
# Slopes that are looked at at once, at most.
SLOPES_AT_ONCE = 2**23


class Mode(NamedTuple):
    """A most likely place for each observation.

    Attributes
    ----------
    place : Tensor, shape (batch, dim)
    precision : Tensor, shape (batch, dim, dim)
        Of the normal law that falls off as the posterior does there (Laplace's approximation).
    misfit : Tensor, shape (batch, 1)
        Mean square of what is left of the observables, each in units of its noise.
    loss : Tensor, shape (batch,)
        Negative log density of the posterior there, but for a constant.
    """

    place: Tensor
    precision: Tensor
    misfit: Tensor
    loss: Tensor


class Seen(NamedTuple):
    """A normal law of the parameters at each observation.

    Attributes
    ----------
    place : Tensor, shape (batch, dim)
    factor : Tensor, shape (batch, dim, dim)
        Lower triangular; its product with its transpose is the precision.
    told : Tensor, shape (batch, 2 dim + 2)
        Place, log widths, and log misfit with its square.
    """

    place: Tensor
    factor: Tensor
    told: Tensor

    @classmethod
    def nothing(cls, said: Tensor) -> Seen:
        """Give the identity, of which there is nothing to tell; what is said is (batch, 2 dim)."""
        dim = said.shape[1] // 2
        zero = said.new_zeros(len(said), said.shape[1] + 2)
        factor = torch.eye(dim, dtype=said.dtype, device=said.device)
        return cls(zero[:, :dim], factor.expand(len(said), -1, -1), zero)

    def of(self, rows: Tensor) -> Seen:
        """Give it of some rows."""
        return Seen(*(part[rows] for part in self))

    def after(self, said: Tensor) -> Tensor:
        """Put what a plain start says before what there is to know of the law."""
        return torch.cat([said, self.told, self.factor.flatten(1)], dim=1)


class Box(NamedTuple):
    """A normal law that parameters have beforehand, and how far they go.

    Attributes
    ----------
    mean, lowest, highest : Tensor, shape (dim,)
    precision : Tensor, shape (dim, dim)
    """

    mean: Tensor
    lowest: Tensor
    highest: Tensor
    precision: Tensor


def modes(
    likelihood: AnyLikelihood,
    prior: Box,
    y: Tensor,
    starts: tuple[Tensor, ...],
    given: Tensor | None = None,
) -> Mode:
    """Find the likeliest parameters of observations (batch, observables), at givens (batch, k).

    From each of the starts, (batch, dim) each, by steps of Levenberg and Marquardt with Fisher's
    information in place of second derivatives; the likeliest of what is found. Where there is a
    `coarse` likelihood, it says which starts are worth it.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.laplace import Box, modes
    >>> from sbi_inn.likelihoods.learning import learned
    >>> generator = torch.Generator().manual_seed(1)
    >>> x, noise = torch.randn(2, 600, 1, generator=generator).double()
    >>> y = x.sinh() + 0.1 * noise
    >>> likelihood, _ = learned(x, y)
    >>> zero, one = torch.zeros(1).double(), torch.eye(1).double()
    >>> found = modes(likelihood, Box(zero, zero - 3, zero + 3, one), y, (0 * x,))
    >>> (found.place - x).square().mean().sqrt().round(decimals=1)
    tensor(0.1000, dtype=torch.float64)
    >>> found.precision.median().rsqrt().round(decimals=1)
    tensor(0.1000, dtype=torch.float64)
    """
    given = y[:, :0] if given is None else given
    most = SLOPES_AT_ONCE // likelihood.passes
    at_once = min(AT_ONCE, max(1, most // (y.shape[1] * likelihood.dim)))
    pieces = torch.arange(len(y), device=y.device).split(at_once)

    def likeliest(rows: Tensor) -> Mode:
        return _likeliest(likelihood, prior, y[rows], [x[rows] for x in starts], given[rows])

    found = in_threads(likeliest, pieces)
    return Mode(*(torch.cat(column) for column in zip(*found, strict=True)))


def normal_law(mode: Mode, floor: Tensor) -> Seen:
    """Give the normal law at modes, with a floor (dim,) under its widths."""
    covariance = torch.linalg.inv(mode.precision)
    covariance = 0.5 * (covariance + covariance.mT)  # symmetric to the last bit
    covariance = covariance + torch.diag(floor**2)
    width = 0.5 * covariance.diagonal(dim1=1, dim2=2).log()
    misfit = mode.misfit.clamp(min=SMALLEST_MISFIT).log()
    told = torch.cat([mode.place, width, misfit, misfit.square()], dim=1)
    return Seen(mode.place, torch.linalg.cholesky(torch.linalg.inv(covariance)), told)


def _likeliest(
    likelihood: AnyLikelihood, prior: Box, y: Tensor, starts: list[Tensor], given: Tensor
) -> Mode:
    """Give the likeliest of the modes that starts lead to, or those that a coarse search chose."""
    every = torch.arange(len(y), device=y.device)
    begin = [(start, every) for start in starts]
    if likelihood.coarse is not None and len(starts) > KEPT:
        found = [
            _climbed(likelihood.coarse, prior, y, given, start, SEARCH_STEPS) for start in starts
        ]
        begin = _chosen(found)
    best = _climbed(likelihood, prior, y, given, begin[0][0])
    for start, rows in begin[1:]:
        other = _climbed(likelihood, prior, y[rows], given[rows], start[rows])
        better = other.loss < best.loss[rows]
        for whole, part in zip(best, other, strict=True):
            whole[rows[better]] = part[better]
    return best


def _chosen(found: list[Mode]) -> list[tuple[Tensor, Tensor]]:
    """Give the places of the likeliest of some modes, (batch, dim) each, and rows to begin at them.

    At the second, those for which it is another place than the first.
    """
    best = torch.stack([mode.loss for mode in found]).topk(KEPT, dim=0, largest=False).indices
    places = torch.stack([mode.place for mode in found])
    first, *others = places.take_along_dim(best[:, :, None], dim=0)
    precisions = torch.stack([mode.precision for mode in found])
    precision = precisions.take_along_dim(best[:1, :, None, None], dim=0)[0]
    begin = [(first, torch.arange(len(first), device=first.device))]
    for other in others:
        away = (other - first)[:, :, None]
        square = (away.mT @ precision @ away)[:, 0, 0]
        begin.append((other, (square > ANOTHER**2).nonzero()[:, 0]))
    return begin


def _climbed(
    likelihood: AnyLikelihood,
    prior: Box,
    y: Tensor,
    given: Tensor,
    x: Tensor,
    steps: int = STEPS,
) -> Mode:
    """Go on from x to a place of lowest loss, by way of those of softer laws."""
    for softer in likelihood.softened:
        x = _stepped(softer, prior, y, given, x, SOFT_STEPS).x
    here = _stepped(likelihood, prior, y, given, x, steps)
    return Mode(here.x, here.precision, here.misfit, here.loss)


def _stepped(
    likelihood: AnyLikelihood, prior: Box, y: Tensor, given: Tensor, x: Tensor, steps: int
) -> _Here:
    here = _Here(likelihood, prior, y, given, x.clone())
    damping = torch.full_like(here.loss, DAMPING)
    rows = torch.arange(len(x), device=x.device)
    for _ in range(steps):
        now, damped = here.of(rows), damping[rows]
        x = now.next(damped, likelihood.spreads, prior)
        there = _Here(likelihood, prior, y[rows], given[rows], x)
        helped = there.loss < now.loss
        here.put(rows[helped], there.of(helped))
        damping[rows] = torch.where(helped, EASED * damped, STIFFENED * damped).clamp(*DAMPED)
        # Damping shortens a step, and what it promises, by about 1 + damping. A step that is cut
        # off where parameters end may promise a loss: then the search is not over.
        promised = (now.uphill * (x - now.x)).sum(dim=1) * (1 + damped)
        rows = rows[(promised.abs() > SETTLED) & (damped < DAMPED[1])]
        if not len(rows):
            break
    return here


class _Here:
    """Loss, its slope and its curvature at parameters."""

    def __init__(
        self, likelihood: AnyLikelihood, prior: Box, y: Tensor, given: Tensor, x: Tensor
    ) -> None:
        found, away = likelihood.uphill(x, y, given), x - prior.mean
        self.x, self.misfit = x, found.misfit
        self.loss = found.loss + 0.5 * (away @ prior.precision * away).sum(dim=1)
        self.uphill = found.steepest - away @ prior.precision
        self.precision = found.information + prior.precision

    def next(self, damping: Tensor, spreads: Tensor, prior: Box) -> Tensor:
        """Give where a step of Levenberg and Marquardt leads, (batch, dim)."""
        diagonal = self.precision.diagonal(dim1=1, dim2=2)
        stiff = self.precision + torch.diag_embed(damping[:, None] * diagonal)
        step = torch.linalg.solve(stiff, self.uphill[:, :, None])[:, :, 0]
        most = FARTHEST * spreads
        return torch.clamp(self.x + torch.clamp(step, -most, most), prior.lowest, prior.highest)

    def of(self, rows: Tensor) -> _Here:
        """Give the same of some rows."""
        found = copy(self)
        for name, mine in vars(self).items():
            setattr(found, name, mine[rows])
        return found

    def put(self, rows: Tensor, other: _Here) -> None:
        """Take over what another has for some rows, in their order."""
        for name, mine in vars(self).items():
            mine[rows] = getattr(other, name)


def log_det_of(factor: Tensor) -> Tensor:
    """Log determinant of lower triangular matrices (batch, dim, dim)."""
    return factor.diagonal(dim1=1, dim2=2).log().sum(dim=1)
