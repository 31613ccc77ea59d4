"""Learn a likelihood: regressions, what networks add to them, and correlations of what is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods import (
    autoregressive_learning,
    entry_law_learning,
    two_laws_learning,
    uneven_noise,
)
from sbi_inn.likelihoods.kinds import AnyLikelihood
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.networks import SMALL, Size, put
from sbi_inn.likelihoods.observable_laws import Kinds
from sbi_inn.likelihoods.observable_networks import Targets, trained, without
from sbi_inn.regressions.left_out import left_out
from sbi_inn.regressions.prediction import powers
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE
from sbi_inn.regressions.splines import knots_of, splines

# Parts that rows are cut into; what is said of each is learned from the others.
FOLDS = 4
# Widths beyond which what is left says no more about correlations.
OUTLYING = 4.0
# Counts up to which larger networks are tried: their law takes long to evaluate.
FEW_COUNTS = 16
# Nats, over all observables, that a size has to gain for the next one to be tried. Where larger
# networks gained more, 7 to 13 at predators and prey, longer training brought 1 to 3 more; where
# they gained less, nothing.
GAINS = 2.0
# The same that the first networks have to gain over regressions, for a larger size to be tried.
PROMISED = 0.5
# Choices, over all rows, that log odds are learned of, and rows at least: where each row has more
# than a thousand, errors of their log odds average out.
CHOICES, FEWEST_ROWS = 12_000_000, 2_500
# Shares of the correlations that may not be believed; rows left out say which one is best.
SHRUNK = (0.1, 0.2, 0.4, 0.7, 0.95)

Learned = tuple[AnyLikelihood, Sequence[AnyLikelihood]]
"""A likelihood of all rows, and those that have not seen a part each."""

# The places of the rows of each part, and of all others.
Parts = list[tuple[Tensor, Tensor]]


@torch.no_grad()
def learned(
    x: Tensor,
    y: Tensor,
    given: Tensor | None = None,
    sizes: tuple[Size, ...] = (SMALL,),
    *,
    weigh: bool = True,
) -> Learned:
    """Learn from parameters (rows, dim), observables (rows, observables) and givens (rows, givens).

    By networks of the one of some sizes that fares best on rows left out; by the first, the
    smallest, where all is binary or counts are many. From the third on, a size is tried only where
    the one before it has gained much. With `weigh`, rows are weighed by their noise
    if rows left out gain by it. A few hundred near each other tell less of how noise changes than
    of how they happened to fall.

    Returns
    -------
    Likelihood or TwoLaws
        Of all rows.
    sequence of such
        Of all but those of a part, for each of the parts that `parts_of` gives: what is said of
        rows by one that was learned from them is too good to be true.
    """
    dim, kinds = x.shape[1], Kinds.of(y)
    x = x if given is None else torch.cat([x, given], dim=1)
    if kinds.binary.all():
        x, y = (part[: max(FEWEST_ROWS, CHOICES // y.shape[1])] for part in (x, y))
    table = _Table(x, y, parts_of(len(x)))
    even = _bent(table, dim, kinds)
    best = _trained(even, table, sizes[0])
    weighed = _weighed(even, table) if weigh else None
    if weighed is not None:
        # A smaller gain is no sign that larger networks would gain, too; they are not tried where
        # small ones add next to nothing.
        other = _trained(weighed, table, sizes[0])
        enough = uneven_noise.WORTH if other.gain * y.shape[1] > PROMISED else 0.0
        best = other if other.loss < best.loss - enough else best
    if not (kinds.binary.all() or kinds.counted.sum() > FEW_COUNTS):
        best = _larger(best, table, sizes[1:])
    put(best.members, best.weights)
    noises = _correlate(best.members, table)
    members: Sequence[AnyLikelihood] = best.members
    if noises is not None and noises.shape[1] == y.shape[1]:
        members = _freed(best.members, table, noises, sizes)
    whole, *folds = members
    return whole, folds


def of_series(x: Tensor, y: Tensor, given: Tensor | None = None) -> tuple[float, Learned]:
    """Learn a law of each value of a series given those before it, from rows as `learned` does.

    Gives two things: the negative log density of rows left out, but for a constant, and the laws.
    """
    both, parts = x if given is None else torch.cat([x, given], dim=1), parts_of(len(x))
    table, held = _Table(both, y, parts), [part for part, _ in parts]
    loss, members = autoregressive_learning.learned(x.shape[1], table.x, y, table.rows, held, SMALL)
    whole, *folds = members
    return loss, (whole, folds)


def of_entries(
    x: Tensor, y: Tensor, given: Tensor | None = None, columns: int = 1, *, few: bool = False
) -> Learned:
    """Learn a law of the entries of sets (rows, 1 + numbers), from rows as `learned` does.

    Entries have so many columns, one after the other. In a few steps, if it is only compared.
    """
    table = _Table(x if given is None else torch.cat([x, given], dim=1), y, parts_of(len(x)))
    held = [part for part, _ in table.parts]
    size = entry_law_learning.size_of(columns, few=few)
    whole, *folds = entry_law_learning.learned(
        x.shape[1], table.x, y, table.rows, held, size, columns
    )
    return whole, folds


def better_of_series(found: Learned, x: Tensor, y: Tensor, given: Tensor) -> Learned | None:
    """Learn such a law, too; None where rows left out gain little by it over what was `found`."""
    one, folds = found
    if not isinstance(one, Likelihood) or len(one.kinds.normal) < y.shape[1]:
        return None
    table = _Table(torch.cat([x, given], dim=1), y, parts_of(len(x)))
    normal = [one, *(fold for fold in folds if isinstance(fold, Likelihood))]
    if not autoregressive_learning.linked(_noises(normal[1:], table), one.correlation):
        return None
    loss, others = of_series(x, y, given)
    enough = autoregressive_learning.WORTH * y.shape[1]
    return others if loss < _left_out_loss(normal, table) - enough else None


def _freed(
    members: Sequence[Likelihood], table: _Table, noises: Tensor, sizes: tuple[Size, ...]
) -> Sequence[AnyLikelihood]:
    """Take two laws of each observable where what is left is far from normal, and they are better.

    By the density of rows left out.
    """
    if not two_laws_learning.mixed(noises):
        return members
    dim, held = members[0].dim, [part for part, _ in table.parts]
    loss, others = two_laws_learning.learned(dim, table.x, table.y, table.rows, held, sizes[:2])
    enough = two_laws_learning.WORTH * table.y.shape[1]
    return others if loss < _left_out_loss(members, table) - enough else members


def _left_out_loss(members: Sequence[Likelihood], table: _Table) -> float:
    """Give the negative log density of rows left out, but for what is the same for all kinds."""
    dim = members[0].dim
    each = [
        member.compare(table.x[part, :dim], table.y[part], table.x[part, dim:])[1]
        for member, (part, _) in zip(members[1:], table.parts, strict=True)
    ]
    return float(0.5 * torch.logdet(members[0].correlation) - torch.cat(each).mean())


class _Table(NamedTuple):
    """Parameters and givens side by side (rows, n), observables (rows, k), and parts."""

    x: Tensor
    y: Tensor
    parts: Parts

    @property
    def rows(self) -> list[Tensor]:
        """The places of the rows that each likelihood is learned from: of all, then by parts."""
        return [torch.arange(len(self.x)), *(others for _, others in self.parts)]


class _Trained(NamedTuple):
    """Likelihoods, the weights of their networks, and the mean loss of rows left out.

    Also by how much networks make it smaller than that of regressions alone.
    """

    loss: float
    gain: float
    weights: list[Tensor]
    members: list[Likelihood]


def parts_of(rows: int) -> Parts:
    """Give the places of each part of so many rows, and of all others."""
    return list(left_out(rows, FOLDS))


def _bent(table: _Table, dim: int, kinds: Kinds) -> list[Likelihood]:
    """Regress observables, all rows alike: a likelihood of all rows, then one without each part."""
    x, y, _ = table
    found: list[Likelihood] = []
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp(min=SMALLEST_VARIANCE)
    for mine in table.rows:
        member = Likelihood(dim, y.shape[1], x.shape[1] - dim)
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        member.is_of(kinds)
        member._bend(x[mine], y[mine], *found[:1])
        found.append(member)
    _resize(found, table)
    return found


def _weighed(members: list[Likelihood], table: _Table) -> list[Likelihood] | None:
    """Regress normal observables, rows being weighed; None if rows left out gain nothing by it."""
    whole, normal = members[0], members[0].kinds.normal
    if not len(normal):
        return None
    scaled = whole.scaled(table.x)
    knots = knots_of(scaled)
    read = uneven_noise.Read(powers(scaled, 2), splines(scaled, knots))
    found = uneven_noise.best(read, table.x.shape[1], table.y[:, normal], table.parts)
    if found is None:
        return None
    members = deepcopy(members)
    for member, one in zip(members, found, strict=True):
        member.knots.copy_(knots)
        member.bends.copy_(one.bends)
        member.size[normal] = one.log_offset.exp()
        for name in ("slope", "offset", "log_slope"):
            getattr(member, name)[..., normal] = getattr(one, name)
    return members


def _resize(members: list[Likelihood], table: _Table) -> None:
    """Take as the unit of what networks add the size of what the regression of all rows leaves."""
    whole, kinds = members[0], members[0].kinds
    size = whole._left(table.x, table.y).square().mean(dim=0).sqrt()
    size = torch.where((size > 0) & ~kinds.binary, size, 1.0)
    size = torch.where(kinds.counted, whole.size, size)
    for member in members:
        member.size.copy_(size)


def _larger(best: _Trained, table: _Table, sizes: tuple[Size, ...]) -> _Trained:
    """Train networks of further sizes, until one gains too little for the next to be worth it.

    None where the first ones gain next to nothing: then regressions say it all.
    """
    if best.gain * table.y.shape[1] < PROMISED:
        return best
    for size in sizes:
        other = _trained(best.members, table, size, best.loss)
        gain = (best.loss - other.loss) * table.y.shape[1]
        best = other if gain > 0 else best
        if gain < GAINS:
            break
    return best


def _trained(
    members: list[Likelihood], table: _Table, size: Size, beat: float = math.inf
) -> _Trained:
    """Train networks of a size to add to what was regressed, and to `beat` a loss."""
    x, y, parts = table
    whole, *folds = members
    kinds = whole.kinds
    left = torch.stack([member._left(x, y) for member in members]).float()
    came = kinds.came(y).float()
    targets = Targets(left, came, kinds.binary, kinds.counted, whole.size, kinds.trials)
    held = [part for part, _ in parts]
    scaled = whole.scaled(x)
    each = [
        (fold.size.log() + fold.width(scaled[part])).mean()
        for fold, part in zip(folds, held, strict=True)
    ]
    units = float(torch.stack(each).mean())
    loss, weights = trained(scaled.float(), targets, table.rows, held, size, beat - units)
    alone = without(targets, held)
    if alone < loss:
        loss, weights = alone, [torch.zeros_like(weight) for weight in weights]
    return _Trained(loss + units, alone - loss, weights, members)


def _correlate(members: list[Likelihood], table: _Table) -> Tensor | None:
    """Learn how large what is left of rows left out is, and how it goes together.

    Gives what is left of normal observables, in units of its noise; None if there are none.
    """
    parts, normal = table.parts, members[0].kinds.normal
    if not len(normal):
        return None
    left = _noises(members[1:], table)[:, normal]
    noise, correlation = _together(left, _believed(left, parts))
    for member in members:
        member.noise[normal] = noise
        member.correlation[normal[:, None], normal] = correlation
        member.inverse[normal[:, None], normal] = torch.linalg.inv(correlation)
    return left


def _noises(folds: Sequence[Likelihood], table: _Table) -> Tensor:
    """Give what folds leave of the rows that they have not seen, in units of its noise."""
    x, y, parts = table
    left = torch.empty_like(y)
    for member, (part, _) in zip(folds, parts, strict=True):
        mean, log_variance = member.law(*x[part].tensor_split([member.dim], dim=1))
        left[part] = member.left(y[part], mean, log_variance).noises
    return left.clamp(-OUTLYING, OUTLYING)


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
