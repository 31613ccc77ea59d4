"""Ridge regression whose strength is chosen by what each row would have been without itself.

Each row is predicted by all others, in closed form (leave-one-out; Golub, Heath and Wahba 1979). No
row has to be held out, and what is left of a row is as large as of a new one, however few rows
there are: widths that are learned from it are not those of a regression that has seen its own rows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.flows.inverse_regression import inverse_regression
from sbi_inn.flows.left_out import left_out

# Strengths that are tried, in units of the context's mean square.
RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e4)
# Columns up to which the regression is also turned round.
MOST_TURNED = 500
# Rows from which on all columns are regressed on: there are enough to tell what each is worth.
MANY = 5_000
# Share of a row's prediction that is not its own, at least.
OTHERS = 1e-9


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


def linear(
    x: Tensor,
    c: Tensor,
    own: int,
    weights: Tensor | None = None,
    more: Tensor | None = None,
    way: Way | None = None,
) -> Ridge:
    """Regress x (rows, dim) on c (rows, n_context) in the way that predicts rows left out best.

    On all of c, on its first `own` columns alone, or on these by `inverse_regression`: observables
    as they are, of which there are fewest and whose noises may be independent. The columns of
    `more` (rows, k), whose slopes come after those of c, are added; where rows are not weighed, it
    is tried without them, too. Of many rows all columns are read. If a `way` is given, it is taken.
    """
    more = c[:, :0] if more is None else more
    ways = (way,) if way else _ways(len(x), own, c, more, weights)
    turned = inverse_regression(x, c[:, :own]) if any(one.turned for one in ways) else None
    found = [_by(one, x, c, weights, more, turned) for one in ways]
    return min(found, key=lambda one: _error(one.residual, weights))


def _ways(rows: int, own: int, c: Tensor, more: Tensor, weights: Tensor | None) -> tuple[Way, ...]:
    """Give those that are tried."""
    if rows >= MANY:
        return (Way(c.shape[1], turned=False, more=True),)
    extras = (False, True) if more.shape[1] and weights is None else (True,)
    columns = {own, c.shape[1]}
    plain = [Way(first, turned=False, more=m) for m in extras for first in sorted(columns)]
    turned = [Way(own, turned=True, more=m) for m in extras if 0 < own <= MOST_TURNED]
    return (*plain, *turned)


def _by(
    way: Way,
    x: Tensor,
    c: Tensor,
    weights: Tensor | None,
    more: Tensor,
    turned: tuple[Tensor, Tensor] | None,
) -> Ridge:
    """Regress in one way; slopes of what is not read are zero."""
    extra = more if way.more else more[:, :0]
    if way.turned:
        assert turned is not None
        one = ridge(x, extra, weights, turned[0])
        of_more, free = one.slope.split([extra.shape[1], len(one.slope) - extra.shape[1]])
        of_context = turned[1] @ free
    else:
        one = ridge(x, torch.cat([c[:, : way.columns], extra], dim=1), weights)
        of_context, of_more = one.slope.split([way.columns, extra.shape[1]])
    slope = x.new_zeros(c.shape[1] + more.shape[1], x.shape[1])
    slope[: len(of_context)] = of_context
    slope[c.shape[1] : c.shape[1] + len(of_more)] = of_more
    return one._replace(slope=slope, way=way)


def _error(residual: Tensor, weights: Tensor | None) -> float:
    """Log squared error of rows that were left out, over all columns."""
    size = residual.square() if weights is None else weights[:, None] * residual.square()
    return size.mean(dim=0).log().sum().item()


def ridge(
    x: Tensor,
    c: Tensor,
    weights: Tensor | None = None,
    free: Tensor | None = None,
    *,
    plainest: bool = False,
) -> Ridge:
    """Regress all columns of x (rows, dim) on c (rows, n_context), both of double precision.

    Parameters
    ----------
    x, c : Tensor
    weights : Tensor, shape (rows,), optional
        How much each row counts.
    free : Tensor, shape (rows, k), optional
        What x is regressed on besides, without a ridge; its slopes come after those of c.
    plainest : bool
        Take the strongest ridge that is within a standard error of the best one.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(1)
    >>> x, noise = torch.randn(2, 200, 150, generator=generator, dtype=torch.float64)
    >>> found = ridge(x[:, :1], noise)  # of so much noise nothing can be learned
    >>> round((found.residual.std() / x[:, :1].std()).item(), 1)
    1.0
    """
    weights = torch.ones_like(x[:, 0]) if weights is None else weights / weights.mean()
    root = weights.sqrt()[:, None]
    ones = torch.ones_like(x[:, :1])
    plain = ones if free is None else torch.cat([ones, free], dim=1)
    basis = torch.linalg.qr(root * plain).Q
    target, rows = (root * t - basis @ (basis.T @ (root * t)) for t in (x, c))
    slopes, residuals, strengths = _tried(target, rows, 1 - basis.square().sum(dim=1))
    best = _chosen(residuals, plainest=plainest)
    slope, residual = slopes[best], residuals[best]
    # The usual driver, gelsy, reads memory that was never written to (pytorch issue 187411): what
    # comes of it differs from run to run, and can be wrong.
    rest = torch.linalg.lstsq(root * plain, root * (x - c @ slope), driver="gelsd").solution
    slope = torch.cat([slope, rest[1:]])
    return Ridge(slope, rest[0], residual / root, strength=float(strengths[best]))


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


def _tried(target: Tensor, rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give slopes (ridges, columns, dim), residuals (ridges, rows, dim) and strengths of ridges.

    `others` is 1 less what a row has in itself.
    """
    if not rows.shape[1]:
        residual = target / others.clamp(min=OTHERS)[:, None]
        return rows.new_zeros(1, 0, target.shape[1]), residual[None], rows.new_zeros(1)
    size, axes = torch.linalg.eigh(rows.T @ rows)
    turned = rows @ axes
    unit = size.mean().clamp(min=1e-12)
    strengths = size.new_tensor(RIDGES) * unit
    shrunk = 1 / (size.clamp(min=0) + strengths[:, None])
    slopes = shrunk[:, :, None] * (turned.T @ target)
    left = (others - shrunk @ turned.square().T).clamp(min=OTHERS)
    return axes @ slopes, (target - turned @ slopes) / left[:, :, None], strengths


def _chosen(residuals: Tensor, *, plainest: bool) -> int:
    """Find the ridge that leaves least, or the strongest that leaves hardly more."""
    squares = residuals.square()
    best = int(squares.mean(dim=1).log().sum(dim=1).argmin())
    if not plainest:
        return best
    more = ((squares - squares[best]) / squares[best].mean(dim=0)).sum(dim=2)
    enough = more.mean(dim=1) <= more.std(dim=1) / more.shape[1] ** 0.5
    return max(best, int(enough.nonzero().max()) if enough.any() else best)
