"""Networks that say laws of observables: normal ones, log odds of choices, and rates of counts."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.likelihoods import counts
from sbi_inn.likelihoods.networks import (
    BATCH,
    FEWEST_IN_BATCH,
    HIGHEST,
    LOWEST,
    Size,
    descended,
)
from sbi_inn.shared_work.remembered import remembered
from sbi_inn.shared_work.stacked import said_by

# Counts in a batch, at most: their law takes long to evaluate.
COUNTS = 10_000
# Choices of which networks are trained first, where there are more: if they add nothing to the log
# odds of these, they are trained no further.
CHOICES_TRIED = 200
# Nats an observable behind the best look, and looks in a row, after which training ends: rows are
# known by heart then, and nothing that was tried has come back from there.
LOST, LOST_LOOKS = 1.0, 2
# The same in the second half of training, where another size was better at its best all along: by
# then what gets better does so at nearly every look.
RISEN = 0.05


class Targets(NamedTuple):
    """What networks learn of observables.

    Attributes
    ----------
    left : Tensor, shape (networks, rows, k)
        What means leave, scaled; log odds of what came; log rates of counts.
    came : Tensor, shape (rows, k)
        1 for yes, -1 for no, and counts; 0 for other observables.
    binary, counted : Tensor, shape (k,)
    size : Tensor, shape (k,)
        Of what is added to a mean, and the first scatter of counts, as a share of their means.
    trials : Tensor, shape (k,)
        Of how many a count has successes; 0 without a bound.
    """

    left: Tensor
    came: Tensor
    binary: Tensor
    counted: Tensor
    size: Tensor
    trials: Tensor

    @property
    def normal(self) -> bool:
        """Whether no observable is binary or a count."""
        return not (self.binary.any() or self.counted.any())

    def of(self, observables: Tensor) -> Targets:
        """Give those of some observables."""
        return Targets(*(part[..., observables] for part in self))

    def at(self, networks: Tensor, rows: Tensor) -> Targets:
        """Give those of some rows for each network, (networks, some)."""
        left = self.left[networks, rows]
        if self.normal:
            return self._replace(left=left)  # nobody asks what came
        return self._replace(left=left, came=self.came[rows])


@remembered
@torch.no_grad()
def trained(
    x: Tensor,
    targets: Targets,
    rows: list[Tensor],
    held: list[Tensor],
    size: Size,
    beat: float = math.inf,
) -> tuple[float, list[Tensor]]:
    """Train networks side by side to give means and log variances (networks, rows, k).

    Each sees rows of its own. All stop where the rows that the second and later ones have not seen
    fare best on average. Of a binary observable the mean is what a network adds to the log odds: if
    rows left out are no likelier by it, nothing is added. Of counts it is what it adds to the log
    rate, and the log variance is that of the dispersion, both in units of `Targets.size`.

    Those that are to `beat` a mean loss, and move away from it, are trained no further.

    Remembered: the same rows are learned from to choose what is read, to choose what is evened, and
    to start from.

    Returns
    -------
    float
        The mean loss of rows left out.
    list of Tensor
        Weights.
    """
    k, choices = len(targets.size), bool(targets.binary.all())
    if choices and k > CHOICES_TRIED:
        some = torch.linspace(0, k - 1, CHOICES_TRIED).long()
        _, weights = trained(x, targets.of(some), rows, held, size, beat)
        if not weights[4][..., : len(some)].any():
            nothing = [weight.new_zeros(*weight.shape[:2], 2 * k) for weight in weights[4:]]
            return without(targets, held), [*weights[:4], *nothing]
    most = BATCH
    if targets.counted.any():
        most = min(most, max(FEWEST_IN_BATCH, COUNTS // int(targets.counted.sum())))
    # Where all are binary and a linear function says it all, training soon shows it.
    enough = without(targets, held) if choices else math.inf
    table = _Observed(x, targets)
    best, kept = descended(table, 2 * k, rows, held, size, most, _Lost(beat, enough))
    return best, _where_it_helps(kept, x, targets, held) if targets.binary.any() else kept


class _Lost:
    """Ends training that moves away from its best look, or adds nothing to log odds."""

    def __init__(self, beat: float, enough: float) -> None:
        self.beat, self.enough, self._looks = beat, enough, 0

    def __call__(self, now: float, best: float, *, late: bool) -> bool:
        most = RISEN if late and best > self.beat else LOST
        self._looks = self._looks + 1 if now > best + most else 0
        return self._looks == LOST_LOOKS or (late and best >= self.enough)


class _Observed(NamedTuple):
    """Targets, and parameters and givens (rows, n), as networks learn them."""

    x: Tensor
    targets: Targets

    def slope(
        self, said: Tensor, networks: Tensor, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Say how the sum over networks of mean losses changes with what they say."""
        del generator
        return _slope(said, self.targets.at(networks, rows))

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out."""
        return float(_held_losses(weights, self.x, self.targets, held).mean())


def _losses(said: Tensor, targets: Targets) -> Tensor:
    """Negative log-likelihood of each observable by what networks say of it, but for a constant."""
    mean, log_variance = said.chunk(2, dim=2)
    log_variance = log_variance.clamp(LOWEST, HIGHEST)
    binary, counted = targets.binary, targets.counted
    if counted.all():
        return _of_counts(targets, targets.left, targets.came, mean, log_variance)
    if binary.all():
        return F.softplus(-(targets.left + targets.came * mean))
    losses = 0.5 * (log_variance + (targets.left - mean).square() * torch.exp(-log_variance))
    if binary.any():
        odds = F.softplus(-(targets.left + targets.came * mean))
        losses = torch.where(binary, odds, losses)
    if counted.any():
        # By their places: what a mask chooses takes far longer to differentiate.
        here = counted.nonzero()[:, 0]
        parts = (targets.left, targets.came, mean, log_variance)
        some = targets._replace(size=targets.size[here], trials=targets.trials[here])
        found = _of_counts(some, *(part.index_select(2, here) for part in parts))
        losses = losses.double().index_copy(2, here, found)
    return losses


def _slope(said: Tensor, targets: Targets) -> Tensor:
    """Say how the sum over networks of mean losses changes with what these say."""
    if targets.normal:
        return _slope_of_normal(said, targets.left)
    if targets.counted.all():
        return _slope_of_counts(said, targets)
    if targets.binary.all():
        return _slope_of_choices(said, targets)
    with torch.enable_grad():
        said.requires_grad_()
        losses = _losses(said, targets).mean(dim=(1, 2)).sum()
        return torch.autograd.grad(losses, said)[0]


def _slope_of_choices(said: Tensor, targets: Targets) -> Tensor:
    """Do the same for choices alone."""
    mean, _ = said.chunk(2, dim=2)
    found = torch.sigmoid(-(targets.left + targets.came * mean)).mul_(targets.came)
    found /= -targets.left[0].numel()
    return torch.cat([found, torch.zeros_like(found)], dim=2)


def _slope_of_counts(said: Tensor, targets: Targets) -> Tensor:
    """Do the same for counts alone."""
    mean, raw = said.chunk(2, dim=2)
    log_variance, size = raw.clamp(LOWEST, HIGHEST), targets.size
    at = (targets.left.double() + size * mean, log_variance.double() + 2 * size.log())
    by_said, by_width = counts.slopes_of_loss(targets.came.double(), *at, targets.trials)
    found = torch.cat([by_said * size, by_width * (raw == log_variance)], dim=2)
    return (found / targets.left[0].numel()).to(said.dtype)


def _slope_of_normal(said: Tensor, left: Tensor) -> Tensor:
    """Do the same for normal observables alone, as torch does to the last bit."""
    mean, raw = said.chunk(2, dim=2)
    log_variance = raw.clamp(LOWEST, HIGHEST)
    precision, away = torch.exp(-log_variance), left - mean
    each = 0.5 * float(left.new_ones(()) / left[0].numel())
    of_mean = (precision * each).mul_(2 * away).neg_()
    of_width = each - (away.square() * each).mul_(precision)
    return torch.cat([of_mean, of_width * (raw == log_variance)], dim=2)


def _of_counts(
    targets: Targets, left: Tensor, came: Tensor, mean: Tensor, log_variance: Tensor
) -> Tensor:
    """Give the losses of counts, in double precision."""
    size = targets.size
    said, log_dispersion = left.double() + size * mean, log_variance.double() + 2 * size.log()
    return counts.loss(came.double(), said, log_dispersion, targets.trials)


def _held_losses(weights: list[Tensor], x: Tensor, targets: Targets, held: list[Tensor]) -> Tensor:
    """Give the mean loss of each observable at rows left out, shape (parts, k)."""
    losses = []
    for place, part in enumerate(held, 1):
        there = targets.at(torch.tensor([[place]]), part[None])
        losses.append(_losses(said_by([w[[place]] for w in weights], x[None, part]), there))
    return torch.cat([loss.mean(dim=1) for loss in losses])


def without(targets: Targets, held: list[Tensor]) -> float:
    """Give the mean loss of rows left out by regressions alone, to which networks add nothing."""
    losses = []
    for place, part in enumerate(held, 1):
        there = targets.at(torch.tensor([[place]]), part[None])
        nothing = there.left.new_zeros(*there.left.shape[:2], 2 * len(targets.size))
        losses.append(_losses(nothing, there).mean())
    return float(torch.stack(losses).mean())


def _where_it_helps(
    weights: list[Tensor], x: Tensor, targets: Targets, held: list[Tensor]
) -> list[Tensor]:
    """Add nothing to log odds where rows left out are no likelier by it."""
    binary = targets.binary
    none = [*weights[:4], *(weight.clone() for weight in weights[4:])]
    for weight in none[4:]:
        weight[:, :, : len(binary)] *= ~binary
    with_it, without = (_held_losses(each, x, targets, held) for each in (weights, none))
    return weights if with_it[:, binary].mean() < without[:, binary].mean() else none
