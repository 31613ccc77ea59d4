"""Dropout sampling with learned error terms (Kendall and Gal 2017, arXiv:1703.04977)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from competitors.data import Pairs
from competitors.fitted import Competitor, Lossy
from competitors.layers import Dense
from sbi_inn.training.stated import check_fields


@dataclass(frozen=True)
class Dropout(Competitor):
    """A regression network that also learns the variance of its error (secs. 4.2.1, B.5).

    A draw takes a dropout mask of its own, then the Gaussian of the mean and variance it gives.

    Parameters
    ----------
    hidden : int
        Width of the hidden layers.
    layers : int
        Fully connected layers (thesis: 6).
    dropout : float, in (0, 1)
        Share of the hidden units that is switched off, in training and in drawing.
    """

    name: ClassVar[str] = "dropout"
    label: ClassVar[str] = "dropout network"

    hidden: int = 220
    layers: int = 6
    dropout: float = 0.2

    def __post_init__(self) -> None:
        check_fields(self, positive=("hidden", "layers"))
        if not 0 < self.dropout < 1:
            raise ValueError(f"Dropout(dropout=...) must lie in (0, 1); got {self.dropout!r}")

    def resolve(self, dim: int) -> Dropout:
        """Nothing is left open."""
        return self

    def network(self, dim: int, features: int) -> _Network:
        """Build the network for `dim` parameters and `features` observed."""
        return _Network(self, dim, features)


class _Network(Lossy):
    """One network with two heads, mean and log-variance."""

    def __init__(self, settings: Dropout, dim: int, features: int) -> None:
        super().__init__()
        self.heads = Dense(
            features,
            2 * dim,
            hidden=settings.hidden,
            layers=settings.layers,
            dropout=settings.dropout,
        )

    def loss(self, pairs: Pairs) -> Tensor:
        """Give the Gaussian negative log-likelihood of each row (eq. 8 there), shape (rows,)."""
        mean, log_variance = self.heads(pairs.observed, pairs.noise()).chunk(2, dim=1)
        error = (pairs.latent - mean).square() * (-log_variance).exp()
        return 0.5 * (error + log_variance).sum(dim=1)

    def generate(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Draw masks, then the error."""
        mean, log_variance = self.heads(observed, generator).chunk(2, dim=1)
        return mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=generator)
