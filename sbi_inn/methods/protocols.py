"""The face that every trained method shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sbi_inn.methods.row_generators import Random
from sbi_inn.observation.batch import Observations
from sbi_inn.training.history import History
from sbi_inn.training.loop import Training
from sbi_inn.typing import AnyArray, FloatArray, IntArray

Renew = Callable[[np.random.Generator], Observations]


class Fitted(Protocol):
    """A trained posterior on the latent side of the prior, where the prior is N(0, I)."""

    @property
    def settings(self) -> Any:
        """Settings of the method, nothing left open."""
        ...

    @property
    def history(self) -> History:
        """What happened in training."""
        ...

    def sample(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        ...

    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them.

        As many observations as rows, one for all, or one for every k that follow each other.

        Raises
        ------
        NoDensityError
            If the method can be drawn from only.
        """
        ...

    def describe(self) -> str:
        """Say what it is in half a line."""
        ...

    def to_arrays(self) -> tuple[dict[str, Any], Mapping[str, Mapping[str, AnyArray]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        ...


@runtime_checkable
class Emulator(Protocol):
    """A trained method that also predicts the observables."""

    @property
    def residual(self) -> FloatArray:
        """Root-mean-square error of each observable on validation rows, in its spread."""
        ...

    @property
    def remark(self) -> str:
        """How closely draws keep to the observation."""
        ...

    def at_tolerance(self, tolerance: float | None) -> Fitted:
        """Give the same network with another standard deviation of the observation."""
        ...

    def emulate(self, latent: FloatArray, givens: FloatArray) -> FloatArray:
        """Predict observables (n, observables) from parameters (n, dim) and givens (n, givens)."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """A trained method whose draws come from a standard normal latent."""

    @property
    def latent_dim(self) -> int:
        """How many latents a draw comes from."""
        ...

    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents (n, latent_dim) stand for."""
        ...


@runtime_checkable
class RowWise(Protocol):
    """A trained method whose `sample` takes a RowGenerators as well as a numpy Generator.

    What is drawn for an observation then depends on its own random numbers alone. Any other method
    is asked for one observation at a time.
    """

    @property
    def row_wise(self) -> bool:
        """Whether it does."""
        ...

    def sample(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        ...


@runtime_checkable
class Mixture(Protocol):
    """A trained method that mixes several."""

    @property
    def others(self) -> tuple[Fitted, ...]:
        """All members but the one of largest weight, whose history is that of the mixture."""
        ...


@runtime_checkable
class Summariser(Protocol):
    """A trained method that sums up observations in features it has learned."""

    def summarise(self, observations: Observations) -> FloatArray:
        """Give the features of observations, shape (batch, features)."""
        ...


@runtime_checkable
class Weigher(Protocol):
    """A trained method whose draws or densities take much more than one look at the network."""

    @property
    def evaluations(self) -> int:
        """Evaluations of the network that one draw takes."""
        ...

    def log_weight(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density as `log_prob`, up to a constant of each observation."""
        ...


class Method(Protocol):
    """Settings of a method: what `fit_posterior(..., method=...)` takes."""

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in what is None of how to train on so many rows, where the method knows better."""
        ...

    def fit(
        self,
        latent: FloatArray,
        observations: Observations,
        train: IntArray,
        validation: IntArray,
        training: Training,
        *,
        seed: int,
        progress: bool = True,
        renew: Renew | None = None,
    ) -> Fitted:
        """Train on rows of parameters (rows, dim) and as many observations.

        `renew` gives the observations of the training rows with noise drawn anew; without noise
        there is none, and it is not passed.

        Raises
        ------
        ShapeError
            If the method does not take such observations.
        """
        ...
