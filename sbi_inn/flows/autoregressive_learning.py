"""Learn what values of a series owe to those before them: regressions, and what networks add."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.flows.autoregressive import (
    LOUDEST,
    ORDER,
    Autoregressive,
    Said,
    own_powers,
    shocks,
)
from sbi_inn.flows.emulator import RIDGE, regressed
from sbi_inn.flows.likelihood_networks import Size, put, taught
from sbi_inn.flows.prediction import powers
from sbi_inn.flows.recursion import before, recursed
from sbi_inn.flows.regression import SMALLEST_VARIANCE
from sbi_inn.flows.stacked import said_by

# Values of a series, and rows, at least.
SHORTEST, FEWEST_ROWS = 24, 1_000
# How many times the mean products of neighbours, or mean squares, scatter more than those of
# independent values, for the rest to be tried.
MORE = 2.0
# Values whose squares count no further, in units of their noise.
OUTLYING = 4.0
# Nats that rows left out have to gain by it.
WORTH = 2.0
# Rows that shares of earlier values are regressed on: each has many values.
MOST_REGRESSED = 1_000
# Rounds in which shares are regressed by shocks and noises, and these by what is left.
ROUNDS = 4
# Largest log weight of a row over the median row's.
SHARPEST = 9.0
# How much larger than chance makes it a direction has to be, for means to be said to move along it.
SURELY = 1.2
# Median of the size of a standard normal number.
MIDDLE = 0.6745
# Smallest mean square of what is left, in that of the series.
SMALLEST_NOISE = 1e-10


def linked(noises: Tensor, correlation: Tensor) -> bool:
    """Whether values of a series say of each other what one correlation does not.

    Of what is left (rows, length), with that correlation: in some series neighbours are alike, in
    others opposite, or large ones are together.
    """
    rows, length = noises.shape
    if length < SHORTEST or rows < FEWEST_ROWS:
        return False
    root = torch.linalg.cholesky(correlation)
    white = torch.linalg.solve_triangular(root, noises.T, upper=False)
    pairs = (white[1:] * white[:-1]).mean(dim=0)
    squares = white.square().clamp(max=OUTLYING**2)
    return (
        float(length * pairs.square().mean()) > MORE
        or float(length * (squares.mean(dim=0) - squares.mean()).square().mean()) > 2 * MORE
    )


class _Weighed:
    """Rows of parameters and series, weighed by their noise; regressions with shares by row."""

    def __init__(self, scaled: Tensor, y: Tensor, width: Tensor) -> None:
        self.read = _with_offset(powers(scaled, 2))
        self.few, self.values = _with_offset(own_powers(scaled)), y.T
        self.root = torch.exp(-(width - width.median()).clamp(min=-SHARPEST / 2))[:, None]
        weighed = self.root * self.read
        square = weighed.T @ weighed
        square.diagonal()[1:] += RIDGE * square.diagonal().mean()
        self.inverse = torch.linalg.inv(square)
        self.weighed = weighed

    def shares(self, order: int, shock: Tensor | None = None) -> Tensor:
        """Regress shares of earlier values, and of the last shock, (features, ORDER + 1).

        All values have the same ones; their means are regressed besides, each by itself.
        """
        square, right = 0.0, 0.0
        past = [before(self.values, lag) for lag in range(1, order + 1)]
        past += [] if shock is None else [before(shock)]
        every = torch.stack(past, dim=2)
        for now, value in zip(every, self.values, strict=True):
            told = (self.few[:, :, None] * now[:, None]).flatten(1)
            told, value = self._rest(told * self.root), self._rest(value[:, None] * self.root)
            square, right = square + told.T @ told, right + told.T @ value
        assert isinstance(square, Tensor)
        scale = square.diagonal().clamp(min=SMALLEST_VARIANCE).rsqrt()
        square = square * scale[:, None] * scale
        square.diagonal().add_(RIDGE)
        found = scale[:, None] * torch.linalg.solve(square, scale[:, None] * right)
        found = found.reshape(self.few.shape[1], len(past))
        shares = found.new_zeros(len(found), ORDER + 1)
        shares[:, :order] = found[:, :order]
        if shock is not None:
            shares[:, ORDER] = found[:, order]
        return shares

    def means(self, values: Tensor) -> Tensor:
        """Regress values (length, rows) by weighed rows, (features, length); the offset first."""
        return self.inverse @ (self.weighed.T @ (self.root * values.T))

    def _rest(self, columns: Tensor) -> Tensor:
        """Give what means of rows leave of weighed columns, (rows, n)."""
        return columns - self.weighed @ (self.inverse @ (self.weighed.T @ columns))


def _with_offset(read: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(read[:, :1]), read], dim=1)


class _Series:
    """Rows of parameters and series, and the regressions that stand so far."""

    def __init__(self, scaled: Tensor, y: Tensor) -> None:
        self.scaled, self.y, self.read = scaled, y, powers(scaled, 2)
        self.width, self.log_slope = y.new_zeros(len(y)), y.new_zeros(self.read.shape[1], 1)
        self.log_offset = y.new_zeros(1)
        self.shock: Tensor | None = None
        self._regress(ORDER, echoes=False)

    def echoing(self) -> _Series:
        """Give the same with a share of the last value alone, and one of the last shock."""
        found = copy(self)
        found._regress(1, echoes=True)
        return found

    def remembering(self) -> _Series:
        """Give the same with shares of `ORDER` values."""
        found = copy(self)
        for _ in range(ROUNDS - 1):
            found._regress(ORDER, echoes=False)
        return found

    @property
    def loss(self) -> float:
        """Mean log size of shocks: of half of the rows the larger ones count up to the median."""
        assert self.shock is not None
        return float(self.shock.square().mean(dim=0).log().mean())

    def _regress(self, order: int, *, echoes: bool) -> None:
        """Regress shares of a few rows, and by these means and noises of all."""
        some = slice(MOST_REGRESSED)
        shock = self.shock if echoes else None
        few = _Weighed(self.scaled[some], self.y[some], self.width[some])
        self.shares = few.shares(order, None if shock is None else shock[:, some])
        self.weighed = _Weighed(self.scaled, self.y, self.width)
        owed = self.weighed.few @ self.shares
        rest = self.y.T - sum(
            owed[:, lag - 1] * before(self.y.T, lag) for lag in range(1, order + 1)
        )
        echo = owed[:, ORDER].clamp(-LOUDEST, LOUDEST)
        heard = 0.0 if shock is None else echo * before(shock)
        self.means = self.weighed.means(rest - heard)
        self.shock = recursed(rest - self.means.T @ self.weighed.read.T, -echo)
        square = self.shock.square().mean(dim=0)
        log_square = (square + SMALLEST_NOISE * square.median()).log()
        self.log_slope, self.log_offset = regressed(self.read, 0.5 * log_square[:, None])
        self.width = (self.log_offset + self.read @ self.log_slope)[:, 0]

    def put(self, member: Autoregressive) -> None:
        """Give a member what was regressed."""
        assert self.shock is not None
        size = (self.shock * torch.exp(-self.width)).abs().median(dim=1).values / MIDDLE
        size = size.clamp(min=SMALLEST_VARIANCE)
        means = _of_low_rank(self.weighed.weighed, self.means / size, member.basis) * size
        away = self.weighed.means(self.y.T)
        for name, one in (("", means), ("mean_", away), ("share_", self.shares)):
            getattr(member, f"{name}offset").copy_(one[0])
            getattr(member, f"{name}slope").copy_(one[1:])
        member.log_slope.copy_(self.log_slope[:, 0])
        member.size.copy_(size * self.log_offset.exp())


def _of_low_rank(weighed: Tensor, means: Tensor, basis: Tensor) -> Tensor:
    """Keep of means (features, length), in units of noise, what is larger than chance makes it.

    `basis` takes the directions in which they move most.
    """
    root = torch.linalg.cholesky(weighed.T @ weighed, upper=True)
    left, sizes, right = torch.linalg.svd(root @ means, full_matrices=False)
    chance = len(means) ** 0.5 + means.shape[1] ** 0.5
    kept = sizes > SURELY * chance
    basis[: len(right)].copy_(right[: len(basis)])
    bent = (left * (sizes * kept)) @ right
    return torch.linalg.solve_triangular(root, bent, upper=True)


@torch.no_grad()
def learned(
    dim: int, x: Tensor, y: Tensor, rows: list[Tensor], held: list[Tensor], size: Size
) -> tuple[float, list[Autoregressive]]:
    """Learn laws of parameters and givens side by side (rows, n), and of series (rows, length).

    One of each of the `rows`; the second and later ones have not seen the rows `held`.

    Returns
    -------
    float
        Negative log density of rows left out, but for a constant, over all values.
    list of Autoregressive
    """
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp(min=SMALLEST_VARIANCE)
    scaled, members, echoes = (x - centre) / spread, [], None
    for mine in rows:
        member = Autoregressive(dim, y.shape[1], x.shape[1] - dim)
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        series = _Series(scaled[mine], y[mine])
        if echoes is None:
            series = series.remembering()
            both = series, series.echoing()
            echoes = both[1].loss < both[0].loss
            series = both[echoes]
        else:
            series = series.remembering()
            series = series.echoing() if echoes else series
        series.put(member)
        members.append(member)
    for member in members[1:]:
        member.basis.copy_(members[0].basis)
    loss, weights = taught(_Left.by(members, scaled, y), len(members[0].last), rows, held, size)
    put(members, weights)
    return loss, members


class _Left(NamedTuple):
    """What regressions leave, for networks to learn from.

    Attributes
    ----------
    x : Tensor, shape (rows, n)
        Scaled parameters and givens.
    left, away : Tensor, shape (length, networks, rows)
    echo, size : Tensor, shape (networks, rows)
        The second is the log of the product of sizes.
    basis : Tensor, shape (curves, length)
    """

    x: Tensor
    left: Tensor
    away: Tensor
    echo: Tensor
    size: Tensor
    basis: Tensor

    @classmethod
    def by(cls, members: list[Autoregressive], scaled: Tensor, y: Tensor) -> _Left:
        """Give what members leave of series (rows, length) at scaled parameters (rows, n)."""
        each = [m.regressed(scaled, y) for m in members]
        left, away = (torch.stack([one[i] for one in each], dim=1).float() for i in (0, 1))
        echo = torch.stack([one[2] for one in each]).float()
        size = torch.stack([m._log_size(scaled) for m in members])
        return cls(scaled.float(), left, away, echo, size, members[0].basis.float())

    def likely(self, said: Tensor, networks: Tensor, rows: Tensor) -> Tensor:
        """Give log densities of some rows by what some networks say, (networks, some)."""
        parts = Said.of(said, len(self.basis))
        here = (self.left[:, networks, rows], self.away[:, networks, rows])
        return shocks(*here, self.echo[networks, rows], parts, self.basis).likely

    def slope(self, said: Tensor, networks: Tensor, rows: Tensor) -> Tensor:
        """Say how the sum over networks of mean losses a value changes with what these say."""
        with torch.enable_grad():
            said = said.detach().requires_grad_()
            loss = -self.likely(said, networks, rows).mean(dim=1).sum() / len(self.left)
            return torch.autograd.grad(loss, said)[0]

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out, over all values."""
        found = []
        for place, part in enumerate(held, 1):
            network = torch.tensor([[place]])
            said = said_by([w[[place]] for w in weights], self.x[None, part])
            found.append(self.size[place, part] - self.likely(said, network, part[None])[0])
        return float(torch.cat(found).mean())
