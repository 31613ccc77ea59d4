"""Learn two normal laws of each observable: regressions of which each row has a share."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods.networks import HIGHEST, LOWEST, Size, put, taught
from sbi_inn.likelihoods.two_laws import SAID, Laws, TwoLaws
from sbi_inn.regressions.prediction import powers
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE
from sbi_inn.shared_work.stacked import said_by

# Rows that regressions are learned from, at most.
MOST_REGRESSED = 2_000
# Features up to which these are quadratic functions.
MOST_FEATURES = 45
# Passes of expectation and maximisation; the same from a start; and of a robust regression before.
PASSES, FURTHER_PASSES, ROBUST_PASSES = 30, 10, 15
# Smallest residual that the latter tells from none, and the smallest outlier, beside the median.
NEAREST, OUTSIDE = 1e-2, 4.0
# Ridge, as a share of the rows.
RIDGE = 1e-6
# Smallest share of the rows that a law has.
SMALLEST_SHARE = 1e-3
# Smallest noise, in spreads of the observable.
SMALLEST_NOISE = 1e-4
# Nats an observable by which two laws have to fit what one leaves better, for networks to be tried.
PROMISED = 0.03
# The same that rows left out have to gain by these networks. Where a mean bends more than is
# learned, what is left has tails, too, and two laws gain a little.
WORTH = 0.5


def mixed(noises: Tensor) -> bool:
    """Whether what is left (rows, observables) is far from normal: two laws fit it much better."""
    none = noises[:, :0]
    mixture, rows = regressed(none, noises), _Rows(none, noises)
    normal = noises.std(dim=0).log() + 0.5
    gain = normal + _likely(rows, mixture).logsumexp(dim=0).mean(dim=0)
    return bool(gain.mean() > PROMISED)


class Mixture(NamedTuple):
    """A regression of each observable, as a mixture of two.

    Attributes
    ----------
    slope : Tensor, shape (2, features, k)
    offset, size : Tensor, shape (2, k)
        Size is the standard deviation of what is left; the second one is larger.
    odds : Tensor, shape (k,)
        Log odds of the second one.
    """

    slope: Tensor
    offset: Tensor
    size: Tensor
    odds: Tensor


def regressed(read: Tensor, y: Tensor, start: Mixture | None = None) -> Mixture:
    """Regress observables (rows, k) on features (rows, f), by expectation and maximisation.

    Without a start, from the regression of smallest absolute residuals: by what is far from it, or
    above it, whichever makes an observable likelier.
    """
    rows = _Rows(read[:MOST_REGRESSED], y[:MOST_REGRESSED])
    if start is not None:
        return _ordered(_likelier(rows, _shares(rows, start), FURTHER_PASSES))
    far, above = (_likelier(rows, shares, PASSES) for shares in _robust(rows))
    each = [_likely(rows, one).logsumexp(dim=0).mean(dim=0) for one in (far, above)]
    pairs = zip(above, far, strict=True)
    return _ordered(Mixture(*(torch.where(each[1] > each[0], a, b) for a, b in pairs)))


def _likelier(rows: _Rows, shares: Tensor, passes: int) -> Mixture:
    """Go on from shares of both laws, (2, rows, k)."""
    for _ in range(passes):
        mixture = _mixture(rows, shares)
        shares = _shares(rows, mixture)
    return _mixture(rows, shares)


class _Rows:
    """Rows of features and observables, and regressions of each observable with its own weights."""

    def __init__(self, read: Tensor, y: Tensor) -> None:
        self.read, self.y = torch.cat([read, read.new_ones(len(read), 1)], dim=1), y
        self.spread = y.std(dim=0).clamp(min=SMALLEST_VARIANCE)
        self._products = (self.read[:, :, None] * self.read[:, None]).flatten(1).T

    def weighed(self, weight: Tensor) -> Tensor:
        """Regress with weights (rows, k); slopes, the offset last, (features + 1, k)."""
        wide = self.read.shape[1]
        square = (self._products @ weight).T.unflatten(1, (wide, wide))
        ridge = RIDGE * square.diagonal(dim1=1, dim2=2).mean(dim=1) + SMALLEST_VARIANCE
        square = square + ridge[:, None, None] * torch.eye(wide, dtype=square.dtype)
        right = self.read.T @ (weight * self.y)
        return torch.linalg.solve(square, right.T[:, :, None])[:, :, 0].T

    def left(self, found: Tensor) -> Tensor:
        """Give what regressions leave, (..., rows, k)."""
        return self.y - self.read @ found


def _robust(rows: _Rows) -> list[Tensor]:
    """Give shares of both laws, (2, rows, k), by the regression of smallest absolute residuals.

    The second law is that of what is far from it, or of what is above it.
    """
    left = rows.left(rows.weighed(torch.ones_like(rows.y)))
    for _ in range(ROBUST_PASSES):
        away = left.abs()
        least = NEAREST * away.median(dim=0).values.clamp(min=SMALLEST_VARIANCE)
        left = rows.left(rows.weighed(1 / away.clamp(min=least)))
    away = left.abs()
    second = (away > OUTSIDE * away.median(dim=0).values, left > 0)
    chances = [torch.where(chosen, 0.9, 0.1).to(left) for chosen in second]
    return [torch.stack([1 - chance, chance]) for chance in chances]


def _mixture(rows: _Rows, shares: Tensor) -> Mixture:
    """Give what rows say of which each law has shares, (2, rows, k)."""
    found = torch.stack([rows.weighed(share) for share in shares])
    left = rows.left(found)
    total = shares.sum(dim=1).clamp(min=SMALLEST_SHARE * len(rows.y))
    size = ((shares * left.square()).sum(dim=1) / total).sqrt()
    size = torch.maximum(size, SMALLEST_NOISE * rows.spread)
    return Mixture(found[:, :-1], found[:, -1], size, (total[1] / total[0]).log())


def _shares(rows: _Rows, mixture: Mixture) -> Tensor:
    """Give the probability of each law at each row, (2, rows, k)."""
    return _likely(rows, mixture).softmax(dim=0)


def _likely(rows: _Rows, mixture: Mixture) -> Tensor:
    """Give the log density of each row by each law, but for a constant, (2, rows, k)."""
    found = torch.cat([mixture.slope, mixture.offset[:, None]], dim=1)
    mean, odds = rows.read @ found, mixture.odds.expand_as(rows.y)
    log_variance = (2 * mixture.size.log())[:, None].expand_as(mean)
    return Laws(mean, log_variance, odds).compared(rows.y)[1]


def _ordered(mixture: Mixture) -> Mixture:
    """Let the second law be the wider one."""
    slope, offset, size, odds = mixture
    order = size.argsort(dim=0)
    slope = slope.gather(0, order[:, None].expand_as(slope))
    odds = torch.where(order[0] == 0, odds, -odds)
    return Mixture(slope, offset.gather(0, order), size.gather(0, order), odds)


@torch.no_grad()
def learned(
    dim: int,
    x: Tensor,
    y: Tensor,
    rows: list[Tensor],
    held: list[Tensor],
    sizes: tuple[Size, ...],
) -> tuple[float, list[TwoLaws]]:
    """Learn laws of parameters and givens side by side (rows, n), and of observables (rows, k).

    One of each of the `rows`; the second and later ones have not seen the rows `held`.

    Returns
    -------
    float
        Negative log density of rows left out, but for a constant, over all observables.
    list of TwoLaws
    """
    members: list[TwoLaws] = []
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp(min=SMALLEST_VARIANCE)
    scaled = (x - centre) / spread
    read = powers(scaled, 2)
    few = read if read.shape[1] <= MOST_FEATURES else scaled
    start = None
    for mine in rows:
        member = TwoLaws(dim, y.shape[1], x.shape[1] - dim)
        start = regressed(few[mine], y[mine], start)
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        member.slope[:, : few.shape[1]] = start.slope
        for name in ("offset", "size", "odds"):
            getattr(member, name).copy_(getattr(start, name))
        members.append(member)
    table, n_said = _Left.by(members, scaled, y), SAID * y.shape[1]
    best = (math.inf, [])
    for size in sizes:
        loss, weights = taught(table, n_said, rows, held, size, best[0])
        if loss >= best[0]:
            break
        best = (loss, weights)
    loss, weights = best
    put(members, weights)
    return loss, members


class _Left(NamedTuple):
    """What regressions leave, for networks to learn from.

    Attributes
    ----------
    x : Tensor, shape (rows, n)
        Scaled parameters and givens.
    left : Tensor, shape (2, networks, rows, k)
        What is left by each law, in units of its size.
    size : Tensor, shape (2, networks, 1, k)
        The logarithm of that.
    odds : Tensor, shape (networks, 1, k)
    """

    x: Tensor
    left: Tensor
    size: Tensor
    odds: Tensor

    @classmethod
    def by(cls, members: list[TwoLaws], scaled: Tensor, y: Tensor) -> _Left:
        """Give what members leave of observables (rows, k) at scaled parameters (rows, n)."""
        read = powers(scaled, 2)
        left = [(y - (m.offset[:, None] + read @ m.slope)) / m.size[:, None] for m in members]
        size = torch.stack([m.size.log() for m in members], dim=1)[:, :, None]
        odds = torch.stack([m.odds for m in members])[:, None]
        return cls(scaled.float(), torch.stack(left, dim=1).float(), size.float(), odds.float())

    def laws(self, said: Tensor, networks: Tensor) -> tuple[Laws, Tensor]:
        """Give the laws by what some networks say, (networks, rows, 5 k), and who is inside."""
        parts = said.unflatten(2, (SAID, -1)).movedim(2, 0)
        inside = (parts[2:4] > LOWEST) & (parts[2:4] < HIGHEST)
        log_variance = parts[2:4].clamp(LOWEST, HIGHEST)
        return Laws(parts[:2], log_variance, self.odds[networks] + parts[4]), inside

    def slope(
        self, said: Tensor, networks: Tensor, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Say how the sum over networks of mean losses an observable changes with what these say.

        Of some rows for each network, (networks, some).
        """
        del generator
        left, networks = self.left[:, networks, rows], networks[:, 0]
        laws, inside = self.laws(said, networks)
        noises, likely = laws.compared(left)
        share = (likely - self.size[:, networks]).softmax(dim=0)
        of_mean = -share * noises * torch.exp(-0.5 * laws.log_variance)
        of_width = -0.5 * share * (noises.square() - 1) * inside
        of_odds = torch.sigmoid(laws.odds) - share[1]
        found = torch.cat([of_mean, of_width, of_odds[None]]).movedim(0, 2).flatten(2)
        return found / of_odds[0].numel()

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out, over all observables."""
        found = []
        for place, part in enumerate(held, 1):
            network = torch.tensor([place])
            said = said_by([w[network] for w in weights], self.x[None, part])
            likely = self.laws(said, network)[0].compared(self.left[:, network][:, :, part])[1]
            found.append(-(likely - self.size[:, network]).logsumexp(dim=0).sum(dim=2)[0])
        return float(torch.cat(found).mean())
