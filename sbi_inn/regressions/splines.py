"""Natural cubic splines of columns: smooth between knots, straight beyond the outer ones.

By the basis of Hastie, Tibshirani and Friedman (2009, sec. 5.2.1), without its constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Knots of a column.
KNOTS = 8
# Splines of a column, the first of them straight.
SPLINES = KNOTS - 1
# Share of the rows below the lowest knot, and above the highest.
BEYOND = 0.005
# Rows that knots are chosen from, at most.
MOST_ROWS = 20_000


def knots_of(x: Tensor) -> Tensor:
    """Choose evenly spaced knots of columns (rows, n); (n, KNOTS). Any where a column is fixed."""
    some = x[:: -(-len(x) // MOST_ROWS)]
    low, high = torch.quantile(some, x.new_tensor([BEYOND, 1 - BEYOND]), dim=0)
    span = torch.where(high > low, high - low, 1.0)
    return low[:, None] + span[:, None] * torch.linspace(0, 1, KNOTS, dtype=x.dtype)


def splines(x: Tensor, knots: Tensor) -> Tensor:
    """Give the splines of columns (rows, n), (rows, n * SPLINES); those of a column side by side.

    >>> x = torch.linspace(0, 1, 201, dtype=torch.float64)[:, None]
    >>> read = torch.cat([x.new_ones(201, 1), splines(x, knots_of(x))], dim=1)
    >>> curve = torch.sin(2 * torch.pi * x)
    >>> left = curve - read @ torch.linalg.lstsq(read, curve).solution
    >>> bool(left.abs().max() < 0.01)
    True
    """
    inner, last = _beyond(x, knots)
    cubes = (inner**3 - last**3) / _to_last(knots)
    straight = (x - knots[:, 0])[..., None] / _span(knots)
    return torch.cat([straight, cubes[..., :-1] - cubes[..., -1:]], dim=2).flatten(1)


def slopes_of_splines(x: Tensor, knots: Tensor) -> Tensor:
    """Give how each of them changes with its own column, (rows, n, SPLINES)."""
    inner, last = _beyond(x, knots)
    squares = 3 * (inner**2 - last**2) / (_to_last(knots) * _span(knots))
    straight = (1 / _span(knots)).expand(len(x), -1, -1)
    return torch.cat([straight, squares[..., :-1] - squares[..., -1:]], dim=2)


def _span(knots: Tensor) -> Tensor:
    return knots[:, -1:] - knots[:, :1]


def _to_last(knots: Tensor) -> Tensor:
    """How far the last knot is from each other one, in the span of all; (n, KNOTS - 1)."""
    return (knots[:, -1:] - knots[:, :-1]) / _span(knots)


def _beyond(x: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
    """How far rows lie beyond each knot but the last, and beyond the last; in the same unit."""
    beyond = ((x[:, :, None] - knots) / _span(knots)).clamp(min=0)
    return beyond[..., :-1], beyond[..., -1:]
