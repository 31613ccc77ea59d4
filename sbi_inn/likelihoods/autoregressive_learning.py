"""Learn what values of a series owe to those before them: regressions, and what networks add."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods.autoregressive import Autoregressive, Said, shocks
from sbi_inn.likelihoods.networks import BATCH, FEWEST_IN_BATCH, Size, put, taught
from sbi_inn.likelihoods.series_regression import Regressed, SeriesRegression
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE
from sbi_inn.shared_work.stacked import said_by

# Values of a series, and rows, at least.
SHORTEST, FEWEST_ROWS = 24, 1_000
# How many times the mean products of neighbours scatter more than those of independent values, or
# how alike squares of neighbours are beyond those of a row, for the rest to be tried.
MORE, TOGETHER = 2.0, 0.05
# Values whose squares count no further, in units of their noise.
OUTLYING = 4.0
# Values in a batch, at most: each row tells of all of them.
VALUES = 12_800
# Nats a value that rows left out have to gain by it.
WORTH = 0.05


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
    away = squares - squares.mean(dim=0)
    together = (away[1:] * away[:-1]).mean() / squares.var()
    return bool(length * pairs.square().mean() > MORE or together > TOGETHER)


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
    scaled = (x - centre) / spread
    series = [SeriesRegression(scaled[mine], y[mine]) for mine in rows]
    echoing = series[0].echoing()
    if echoing.loss < series[0].loss:
        series = [echoing, *(one.echoing() for one in series[1:])]
    members = []
    for one in series:
        member = Autoregressive(dim, y.shape[1], x.shape[1] - dim)
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        _put(member, one.found, series[0].found.directions)
        members.append(member)
    table, most = _Left.by(members, scaled, y), max(FEWEST_IN_BATCH, VALUES // y.shape[1])
    loss, weights = taught(table, len(members[0].last), rows, held, size, most=min(BATCH, most))
    put(members, weights)
    return loss, members


def _put(member: Autoregressive, found: Regressed, directions: Tensor) -> None:
    """Give a member what was regressed, and the directions that networks add along."""
    for name in ("means", "levels", "shares"):
        offset, slope = getattr(found, name).split([1, len(getattr(found, name)) - 1])
        getattr(member, f"{name}_offset").copy_(offset[0])
        getattr(member, f"{name}_slope").copy_(slope)
    member.log_slope.copy_(found.log_slope)
    member.size.copy_(found.size)
    member.basis.copy_(directions[: member.curves])


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
        size = torch.stack([m.log_size(scaled) for m in members])
        return cls(scaled.float(), left, away, echo, size, members[0].basis.float())

    def likely(self, said: Tensor, networks: Tensor, rows: Tensor) -> Tensor:
        """Give log densities of some rows by what some networks say, (networks, some)."""
        parts = Said.of(said, len(self.basis))
        here = (self.left[:, networks, rows], self.away[:, networks, rows])
        return shocks(*here, self.echo[networks, rows], parts, self.basis).likely

    def slope(
        self, said: Tensor, networks: Tensor, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Say how the sum over networks of mean losses a value changes with what these say."""
        del generator
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
