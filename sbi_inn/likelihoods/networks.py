"""Small networks that say what parameters lead to, trained side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.likelihoods import counts
from sbi_inn.likelihoods.learned_of_parameters import LAYERS, LearnedOfParameters
from sbi_inn.shared_work.remembered import remembered
from sbi_inn.shared_work.stacked import Stacked, said_by

# Rows from which on there are as many steps as a size says; of fewer, they grow like their root.
ROWS = 8_000
# Steps, at least.
FEWEST_STEPS = 400
# Steps before its rate is at the peak.
WARM_UP = 50
# Its weight decay.
DECAY = 1e-4
# Rows of a batch, at most.
BATCH = 256
# Counts in a batch, at most, beside so many rows at least: their law takes long to evaluate, and
# each row tells of all of them.
COUNTS, FEWEST_IN_BATCH = 10_000, 32
# Batches in a pass, at least.
BATCHES = 4
# Largest norm of a gradient.
STEEPEST = 5.0
# Steps between looks at rows that were left out.
LOOK = 50
# Nats a row, over all its observables, beyond which what it loses between looks counts less and
# less, where rows count toned: one row far out may lose a million, and decide alone.
TONED = 5.0
# Share of all steps before the first one.
FIRST_LOOK = 1 / 3
# Share of all steps after which training ends, if networks have added nothing to log odds by then.
GIVEN_UP = 0.5
# Nats an observable behind the best look, and looks in a row, after which training ends: rows are
# known by heart then, and nothing that was tried has come back from there.
LOST, LOST_LOOKS = 1.0, 2
# The same in the second half of training, where another size was better at its best all along: by
# then what gets better does so at nearly every look.
RISEN = 0.05
# Size of the last layer's first weights, in the usual one.
QUIET = 0.1
# Smallest log of a variance, in that of what a quadratic function leaves.
LOWEST = -12.0
# Largest.
HIGHEST = 6.0


class Size(NamedTuple):
    """How large networks are, and how long they are trained.

    Attributes
    ----------
    hidden : int
        Width of the two hidden layers.
    steps : int
        Of the optimiser, at most.
    rate : float
        Peak of its learning rate.
    """

    hidden: int
    steps: int
    rate: float


# Enough to compare likelihoods by, and to say what is nearly linear; for what bends; and for what
# bends so much that more training still pays.
SMALL, LARGE = Size(64, 1_500, 5e-3), Size(128, 4_000, 1e-2)
LONG = LARGE._replace(steps=10_000)


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
    *,
    toned: bool = False,
) -> tuple[float, list[Tensor]]:
    """Train networks side by side to give means and log variances (networks, rows, k).

    Each sees rows of its own. All stop where the rows that the second and later ones have not seen
    fare best on average. Of a binary observable the mean is what a network adds to the log odds: if
    rows left out are no likelier by it, nothing is added. Of counts it is what it adds to the log
    rate, and the log variance is that of the dispersion, both in units of `Targets.size`.

    Those that are to `beat` a mean loss, and move away from it, are trained no further. With
    `toned`, no row decides alone where networks fare best.

    Remembered: the same rows are learned from to choose what is read, to choose what is evened, and
    to start from.

    Returns
    -------
    float
        The mean loss of rows left out.
    list of Tensor
        Weights.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (x.shape[1], size.hidden, 2 * len(targets.size))
    networks = Stacked(drawn(len(rows), shape, generator), DECAY)
    batch = min(BATCH, max(1, min(map(len, rows)) // BATCHES))
    if targets.counted.any():
        batch = min(batch, max(FEWEST_IN_BATCH, COUNTS // int(targets.counted.sum())))
    steps = int(min(size.steps, max(FEWEST_STEPS, size.steps * (len(x) / ROWS) ** 0.5)))
    looks, kept, lost = _Looks(x, targets, held, toned=toned), networks.weights, 0
    # Where all are binary and a linear function says it all, training soon shows it.
    enough = _without(targets, held) if targets.binary.all() else math.inf
    each = torch.arange(len(rows))[:, None]
    for step in range(steps):
        chosen = [mine[torch.randint(len(mine), (batch,), generator=generator)] for mine in rows]
        places = torch.stack(chosen)
        slope = _slope(networks(x[places]), targets.at(each, places))
        networks.step(slope, STEEPEST * len(rows) ** 0.5, size.rate * rate_at(step, steps))
        if step % LOOK == LOOK - 1 and step > FIRST_LOOK * steps:
            best, now = looks.best, looks(networks.weights)
            if now < best:
                best, kept = now, networks.copy()
            late = step > GIVEN_UP * steps
            lost = lost + 1 if now > best + (RISEN if late and best > beat else LOST) else 0
            if lost == LOST_LOOKS or (late and best >= enough):
                break
    return looks.best, _where_it_helps(kept, x, targets, held) if targets.binary.any() else kept


class Table(Protocol):
    """What networks learn from, laid out for those that are trained side by side."""

    @property
    def x(self) -> Tensor:
        """Scaled parameters and givens, (rows, n)."""
        ...

    def slope(
        self, said: Tensor, networks: Tensor, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Say how the sum over networks of mean losses changes with what they say.

        Of `said`, (networks, some, n_said), at rows (networks, some), by networks (networks, 1).
        Of a large row it may look at a part that is drawn.
        """
        ...

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out."""
        ...


@remembered
@torch.no_grad()
def taught(
    table: Table,
    n_said: int,
    rows: list[Tensor],
    held: list[Tensor],
    size: Size,
    beat: float = math.inf,
    most: int = BATCH,
    *,
    linear: bool = False,
) -> tuple[float, list[Tensor]]:
    """Train networks side by side that say so many numbers; the loss of rows left out, and weights.

    Batches have so many rows at most. What is said may have a linear part beside the network's.

    Those that are behind the one to `beat` after half of their training are trained no further.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (table.x.shape[1], size.hidden, n_said)
    beside = [torch.zeros(len(rows), shape[0], n_said)] if linear else []
    networks = Stacked(drawn(len(rows), shape, generator) + beside, DECAY)
    batch = min(most, max(1, min(map(len, rows)) // BATCHES))
    steps = int(min(size.steps, max(FEWEST_STEPS, size.steps * (len(table.x) / ROWS) ** 0.5)))
    each, best, kept = torch.arange(len(rows))[:, None], math.inf, networks.copy()
    for step in range(steps):
        chosen = [mine[torch.randint(len(mine), (batch,), generator=generator)] for mine in rows]
        places = torch.stack(chosen)
        slope = table.slope(networks(table.x[places]), each, places, generator)
        networks.step(slope, STEEPEST * len(rows) ** 0.5, size.rate * rate_at(step, steps))
        if step % LOOK == LOOK - 1 and step > FIRST_LOOK * steps:
            now = table.loss(networks.weights, held)
            if now < best:
                best, kept = now, networks.copy()
            if step > GIVEN_UP * steps and best > beat:
                break
    return best, kept


def put(members: Sequence[LearnedOfParameters], weights: list[Tensor]) -> None:
    """Give each its network, of those that were trained side by side."""
    for place, member in enumerate(members):
        for name, weight, bias in zip(LAYERS, weights[:6:2], weights[1::2], strict=True):
            setattr(member, name, weight[place].T.double().contiguous())
            setattr(member, f"{name}_bias", bias[place, 0].double().contiguous())
        for beside in weights[6:]:
            member.beside = beside[place].T.double().contiguous()


def rate_at(step: int, steps: int) -> float:
    """Give the share of the peak of the learning rate: a warm-up, and half a cosine."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def drawn(networks: int, shape: tuple[int, int, int], generator: torch.Generator) -> list[Tensor]:
    """Draw weights; the last layer starts small, near what the quadratic function says."""
    found, (n_in, hidden, n_out) = [], shape
    for wide, narrow in ((n_in, hidden), (hidden, hidden), (hidden, n_out)):
        bound = wide**-0.5
        for rows in (wide, 1):
            shape = (networks, rows, narrow)
            uniform = torch.rand(shape, generator=generator, dtype=torch.float32)
            found.append((2 * uniform - 1) * bound)
    found[-2] *= QUIET
    found[-1] *= 0
    return found


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
    with torch.enable_grad():
        said.requires_grad_()
        losses = _losses(said, targets).mean(dim=(1, 2)).sum()
        return torch.autograd.grad(losses, said)[0]


def _slope_of_counts(said: Tensor, targets: Targets) -> Tensor:
    """Do the same for counts alone: torch's own way takes twice as long."""
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


class _Looks:
    """Looks at how rows left out fare while networks are trained.

    Toned, what each row loses beside the best look so far counts less and less where it is much.
    """

    def __init__(self, x: Tensor, targets: Targets, held: list[Tensor], *, toned: bool) -> None:
        self.seen, self.toned = (x, targets, held), toned
        self.best, self._rows = math.inf, None

    def __call__(self, weights: list[Tensor]) -> float:
        """Give the mean loss by some weights."""
        losses = _rows_losses if self.toned else _held_losses
        found = losses(weights, *self.seen)
        now = float(found.mean())
        if self._rows is not None:
            most = TONED / len(self.seen[1].size)
            now = self.best + most * float(torch.asinh((found - self._rows) / most).mean())
        if now < self.best:
            self.best, self._rows = now, found if self.toned else None
        return now


def _held_losses(weights: list[Tensor], x: Tensor, targets: Targets, held: list[Tensor]) -> Tensor:
    """Give the mean loss of each observable at rows left out, shape (parts, k)."""
    return torch.cat([loss.mean(dim=1) for loss in _of_parts(weights, x, targets, held)])


def _rows_losses(weights: list[Tensor], x: Tensor, targets: Targets, held: list[Tensor]) -> Tensor:
    """Give the mean loss of each row left out, over its observables, (rows,)."""
    return torch.cat([loss[0].mean(dim=1) for loss in _of_parts(weights, x, targets, held)])


def _of_parts(
    weights: list[Tensor], x: Tensor, targets: Targets, held: list[Tensor]
) -> Iterator[Tensor]:
    """Give the losses of rows left out, (1, rows, k) for each part."""
    for place, part in enumerate(held, 1):
        there = targets.at(torch.tensor([[place]]), part[None])
        yield _losses(said_by([w[[place]] for w in weights], x[None, part]), there)


def _without(targets: Targets, held: list[Tensor]) -> float:
    """Give the mean loss of rows left out by log odds alone."""
    parts = [F.softplus(-targets.left[place, part]).mean() for place, part in enumerate(held, 1)]
    return float(torch.stack(parts).mean())


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
