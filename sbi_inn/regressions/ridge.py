"""Ridge regression whose strength is chosen by what each row would have been without itself.

Each row is predicted by all others, in closed form (leave-one-out; Golub, Heath and Wahba 1979). No
row has to be held out, and what is left of a row is as large as of a new one, however few rows
there are: widths that are learned from it are not those of a regression that has seen its own rows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.regressions.inverse import inverse_regression
from sbi_inn.regressions.left_out import left_out

# Strengths that are tried, in units of the context's mean square.
RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e4)
# Columns up to which the regression is also turned round.
MOST_TURNED = 500
# Rows from which on all columns are regressed on: there are enough to tell what each is worth.
MANY = 5_000
# Share of a row's prediction that is not its own, at least.
OTHERS = 1e-9
# Smallest variance of what is left of columns whose scale is 1: it stays invertible.
SMALLEST_VARIANCE = 1e-10


class Way(NamedTuple):
    """What a regression reads.

    Attributes
    ----------
    columns : int
        The first so many of the context.
    turned : bool
        By `inverse_regression`.
    more : bool
        Whether further columns are read besides.
    """

    columns: int
    turned: bool
    more: bool


class Ridge(NamedTuple):
    """x = c slope + offset, and what each row, left out, differs from it by.

    Attributes
    ----------
    slope : Tensor, shape (n_context, dim)
    offset : Tensor, shape (dim,)
    residual : Tensor, shape (rows, dim)
    way : Way, optional
        Which one `linear` took.
    strength : float
        Of the ridge, as it is added to the sums of squares.
    """

    slope: Tensor
    offset: Tensor
    residual: Tensor
    way: Way | None = None
    strength: float = 0.0

    def __call__(self, c: Tensor) -> Tensor:
        """Predict x (rows, dim) at contexts (rows, n_context)."""
        return c @ self.slope + self.offset


class Design:
    """Columns c (rows, n_context) of double precision, which any x is regressed on, with a ridge.

    Parameters
    ----------
    c : Tensor
    weights : Tensor, shape (rows,), optional
        How much each row counts.
    free : Tensor, shape (rows, k), optional
        What x is regressed on besides, without a ridge; its slopes come after those of c.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(1)
    >>> x, noise = torch.randn(2, 200, 150, generator=generator, dtype=torch.float64)
    >>> found = Design(noise).ridge(x[:, :1])  # of so much noise nothing can be learned
    >>> round((found.residual.std() / x[:, :1].std()).item(), 1)
    1.0
    """

    def __init__(
        self, c: Tensor, weights: Tensor | None = None, free: Tensor | None = None
    ) -> None:
        weights = c.new_ones(len(c)) if weights is None else weights / weights.mean()
        self.c, self._root = c, weights.sqrt()[:, None]
        ones = c.new_ones(len(c), 1)
        self._plain = self._root * (ones if free is None else torch.cat([ones, free], dim=1))
        self._basis = torch.linalg.qr(self._plain).Q
        rows = self._centred(c)
        size, self._axes = torch.linalg.eigh(rows.T @ rows)
        self._turned = rows @ self._axes
        unit = size.mean().clamp(min=1e-12) if len(size) else size.new_tensor(0.0)
        self._strengths = size.new_tensor(RIDGES if len(size) else [0.0]) * unit
        self._shrunk = 1 / (size.clamp(min=0) + self._strengths[:, None])
        # How much of what a ridge says of a row comes of other rows.
        others = 1 - self._basis.square().sum(dim=1)
        self._left = (others - self._shrunk @ self._turned.square().T).clamp(min=OTHERS)

    def ridge(self, x: Tensor, *, plainest: bool = False) -> Ridge:
        """Regress all columns of x (rows, dim), of double precision.

        `plainest` takes the strongest ridge that is within a standard error of the best one.
        """
        target = self._centred(x)
        slopes = self._shrunk[:, :, None] * (self._turned.T @ target)
        residuals = (target - self._turned @ slopes) / self._left[:, :, None]
        best = _chosen(residuals, plainest=plainest)
        slope = self._axes @ slopes[best]
        # The usual driver, gelsy, reads memory that was never written to (pytorch issue 187411):
        # what comes of it differs from run to run, and can be wrong.
        rest = torch.linalg.lstsq(self._plain, self._root * (x - self.c @ slope), driver="gelsd")
        slope, offset = torch.cat([slope, rest.solution[1:]]), rest.solution[0]
        strength = float(self._strengths[best])
        return Ridge(slope, offset, residuals[best] / self._root, strength=strength)

    def _centred(self, columns: Tensor) -> Tensor:
        """Weigh rows, and take out what a constant and the free columns explain."""
        weighed = self._root * columns
        return weighed - self._basis @ (self._basis.T @ weighed)


class Regressors:
    """Columns that others are regressed on, some of them or all, decomposed once for all these.

    Parameters
    ----------
    c : Tensor, shape (rows, n_context)
    own : int
        The first so many are observables as they are, of which there are fewest, and whose noises
        may be independent.
    more : Tensor, shape (rows, k), optional
        Further columns, whose slopes come after those of c. Where rows are not weighed, they may be
        left out.
    weights : Tensor, shape (rows,), optional
        How much each row counts.
    """

    def __init__(
        self, c: Tensor, own: int, more: Tensor | None = None, weights: Tensor | None = None
    ) -> None:
        self.c, self.own, self.weights = c, own, weights
        self.more = c[:, :0] if more is None else more
        self._designs: dict[Way, Design] = {}
        self._turned: dict[bytes, tuple[Tensor, Tensor]] = {}

    @property
    def all(self) -> Design:
        """All of the columns."""
        return self._read(Way(self.c.shape[1], turned=False, more=True))

    def beside(self, more: Tensor) -> Regressors:
        """Give the same columns, with further ones (rows, k) beside them."""
        made = Regressors(self.c, self.own, more)
        made._turned = self._turned
        if not self.more.shape[1] and more.shape[1]:
            made._designs = {way._replace(more=False): one for way, one in self._designs.items()}
        return made

    def weighed(self, weights: Tensor) -> Regressors:
        """Give the same columns, with weights (rows,) of the rows."""
        made = Regressors(self.c, self.own, self.more, weights)
        made._turned = self._turned  # which weights do not change
        return made

    def linear(self, x: Tensor, way: Way | None = None) -> Ridge:
        """Regress x (rows, dim) in the way that predicts rows left out best, or in a given one.

        On all columns, on observables as they are alone, or on these by `inverse_regression`. Of
        many rows all columns are read.
        """
        ways = (way,) if way else self._ways()
        inverse = self._inverse(x) if any(one.turned for one in ways) else None
        found = [self._by(one, x, inverse) for one in ways]
        return min(found, key=lambda one: _error(one.residual, self.weights))

    def _inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Turn the regression on observables round, once for the same x."""
        asked = x.cpu().numpy().tobytes()
        if asked not in self._turned:
            self._turned[asked] = inverse_regression(x, self.c[:, : self.own])
        return self._turned[asked]

    def _ways(self) -> tuple[Way, ...]:
        """Give those that are tried."""
        own, width = self.own, self.c.shape[1]
        if len(self.c) >= MANY:
            return (Way(width, turned=False, more=True),)
        extras = (False, True) if self.more.shape[1] and self.weights is None else (True,)
        plain = [Way(n, turned=False, more=m) for m in extras for n in sorted({own, width})]
        turned = [Way(own, turned=True, more=m) for m in extras if 0 < own <= MOST_TURNED]
        return (*plain, *turned)

    def _by(self, way: Way, x: Tensor, inverse: tuple[Tensor, Tensor] | None) -> Ridge:
        """Regress in one way; slopes of what is not read are zero."""
        k, width = self.more.shape[1], self.c.shape[1]
        extra = k if way.more else 0
        if way.turned:
            assert inverse is not None
            one = Design(self.more[:, :extra], self.weights, inverse[0]).ridge(x)
            of_more, free = one.slope.split([extra, len(one.slope) - extra])
            of_context = inverse[1] @ free
        else:
            one = self._read(way).ridge(x)
            of_context, of_more = one.slope.split([way.columns, extra])
        slope = x.new_zeros(width + k, x.shape[1])
        slope[: len(of_context)] = of_context
        slope[width : width + extra] = of_more
        return one._replace(slope=slope, way=way)

    def _read(self, way: Way) -> Design:
        """Give the columns that a way reads as they are."""
        if way not in self._designs:
            extra = self.more if way.more else self.more[:, :0]
            columns = torch.cat([self.c[:, : way.columns], extra], dim=1)
            self._designs[way] = Design(columns, self.weights)
        return self._designs[way]


def _error(residual: Tensor, weights: Tensor | None) -> float:
    """Log squared error of rows that were left out, over all columns."""
    size = residual.square() if weights is None else weights[:, None] * residual.square()
    return size.mean(dim=0).log().sum().item()


def left_out_in_parts(x: Tensor, c: Tensor, strength: float) -> Tensor:
    """Predict x (rows, dim) by c (rows, n_context), each part of the rows by all other parts.

    As a ridge of this strength that is fitted to the others would, without fitting any: what is
    left of the rows of a part is (1 - H)^-1 times what the ridge of all rows leaves of them, with H
    the part's own block of the hat matrix (Golub, Heath and Wahba 1979, for blocks).

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(1)
    >>> c = torch.randn(50, 2, generator=generator).double()
    >>> found = left_out_in_parts(c[:, :1] + 3, c, 1e-6)
    >>> bool((found - c[:, :1] - 3).abs().max() < 1e-6)
    True
    """
    middle, centre = x.mean(dim=0), c.mean(dim=0)
    target, columns = x - middle, c - centre
    square = columns.T @ columns
    square.diagonal().add_(strength)
    factor = torch.linalg.cholesky(square)
    turned = torch.linalg.solve_triangular(factor, columns.T, upper=False)
    residual = target - turned.T @ (turned @ target)
    found = torch.empty_like(x)
    for part, _ in left_out(len(x)):
        here = turned[:, part]
        unseen = torch.eye(len(part), dtype=x.dtype) - here.T @ here - 1 / len(x)
        found[part] = x[part] - torch.linalg.solve(unseen, residual[part])
    return found


def _chosen(residuals: Tensor, *, plainest: bool) -> int:
    """Find the ridge that leaves least, or the strongest that leaves hardly more."""
    squares = residuals.square()
    best = int(squares.mean(dim=1).log().sum(dim=1).argmin())
    if not plainest:
        return best
    more = ((squares - squares[best]) / squares[best].mean(dim=0)).sum(dim=2)
    enough = more.mean(dim=1) <= more.std(dim=1) / more.shape[1] ** 0.5
    return max(best, int(enough.nonzero().max()) if enough.any() else best)
