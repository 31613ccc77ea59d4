"""Regressions of series: what values owe to those before them, what they are expected to be.

Shares of earlier values are linear in powers of the parameters, and means are quadratic functions
of these; rows are weighed by their noise. Where shocks echo, they are regressed on as the first
regression leaves them (Hannan & Rissanen 1982, doi:10.1093/biomet/69.1.81).
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods.autoregressive import LOUDEST, ORDER, own_powers
from sbi_inn.likelihoods.recursion import before, carried, recursed
from sbi_inn.regressions.emulator import RIDGE, regressed
from sbi_inn.regressions.prediction import powers
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE

# Rows that shares of earlier values are regressed on: each has many values.
MOST_REGRESSED = 1_000
# Rounds in which shares and means are regressed by noises, and these by what is left.
ROUNDS = 4
# Largest log weight of a row over the median row's.
SHARPEST = 9.0
# How much larger than chance makes it a direction has to be, for means to be said to move along it.
SURELY = 1.2
# Median of the size of a standard normal number.
MIDDLE = 0.6745
# Smallest mean square of what is left of a row, in the median one.
SMALLEST_NOISE = 1e-10


class Regressed(NamedTuple):
    """Slopes and offsets, the latter first.

    Attributes
    ----------
    means : Tensor, shape (features + 1, length)
        Of a value, beside what it owes to those before it.
    levels : Tensor, shape (features + 1, length)
        Of a value, whatever came before.
    shares : Tensor, shape (own powers + 1, ORDER + 1)
        Of earlier values, and of the last shock.
    log_slope : Tensor, shape (features,)
        Of the log size of shocks.
    size : Tensor, shape (length,)
        In that of the row.
    directions : Tensor, shape (n, length)
        In which means move, the largest first.
    """

    means: Tensor
    levels: Tensor
    shares: Tensor
    log_slope: Tensor
    size: Tensor
    directions: Tensor


class SeriesRegression:
    """Rows of scaled parameters (rows, n) and series (rows, length), and what is regressed so far.

    First each value owes shares to those before it.
    """

    def __init__(self, scaled: Tensor, y: Tensor) -> None:
        self.scaled, self.values = scaled, y.T
        self.width = y.new_zeros(len(y))
        for _ in range(ROUNDS):
            self._regress(ORDER, None)

    def echoing(self) -> SeriesRegression:
        """Give the same with a share of the last value alone, and one of the last shock."""
        found = copy(self)
        found._regress(1, self.shock)
        return found

    @property
    def loss(self) -> float:
        """Mean log of mean squared shocks."""
        return float(self.shock.square().mean(dim=0).log().mean())

    def _regress(self, order: int, shock: Tensor | None) -> None:
        """Regress shares of a few rows, and by these means and noises of all."""
        some = slice(MOST_REGRESSED)
        few = _Weighed(self.scaled[some], self.width[some])
        seen = None if shock is None else shock[:, some]
        self.shares = few.shares(order, self.values[:, some], seen)
        self.rows = _Weighed(self.scaled, self.width)
        owed = (self.rows.few @ self.shares).T
        rest = self.values - carried(self.values, owed[:order])
        echo = owed[ORDER].clamp(-LOUDEST, LOUDEST)
        self.means = self.rows.means(rest if shock is None else rest - echo * before(shock))
        self.shock = recursed(rest - self.means.T @ self.rows.read.T, -echo)
        square = self.shock.square().mean(dim=0)
        log_square = (square + SMALLEST_NOISE * square.median()).log()
        self.log_slope, offset = regressed(self.rows.read[:, 1:], 0.5 * log_square[:, None])
        self.width = (offset + self.rows.read[:, 1:] @ self.log_slope)[:, 0]
        self.offset = offset

    @property
    def found(self) -> Regressed:
        """What was regressed, means without what moves no more than chance makes it."""
        size = (self.shock * torch.exp(-self.width)).abs().median(dim=1).values / MIDDLE
        size = size.clamp(min=SMALLEST_VARIANCE)
        noise = size * self.rows.middle.exp()
        root = torch.linalg.cholesky(self.rows.square, upper=True)
        left, sizes, right = torch.linalg.svd(root @ (self.means / noise), full_matrices=False)
        kept = sizes > SURELY * sum(n**0.5 for n in self.means.shape)
        means = torch.linalg.solve_triangular(root, (left * (sizes * kept)) @ right, upper=True)
        levels = self.rows.means(self.values)
        log_slope, size = self.log_slope[:, 0], size * self.offset.exp()
        return Regressed(means * noise, levels, self.shares, log_slope, size, right)


class _Weighed:
    """Rows of parameters weighed by their noise, and regressions on them."""

    def __init__(self, scaled: Tensor, width: Tensor) -> None:
        self.middle = width.median()
        self.root = torch.exp(-(width - self.middle).clamp(min=-SHARPEST / 2))[:, None]
        self.read, self.few = (_with_offset(r) for r in (powers(scaled, 2), own_powers(scaled)))
        self.weighed = self.root * self.read
        self.square = self.weighed.T @ self.weighed
        self.square.diagonal().add_(RIDGE * self.square.diagonal().mean())
        self.inverse = torch.linalg.inv(self.square)

    def means(self, values: Tensor) -> Tensor:
        """Regress values (length, rows), (features, length); the offset first."""
        return self.inverse @ (self.weighed.T @ (self.root * values.T))

    def shares(self, order: int, values: Tensor, shock: Tensor | None) -> Tensor:
        """Regress shares of earlier values, and of the last shock, (features, ORDER + 1).

        All values have the same ones; their means are regressed besides, each by itself.
        """
        past = [before(values, lag) for lag in range(1, order + 1)]
        past += [] if shock is None else [before(shock)]
        n = self.few.shape[1] * len(past)
        square, right = values.new_zeros(n, n), values.new_zeros(n, 1)
        for now, value in zip(torch.stack(past, dim=2), values, strict=True):
            told = (self.few[:, :, None] * now[:, None]).flatten(1)
            told, value = self._rest(told * self.root), self._rest(value[:, None] * self.root)
            square, right = square + told.T @ told, right + told.T @ value
        scale = square.diagonal().clamp(min=SMALLEST_VARIANCE).rsqrt()
        square = square * scale[:, None] * scale
        square.diagonal().add_(RIDGE)
        found = scale[:, None] * torch.linalg.solve(square, scale[:, None] * right)
        found = found.reshape(-1, len(past))
        shares = found.new_zeros(len(found), ORDER + 1)
        shares[:, :order] = found[:, :order]
        if shock is not None:
            shares[:, ORDER] = found[:, order]
        return shares

    def _rest(self, columns: Tensor) -> Tensor:
        """Give what means of rows leave of weighed columns, (rows, n)."""
        return columns - self.weighed @ (self.inverse @ (self.weighed.T @ columns))


def _with_offset(read: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(read[:, :1]), read], dim=1)
