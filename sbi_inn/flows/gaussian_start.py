"""A Gaussian posterior in closed form, which blocks start from and do not have to learn."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.regression import SMALLEST_VARIANCE, ridge_slopes

# How often means are regressed again with the widths found, and widths with the means found.
ROUNDS = 3
# Largest log weight of a row over the median row's: how much one sharp row may count.
MOST = 9.0
# Rows that the regressions look at: more would not change what a few hundred features predict.
ENOUGH = 20_000


class GaussianStart(Bijection):
    """z = W (V x - m(c)) / s(c), with m and log s linear in the context, found in closed form.

    Where observables are a linear function of parameters, this is the posterior even if their
    noise is unknown and spans decades: log s reads it off the residuals that whitened observables
    hold. m and s are found in turn: the log of the squared residuals is regressed on the context,
    then x is again, each row weighed by 1 / s^2 (iteratively reweighted least squares; Carroll and
    Ruppert 1988, ch. 2). V turns to axes in which what is left is uncorrelated, and W whitens what
    that leaves. Ridges are as strong as predicts held-out rows best. Nothing is trained:
    steps of an optimiser are far coarser than such a posterior is wide.

    Parameters
    ----------
    dim : int
        Number of dimensions of x.
    n_context : int

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import GaussianStart
    >>> generator = torch.Generator().manual_seed(1)
    >>> c = torch.randn(1000, 2, generator=generator)
    >>> noise = torch.randn(1000, 1, generator=generator)
    >>> x = 3 * c[:, :1] + (c[:, 1:] - 4).exp() * noise
    >>> start = GaussianStart(1, 2)
    >>> start.fit(x[:900], c[:900], x[900:], c[900:])
    >>> contexts = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    >>> start.inverse(torch.zeros(2, 1), contexts)[0][:, 0].round()  # where z = 0 is: the means
    tensor([3., 3.])
    >>> start.predict(contexts)[1].diff(dim=0)[0].round()  # log widths
    tensor([2.])
    >>> start(x, c)[0].std().round(decimals=1)
    tensor(1.)
    """

    whiten: Tensor
    colour: Tensor
    slope: Tensor
    offset: Tensor
    turn: Tensor
    turn_back: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, dim: int, n_context: int) -> None:
        super().__init__()
        self.dim = dim
        # Means beside log widths: one product finds both.
        self.register_buffer("slope", torch.zeros(n_context, 2 * dim))
        self.register_buffer("offset", torch.zeros(2 * dim))
        # Far from all rows that were seen, means go on a little, and widths do not.
        self.register_buffer("lowest", torch.full((2 * dim,), -torch.inf))
        self.register_buffer("highest", torch.full((2 * dim,), torch.inf))
        # Before widths are looked at, so that each is of a direction of its own: of a thin tilted
        # posterior all parameters are wide, and widths a little off would make it thick.
        self.register_buffer("turn", torch.eye(dim))
        self.register_buffer("turn_back", torch.eye(dim))
        self.register_buffer("whiten", torch.eye(dim))
        self.register_buffer("colour", torch.eye(dim))

    def predict(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Give mean and log width of x in turned axes, for each context; (batch, dim) each."""
        found = torch.addmm(self.offset, context, self.slope)
        mean, width = torch.clamp(found, self.lowest, self.highest).chunk(2, dim=1)
        return mean, width

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Take the residual in units of its width, and whiten it."""
        mean, width = self.predict(context)
        z = ((x @ self.turn - mean) * torch.exp(-width)) @ self.whiten
        return z, (self._log_det() - width.sum(dim=1)).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the whitening, and add the mean again."""
        mean, width = self.predict(context)
        x = ((z @ self.colour) * torch.exp(width) + mean) @ self.turn_back
        return x, (width.sum(dim=1) - self._log_det()).expand(len(z))

    @torch.no_grad()
    def fit(self, x: Tensor, context: Tensor, x_held_out: Tensor, c_held_out: Tensor) -> None:
        """Fit to rows of x (rows, dim) and context (rows, n_context)."""
        seen = _Rows(x[:ENOUGH].double(), context[:ENOUGH].double())
        new = _Rows(x_held_out.double(), c_held_out.double())
        turn, back = _axes(seen, new)
        self.turn.copy_(turn)
        self.turn_back.copy_(back)
        seen, new = (_Rows(rows.x @ turn, rows.c) for rows in (seen, new))
        mean = _regression(seen, new)
        for _ in range(ROUNDS):
            width = _regression(seen.log_residuals(mean), new.log_residuals(mean))
            mean = _weighted(seen, new, width)
        width = _regression(seen.log_residuals(mean), new.log_residuals(mean))
        self.slope.copy_(torch.cat([mean.slope, width.slope], dim=1))
        self.offset.copy_(torch.cat([mean.offset, width.offset]))
        self._bound(context[:ENOUGH])
        predicted, log_width = (t.double() for t in self.predict(context[:ENOUGH]))
        colour = _colour((seen.x - predicted) * torch.exp(-log_width))
        self.colour.copy_(colour.T)
        self.whiten.copy_(torch.linalg.inv(colour).T)

    def _bound(self, context: Tensor) -> None:
        """Let predictions go no further than those for rows that were seen, and means a little."""
        found = torch.addmm(self.offset, context, self.slope)
        lowest, highest = found.amin(dim=0), found.amax(dim=0)
        beyond = highest - lowest
        beyond[self.dim :] = 0.0
        self.lowest.copy_(lowest - beyond)
        self.highest.copy_(highest + beyond)

    def _log_det(self) -> Tensor:
        """Log |det| of turning and whitening, the same for all rows."""
        return torch.cat([self.turn.diagonal(), self.whiten.diagonal()]).abs().log().sum()


def _axes(seen: _Rows, new: _Rows) -> tuple[Tensor, Tensor]:
    """Give axes in which what a regression leaves is uncorrelated, and the way back.

    Every row counts in units of its own width, which all axes share here.
    """
    mean = _regression(seen, new)
    width = _regression(seen.log_residuals(mean), new.log_residuals(mean))
    common = width(seen.c).mean(dim=1, keepdim=True)
    colour = _colour((seen.x - mean(seen.c)) * torch.exp(-common))
    return torch.linalg.inv(colour).T, colour.T


def _colour(residual: Tensor) -> Tensor:
    """Cholesky factor of the covariance of rows, which a floor keeps invertible."""
    covariance = residual.T @ residual / len(residual)
    floor = SMALLEST_VARIANCE * covariance.diagonal().mean().clamp(min=1e-12)
    return torch.linalg.cholesky(covariance + floor * torch.eye(len(covariance)).double())


class _Line(NamedTuple):
    """x = c slope + offset."""

    slope: Tensor
    offset: Tensor

    def __call__(self, c: Tensor) -> Tensor:
        return c @ self.slope + self.offset


class _Rows(NamedTuple):
    """What is regressed, (rows, dim), and on what, (rows, n_context)."""

    x: Tensor
    c: Tensor

    def log_residuals(self, mean: _Line) -> _Rows:
        size = (self.x - mean(self.c)).square() + SMALLEST_VARIANCE
        return _Rows(0.5 * size.log(), self.c)

    def weighted(self, column: int, weights: Tensor, centre: tuple[Tensor, Tensor]) -> _Rows:
        """One column, every row by the root of its weight."""
        root = weights.sqrt()[:, None]
        x, c = centre
        return _Rows(root * (self.x[:, column : column + 1] - x), root * (self.c - c))


def _regression(seen: _Rows, new: _Rows) -> _Line:
    """Regress all columns at once; of the ridges the one that predicts new rows best."""
    x, c = seen.x.mean(dim=0), seen.c.mean(dim=0)
    slope = _best(_Rows(seen.x - x, seen.c - c), _Rows(new.x - x, new.c - c))
    return _Line(slope, x - c @ slope)


def _weighted(seen: _Rows, new: _Rows, width: _Line) -> _Line:
    """Regress each column with rows weighed by 1 / s^2, of mean 1."""
    lines = []
    for column, (w, w_new) in enumerate(zip(width(seen.c).T, width(new.c).T, strict=True)):
        typical = w.median()
        weights, weights_new = ((2 * (typical - v)).clamp(max=MOST).exp() for v in (w, w_new))
        weights = weights / weights.mean()
        centre = (weights @ seen.x[:, column] / len(w), weights @ seen.c / len(w))
        rows = seen.weighted(column, weights, centre), new.weighted(column, weights_new, centre)
        slope = _best(*rows)
        lines.append(_Line(slope, centre[0] - centre[1] @ slope))
    return _Line(
        torch.cat([line.slope for line in lines], dim=1), torch.cat([line.offset for line in lines])
    )


def _best(seen: _Rows, new: _Rows) -> Tensor:
    slopes = ridge_slopes(seen.x, seen.c)
    errors = [(new.x - new.c @ slope).square().mean(dim=0).log().sum() for slope in slopes]
    return slopes[int(torch.stack(errors).argmin())]
