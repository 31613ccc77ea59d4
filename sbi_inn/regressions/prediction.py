"""A linear prediction of the parameters, and what more can be read with its help."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sbi_inn.regressions.emulator import Emulator
from sbi_inn.regressions.left_out import left_out
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE, Regressors, Ridge, left_out_in_parts

# Dimensions up to which all products of a prediction are read, not only the squares.
MOST_PAIRED = 10
# Dimensions up to which an emulator may also read products of three.
MOST_TRIPLED = 8
# How far beyond the largest prediction that was seen the emulator is asked.
BEYOND = 2.0


class Prediction(nn.Module):
    """A linear prediction, its squares and products, and what an `Emulator` leaves at it.

    Parameters
    ----------
    n_read : int
        Columns that it predicts by.
    dim : int
        Of what is predicted.
    own : int
        Observables that the emulator explains; 0 for none.
    degree : int
        Of the emulator's polynomials: 2 or 3.
    """

    slope: Tensor
    offset: Tensor
    most: Tensor

    def __init__(self, n_read: int, dim: int, own: int, degree: int = 2) -> None:
        super().__init__()
        self.degree = degree
        # In units of the prediction's spread, and how large it was.
        self.register_buffer("slope", torch.zeros(n_read, dim))
        self.register_buffer("offset", torch.zeros(dim))
        self.register_buffer("most", torch.full((dim,), torch.inf))
        self.emulator = Emulator(dim + n_products(dim, degree), own) if own else None

    def forward(self, read: Tensor, observables: Tensor | None) -> Tensor:
        """Give products, and where there are observables what is left of them."""
        said = torch.addmm(self.offset, read, self.slope)
        found = products(torch.clamp(said, -self.most, self.most))
        if self.emulator is None or observables is None:
            return found
        said = torch.clamp(said, -BEYOND * self.most, BEYOND * self.most)
        left = self.emulator(powers(said, self.degree), observables)
        return torch.cat([found, left], dim=1)

    def fit(
        self, x: Tensor, foreseen: Foreseen, observables: Tensor | None, degree: int = 2
    ) -> Tensor:
        """Learn from rows, and give what `forward` would say of rows left out.

        Parameters
        ----------
        x : Tensor, shape (rows, dim)
        foreseen : Foreseen
            What `foresee` gives of x.
        observables : Tensor, shape (rows, observables), or None
            Those that the emulator explains.
        degree : int
            Of its polynomials, if that is less than they may have.
        """
        found, predicted = foreseen
        centre = predicted.mean(dim=0)
        spread = predicted.std(dim=0).clamp(min=SMALLEST_VARIANCE)
        scaled = (predicted - centre) / spread
        self.slope.copy_(found.slope / spread)
        self.offset.copy_((found.offset - centre) / spread)
        self.most.copy_(scaled.abs().amax(dim=0))
        bent = products(scaled)
        if self.emulator is None or observables is None:
            return bent
        true = powers((x - centre) / spread, degree)
        left = self.emulator.fit(true, powers(scaled, degree), observables)
        return torch.cat([bent, left], dim=1)


class Foreseen(NamedTuple):
    """A regression, and what it says of rows left out.

    Attributes
    ----------
    found : Ridge
    predicted : Tensor, shape (rows, dim)
    """

    found: Ridge
    predicted: Tensor


def foresee(x: Tensor, on: Regressors) -> Foreseen:
    """Regress x (rows, dim), and predict each row by other rows, in a few parts.

    What each row would have been without itself alone differs from what all rows say by a share of
    its own residual, and a regression that reads both would read that off.
    """
    found = on.linear(x)
    c, more, way = on.c, on.more, found.way
    if way is not None and not way.turned:
        read = torch.cat([c[:, : way.columns], more if way.more else more[:, :0]], dim=1)
        return Foreseen(found, left_out_in_parts(x, read, found.strength))
    predicted = torch.empty_like(x)
    for part, others in left_out(len(x)):
        one = Regressors(c[others], on.own, more[others]).linear(x[others], found.way)
        predicted[part] = one(torch.cat([c[part], more[part]], dim=1))
    return Foreseen(found, predicted)


def pairs(dim: int) -> list[tuple[int, int]]:
    """Give the places whose product is read: all, or of many dimensions the squares."""
    if dim > MOST_PAIRED:
        return [(i, i) for i in range(dim)]
    return [(i, j) for i in range(dim) for j in range(i, dim)]


def products(first: Tensor) -> Tensor:
    """Multiply columns of (rows, dim)."""
    left, right = zip(*pairs(first.shape[1]), strict=True)
    return first[:, left] * first[:, right]


def triples(dim: int) -> list[tuple[int, int, int]]:
    """Give the places whose product of three is read: all, or of many dimensions none."""
    return list(combinations_with_replacement(range(dim), 3)) if dim <= MOST_TRIPLED else []


def n_products(dim: int, degree: int) -> int:
    """Count the products that `powers` adds."""
    return len(pairs(dim)) + (len(triples(dim)) if degree > 2 else 0)


def powers(first: Tensor, degree: int) -> Tensor:
    """Give columns of (rows, dim), their products of two, and those of three if asked for."""
    found = [first, products(first)]
    if degree > 2 and (places := triples(first.shape[1])):
        a, b, c = zip(*places, strict=True)
        found.append(first[:, a] * first[:, b] * first[:, c])
    return torch.cat(found, dim=1)
