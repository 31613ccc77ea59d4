"""Pairs of parameters and scaled observations, and where losses draw their noise from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sbi_inn.errors import ShapeError
from sbi_inn.methods import TrainingData
from sbi_inn.summary_networks import Batch, Scaling

FloatArray = npt.NDArray[np.float64]

VALIDATION_SEED = 1


@dataclass(frozen=True)
class Pairs:
    """Rows of parameters and observations.

    Attributes
    ----------
    latent : Tensor, shape (rows, dim)
        Parameters on the latent side of the prior.
    observed : Tensor, shape (rows, features)
        Scaled observations.
    generator : torch.Generator or None
        Of the run, in training batches. Rows for validation have none: their loss sees the same
        noise at every call, so that two sets of weights are compared under the same luck.
    """

    latent: Tensor
    observed: Tensor
    generator: torch.Generator | None = None

    def __len__(self) -> int:
        return len(self.latent)

    def __getitem__(self, rows: Tensor) -> Pairs:
        return Pairs(self.latent[rows], self.observed[rows], self.generator)

    def noise(self) -> torch.Generator:
        """Give the generator to draw a loss's noise from."""
        if self.generator is not None:
            return self.generator
        return torch.Generator().manual_seed(VALIDATION_SEED)


def noisy(pairs: Pairs, done: float, generator: torch.Generator) -> Pairs:
    """Hand the generator of the run to a training batch (an `augment` of `training.fit`)."""
    return replace(pairs, generator=generator)


@dataclass(frozen=True)
class Study:
    """Training and validation rows, scaled by the training rows."""

    scaling: Scaling
    train: Pairs
    validation: Pairs

    @classmethod
    def of(cls, data: TrainingData) -> Study:
        """Scale observations and cut the table; ShapeError where they hold sets."""
        observations, train, validation = data.observations, data.train, data.validation
        if observations.sets:
            raise ShapeError(
                "a competitor of the thesis expects observations of fixed shape; got sets of "
                f"varying length: {', '.join(observations.sets)}"
            )
        scaling = Scaling.fit(observations[train])
        rows = torch.from_numpy(data.latents.astype(np.float32))
        observed = Batch.of(observations, scaling).vector
        return cls(
            scaling,
            Pairs(rows[train], observed[train]),
            Pairs(rows[validation], observed[validation]),
        )

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return self.train.latent.shape[1]

    @property
    def features(self) -> int:
        """Width of an observation."""
        return self.train.observed.shape[1]
