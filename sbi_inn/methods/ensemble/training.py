"""The members of an ensemble: each trained by itself, and scored at the validation rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from sbi_inn.errors import NoDensityError
from sbi_inn.methods.protocols import Fitted, Method, TrainingData, takes_integral
from sbi_inn.observation.batch import Observations
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray


@dataclass(frozen=True)
class Member:
    """A trained network, and its log density of the validation rows."""

    fitted: Fitted
    log_density: FloatArray

    @property
    def interrupted(self) -> bool:
        """Whether its training was ended before its time."""
        return self.fitted.history.stopped == "interrupted"


def train(method: Method, data: TrainingData, training: Training, seed: int) -> Member:
    """Train a member; it runs in a process of its own."""
    fitted = method.fit(data, training, seed=seed, progress=False)
    rows = data.validation
    return Member(fitted, _score(fitted, data.latents[rows], data.observations[rows]))


def _score(fitted: Fitted, latent: FloatArray, observations: Observations) -> FloatArray:
    """Log density of each row; where it takes an integral, or there is none, weights are equal."""
    if takes_integral(fitted):
        return np.zeros(len(latent))
    try:
        return fitted.log_prob(latent, observations)
    except NoDensityError:
        return np.zeros(len(latent))


def converged(trained: list[Member]) -> list[Member]:
    """Leave out members whose loss turned non-finite, unless all of them did."""
    kept = [one for one in trained if one.fitted.history.stopped != "diverged"]
    if kept and len(kept) < len(trained):
        warnings.warn(
            f"the loss of {len(trained) - len(kept)} of {len(trained)} networks turned non-finite: "
            "they are left out. A smaller Training(learning_rate=...) may help",
            stacklevel=3,
        )
    return kept or trained
