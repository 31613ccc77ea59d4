"""A generator trained by an MMD loss in place of a discriminator (secs. 4.2.1, B.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from competitors.data import Pairs
from competitors.fitted import Competitor, Lossy
from competitors.layers import Dense
from competitors.mmd import paired_mmd
from sbi_inn.training.stated import check_fields


@dataclass(frozen=True)
class MMDGenerator(Competitor):
    """A generator x = g(z, y) whose pairs (x, y) match those of the training rows.

    Parameters
    ----------
    noise : int or None
        Dimensions of z; by default as many as parameters.
    widths : tuple of float
        Of the inverse multiquadratic kernels (thesis: .5), where parameters and scaled
        observations have unit spread.
    hidden : int
        Width of the hidden layers.
    layers : int
        Fully connected layers (thesis: 8).
    """

    name: ClassVar[str] = "mmd_generator"
    label: ClassVar[str] = "generator with MMD"

    noise: int | None = None
    widths: tuple[float, ...] = (0.2, 0.5, 1.2)
    hidden: int = 180
    layers: int = 8

    def __post_init__(self) -> None:
        check_fields(self, positive=("noise", "hidden", "layers"))
        if not (self.widths and min(self.widths) > 0):
            raise ValueError(
                f"MMDGenerator(widths=...) must be positive numbers; got {self.widths!r}"
            )

    def resolve(self, dim: int) -> MMDGenerator:
        """Fill in what is None."""
        return replace(self, noise=self.noise or dim)

    def network(self, dim: int, features: int) -> _Network:
        """Build the network of resolved settings for `dim` parameters and `features` observed."""
        return _Network(self, dim, features)


class _Network(Lossy):
    """The generator."""

    def __init__(self, settings: MMDGenerator, dim: int, features: int) -> None:
        super().__init__()
        assert settings.noise is not None
        self.noise, self.widths = settings.noise, settings.widths
        self.generator = Dense(
            self.noise + features,
            dim,
            hidden=settings.hidden,
            layers=settings.layers,
            activation=F.leaky_relu,
        )

    def loss(self, pairs: Pairs) -> Tensor:
        """Give the squared MMD between true and generated pairs, each row's share, (rows,)."""
        drawn = self.generate(pairs.observed, pairs.noise())
        truth = torch.cat([pairs.latent, pairs.observed], dim=1)
        return paired_mmd(truth, torch.cat([drawn, pairs.observed], dim=1), self.widths)

    def generate(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Map z ~ N(0, I) and observations to parameters."""
        z = torch.randn(len(observed), self.noise, generator=generator)
        return self.generator(torch.cat([z, observed], dim=1))
