"""Latents of parameters with flat priors, as even numbers again."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.flows.bijection import Bijection
from sbi_inn.likelihoods import log_odds
from sbi_inn.regressions.emulator import regressed
from sbi_inn.regressions.prediction import powers
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE

# Latents between which even numbers are what they stand for: all but .3 % at either end.
KNEE = 2.8
# Spread of an even number.
SPREAD = 12**0.5
# Rows that are looked at to see which latents to even.
LOOKED_AT = 4_000
# Choices that are looked at, where all observables are choices.
CHOICES = 100


class Evened(Bijection):
    """Some columns as even numbers of mean 0 and variance 1, if they are normal; the others as is.

    Near the ends it goes on in a straight line: any number is the latent of something.

    Parameters
    ----------
    dim : int

    Examples
    --------
    >>> import torch
    >>> even = Evened(2)
    >>> even.flat[0] = True
    >>> x = torch.tensor([[-1.0, -1.0], [0.0, 3.0], [4.0, 4.0]])
    >>> w, log_det = even(x)
    >>> w.round(decimals=2).T
    tensor([[-1.1800,  0.0000,  1.7600],
            [-1.0000,  3.0000,  4.0000]])
    >>> torch.allclose(even.inverse(w)[0], x, atol=1e-6)
    True
    """

    flat: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("flat", torch.zeros(dim, dtype=torch.bool))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Read a file; older ones even nothing."""
        state_dict.setdefault(prefix + "flat", self.flat)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Even the columns; with the log determinant of each row, (batch,)."""
        inner = x.clamp(-KNEE, KNEE)
        even = SPREAD * (torch.special.ndtr(inner) - 0.5) + (x - inner) * _slope(inner)
        return torch.where(self.flat, even, x), self._log_det(inner)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Undo it."""
        knee = SPREAD * (0.5 * math.erf(KNEE / 2**0.5))
        inner = z.clamp(-knee, knee)
        x = torch.special.ndtri(0.5 + inner / SPREAD)
        return torch.where(self.flat, x + (z - inner) / _slope(x), z), -self._log_det(x)

    def _log_det(self, inner: Tensor) -> Tensor:
        return (self.flat * _slope(inner).log()).sum(dim=1)

    @torch.no_grad()
    def fit(self, x: Tensor, y: Tensor, given: Tensor) -> None:
        """Choose columns of x (rows, dim), given y (rows, observables) and givens (rows, givens).

        Those that leave less of y, when it is regressed on a quadratic function, or where log odds
        of choices are regressed: first all or none, then each by itself.
        """
        x, y, given = x[:LOOKED_AT], y[:LOOKED_AT], given[:LOOKED_AT]
        left_of = _unexplained
        if log_odds.two_valued(y).all():
            some = torch.linspace(0, y.shape[1] - 1, min(y.shape[1], CHOICES)).long()
            y, left_of = (y[:, some] == y[:, some].amax(dim=0)).to(y.dtype), _unforeseen

        def left(flat: Tensor) -> Tensor:
            self.flat.copy_(flat)
            read = torch.cat([self(x)[0], given], dim=1)
            read = (read - read.mean(dim=0)) / read.std(dim=0).clamp(min=SMALLEST_VARIANCE)
            return left_of(read, y)

        none = torch.zeros_like(self.flat)
        best = min((none, ~none), key=left)
        least = left(best)
        for place in range(len(best)):
            other = best.clone()
            other[place] = ~other[place]
            now = left(other)
            if now < least:
                best, least = other, now
        self.flat.copy_(best)


def _unexplained(read: Tensor, y: Tensor) -> Tensor:
    """Say how much a quadratic function of columns leaves of y, (rows, observables)."""
    read = powers(read, 2)
    slope, offset = regressed(read, y)
    return (y - offset - read @ slope).square().mean(dim=0).clamp(min=1e-30).log().sum()


def _unforeseen(read: Tensor, yes: Tensor) -> Tensor:
    """Give the loss of choices by log odds that are linear in columns."""
    slope, offset = log_odds.regressed(read, yes)
    return F.softplus((1 - 2 * yes) * (offset + read @ slope)).mean()


def _slope(x: Tensor) -> Tensor:
    """Give the slope of even numbers at latents."""
    return SPREAD / math.sqrt(2 * math.pi) * torch.exp(-0.5 * x.square())
