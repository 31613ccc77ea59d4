"""Conditional generative adversarial networks (dissertation, secs. 4.2.1, B.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from competitors.adversarial import train_adversarially
from competitors.data import Pairs, Study
from competitors.fitted import FittedCompetitor, Generative
from competitors.layers import Dense
from competitors.mmd import paired_mmd
from sbi_inn.methods import TrainingData
from sbi_inn.training.loop import seeded
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_fields

# Kernel widths of the MMD that validates a generator.
WIDTHS = (0.2, 0.5, 1.2)


@dataclass(frozen=True)
class CGAN:
    """A conditional generative adversarial network (Mirza and Osindero 2014).

    The larger one of the thesis is `CGAN.larger()`; its small one had no penalty. A GAN has no
    validation loss that tells which weights were best: the last are kept. In the history stands the
    MMD between true and generated pairs of validation rows; choosing by it kept early, blurred
    generators (robot arm, a minute of training: mean re-simulation error .069 in place of .032).

    Parameters
    ----------
    noise : int or None
        Dimensions of z; by default as many as parameters.
    hidden : int
        Width of the hidden layers of generator and discriminator.
    layers, discriminator_layers : int
        Fully connected layers of each (thesis: 6 and 8).
    pretraining : int
        Steps in which the generator first learns by the squared error |g(z, y) - x|^2.
    variance_penalty : float
        Weight of the squared difference between the variances of generated and of true
        parameters, summed over parameters.
    dropout : float, in [0, 1)
        In the generator, in training and in drawing.
    """

    name: ClassVar[str] = "cgan"
    label: ClassVar[str] = "cGAN"

    noise: int | None = None
    hidden: int = 220
    layers: int = 6
    discriminator_layers: int = 8
    pretraining: int = 100
    variance_penalty: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, positive=("noise", "hidden", "layers", "discriminator_layers"))
        if self.pretraining < 0 or self.variance_penalty < 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "CGAN(...): expected pretraining >= 0, variance_penalty >= 0 and dropout in "
                f"[0, 1); got {self.pretraining!r}, {self.variance_penalty!r} and {self.dropout!r}"
            )

    @classmethod
    def larger(cls) -> CGAN:
        """Give the larger cGAN of the thesis (2 million weights with the discriminator)."""
        return cls(
            noise=128,
            hidden=1024,
            layers=3,
            discriminator_layers=3,
            pretraining=0,
            variance_penalty=1.0,
            dropout=0.25,
        )

    def resolve(self, dim: int) -> CGAN:
        """Fill in what is None."""
        return replace(self, noise=self.noise or dim)

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedCompetitor:
        """Train on pairs of parameters and observations, as `sbi_inn.methods.CINN.fit`."""
        study = Study.of(data)
        settings = self.resolve(study.dim)
        with seeded(seed):
            players = _Players(settings, study.dim, study.features)
        history = train_adversarially(
            players,
            study.train,
            study.validation,
            training,
            pretraining=settings.pretraining,
            seed=seed,
            progress=progress,
        )
        return FittedCompetitor(settings, history, study.scaling, players.generator)


class _Generator(Generative):
    """What draws."""

    def __init__(self, settings: CGAN, dim: int, features: int) -> None:
        super().__init__()
        assert settings.noise is not None
        self.noise = settings.noise
        self.net = Dense(
            self.noise + features,
            dim,
            hidden=settings.hidden,
            layers=settings.layers,
            activation=F.leaky_relu,
            dropout=settings.dropout,
        )

    def generate(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Map z ~ N(0, I) and observations to parameters."""
        z = torch.randn(len(observed), self.noise, generator=generator)
        return self.net(torch.cat([z, observed], dim=1), generator)


class _Players(nn.Module):
    """Generator and discriminator, and what each wants (Goodfellow et al. 2014)."""

    def __init__(self, settings: CGAN, dim: int, features: int) -> None:
        super().__init__()
        self.variance_penalty = settings.variance_penalty
        self.generator = _Generator(settings, dim, features)
        self.discriminator = Dense(
            dim + features,
            1,
            hidden=settings.hidden,
            layers=settings.discriminator_layers,
            activation=F.leaky_relu,
        )

    def regression_loss(self, pairs: Pairs) -> Tensor:
        """Give the squared error of the pre-training, shape (rows,)."""
        return (self._draw(pairs) - pairs.latent).square().sum(dim=1)

    def discriminator_loss(self, pairs: Pairs) -> Tensor:
        """Give the discriminator's cross-entropy, shape (rows,)."""
        with torch.no_grad():
            drawn = self._draw(pairs)
        return F.softplus(-self._judge(pairs.latent, pairs)) + F.softplus(self._judge(drawn, pairs))

    def generator_loss(self, pairs: Pairs) -> Tensor:
        """Give the non-saturating loss and the penalty of the variances, shape (rows,)."""
        drawn = self._draw(pairs)
        penalty = (drawn.var(dim=0) - pairs.latent.var(dim=0)).square().sum()
        return F.softplus(-self._judge(drawn, pairs)) + self.variance_penalty * penalty

    def score(self, pairs: Pairs) -> Tensor:
        """Give the squared MMD between true and generated pairs, each row's share, (rows,)."""
        truth = torch.cat([pairs.latent, pairs.observed], dim=1)
        drawn = torch.cat([self._draw(pairs), pairs.observed], dim=1)
        return paired_mmd(truth, drawn, WIDTHS)

    def _draw(self, pairs: Pairs) -> Tensor:
        return self.generator.generate(pairs.observed, pairs.noise())

    def _judge(self, latent: Tensor, pairs: Pairs) -> Tensor:
        return self.discriminator(torch.cat([latent, pairs.observed], dim=1)).squeeze(1)
