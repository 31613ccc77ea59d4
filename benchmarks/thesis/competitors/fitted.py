"""What all competitors share: they draw, one draw for a row of observations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from competitors.data import FloatArray, Pairs, Study, noisy
from sbi_inn.errors import NoDensityError
from sbi_inn.methods import TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Batch, Scaling
from sbi_inn.training.history import History
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.settings import Training

# Rows that go through the network at once: few enough for the cache.
ROWS = 8_192


class Generative(nn.Module, ABC):
    """A network that draws parameters given observations."""

    @abstractmethod
    def generate(self, observed: Tensor, generator: torch.Generator) -> Tensor:
        """Draw once for each row of observations, (rows, features) to (rows, dim)."""

    def size(self) -> int:
        """Count the weights."""
        return sum(p.numel() for p in self.parameters())


class Lossy(Generative):
    """One whose training is one loss."""

    @abstractmethod
    def loss(self, pairs: Pairs) -> Tensor:
        """Give the loss of each row, shape (rows,)."""


@dataclass(frozen=True)
class FittedCompetitor:
    """A trained competitor, with the face of `sbi_inn.methods.Fitted` but for the density."""

    settings: Any
    history: History
    scaling: Scaling
    network: Generative

    @property
    def histories(self) -> tuple[History, ...]:
        """That of the only network."""
        return (self.history,)

    @torch.inference_mode()
    def sample(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        observed = Batch.of(observations, self.scaling).vector
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        parts = observed.repeat_interleave(n, dim=0).split(ROWS)
        draws = torch.cat([self.network.generate(part, generator) for part in parts])
        return draws.numpy().astype(np.float64).reshape(len(observed), n, draws.shape[1])

    def log_prob(self, latent: FloatArray, observations: Observations) -> NoReturn:
        """Raise: none of the competitors has a density."""
        raise NoDensityError(
            f"a {self.settings.label} has no density, only draws; expected a method with one, such "
            "as sbi_inn.CINN"
        )

    def to_arrays(self) -> NoReturn:
        """Raise: only methods of the package are stored."""
        raise TypeError(
            f"a {self.settings.label} of the thesis's benchmarks cannot be saved; expected a "
            "method of the package, such as sbi_inn.CINN"
        )

    def describe(self) -> str:
        """Say what it is in half a line."""
        return f"{self.settings.label} of {self.network.size():,} weights"


class Competitor(ABC):
    """Settings of a competitor that `sbi_inn.training.loop.fit` trains by one loss."""

    @abstractmethod
    def resolve(self, dim: int) -> Competitor:
        """Fill in what is None."""

    @abstractmethod
    def network(self, dim: int, features: int) -> Lossy:
        """Build the network of resolved settings for `dim` parameters and `features` observed."""

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedCompetitor:
        """Train on pairs of parameters and observations, as `sbi_inn.methods.CINN.fit`."""
        study = Study.of(data)
        settings = self.resolve(study.dim)
        with seeded(seed):
            network = settings.network(study.dim, study.features)
        history = fit(
            network,
            network.loss,
            study.train,
            study.validation,
            training,
            seed=seed,
            augment=noisy,
            progress=progress,
        )
        return FittedCompetitor(settings, history, study.scaling, network)
