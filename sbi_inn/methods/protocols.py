"""The interface of a method: its training data, what it declares, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from sbi_inn.methods.row_generators import Random
from sbi_inn.methods.streaming import Streamed
from sbi_inn.observation.batch import Observations
from sbi_inn.prior import FieldPlace
from sbi_inn.training.history import History
from sbi_inn.training.settings import Training
from sbi_inn.typing import AnyArray, FloatArray, IntArray

Renew = Callable[[np.random.Generator], Observations]
Fresh = Callable[[np.random.Generator], tuple[FloatArray, Observations]]
Cuts = tuple[tuple[int, tuple[float, ...]], ...]
Groups = Mapping[str, Mapping[str, AnyArray]]


@dataclass(frozen=True)
class TrainingData:
    """What a method is trained on.

    Attributes
    ----------
    latents : array, shape (rows, dim)
        Parameters on the latent side of the prior, where the prior is N(0, I).
    observations : Observations
        As many rows.
    train, validation : array of int
        Which rows to use for what.
    cuts : tuple of (int, tuple of float)
        The latents of discrete parameters, and where the pieces that their values own meet.
    fields : tuple of FieldPlace
        Profiles and maps among the parameters, and which latents are theirs.
    renew : callable or None
        Gives the observations of the training rows with noise drawn anew, from a generator; None
        where there is no noise.
    fresh : callable or None
        Gives rows to train on that were never seen before, latents and observations, from a
        generator: as many as `train`, or fewer where simulations fail. None where what there is
        has been simulated.
    stream : Streamed or None
        All training rows, where the table is on disk; `train` is then a sample of them. Only for
        methods that declare `takes_stream`.
    in_folds : bool
        Whether other networks like this one validate on other rows, as they do in a region.
    """

    latents: FloatArray
    observations: Observations
    train: IntArray
    validation: IntArray
    cuts: Cuts = ()
    renew: Renew | None = None
    fields: tuple[FieldPlace, ...] = ()
    fresh: Fresh | None = None
    stream: Streamed | None = None
    in_folds: bool = False

    @property
    def rows(self) -> int:
        """To train on."""
        return len(self.train) if self.stream is None else len(self.stream)

    @property
    def dim(self) -> int:
        """Of the latents."""
        return self.latents.shape[1]


class Fitted(Protocol):
    """A trained posterior on the latent side of the prior, where the prior is N(0, I)."""

    @property
    def settings(self) -> Any:
        """The method, nothing left open: it can be trained again, and has a `label`."""
        ...

    @property
    def history(self) -> History:
        """What happened in training."""
        ...

    @property
    def histories(self) -> tuple[History, ...]:
        """That of every network; the first is of the one whose `history` is given."""
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

    def to_arrays(self) -> tuple[dict[str, Any], Groups]:
        """Give settings as JSON would hold them, `name` among them, and arrays in named groups.

        Only files need it; the method's `read` reads it back.
        """
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
class Encoder(Protocol):
    """A Decoder that can be inverted: each draw comes from one latent."""

    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents (n, dim) stand for."""
        ...

    def encode(
        self, observation: Observations, parameters: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Find the latents (n, dim) of parameters (n, dim), and the log-determinants (n,)."""
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


@runtime_checkable
class Cutter(Protocol):
    """A trained method that gives each value of a discrete parameter its probability."""

    @property
    def cuts(self) -> Cuts:
        """As `TrainingData.cuts`: the ratio to N(0, I) is the same all over each piece."""
        ...


@runtime_checkable
class Placeable(Protocol):
    """A trained method that can draw and evaluate on a device such as a GPU."""

    def to(self, device: torch.device) -> Fitted:
        """Give the same there; itself stays where it is."""
        ...


@runtime_checkable
class Trainable(Protocol):
    """A trained method that can be trained on."""

    def train_more(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> Fitted:
        """Go on from where it is, and give the result; it stays as it is itself."""
        ...


@dataclass(frozen=True)
class Further:
    """More training of what is trained, with the face of a method.

    Attributes
    ----------
    fitted : Trainable
    """

    fitted: Any

    @property
    def label(self) -> str:
        """That of the method."""
        return self.fitted.settings.label

    @property
    def takes_stream(self) -> bool:
        """Whether the method does."""
        return declared(self.fitted.settings, "takes_stream")

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> Fitted:
        """Go on, as `Method.fit`."""
        return self.fitted.train_more(data, training, seed=seed, progress=progress)


class Method(Protocol):
    """Settings of a method: what `fit_posterior(..., method=...)` takes.

    Only `label` and `fit` are needed; what else is left out is `declared` to be as in `OPTIONAL`.
    What is to be read back from files has two more members: `name`, by which a file knows it, and
    `read(config, arrays)`, which gives a Fitted from what `Fitted.to_arrays` gave.
    """

    @property
    def label(self) -> str:
        """What it is called in figures and tables."""
        ...

    @property
    def uses_prior(self) -> bool:
        """Whether it needs the density of the prior."""
        ...

    @property
    def default_members(self) -> int:
        """How many networks of its kind to train, unless that is said."""
        ...

    @property
    def takes_summary(self) -> bool:
        """Whether it has a field `summary`, a summary network of the user's own."""
        ...

    @property
    def takes_fresh(self) -> bool:
        """Whether it can be trained on fresh simulations in every pass, `TrainingData.fresh`."""
        ...

    @property
    def takes_stream(self) -> bool:
        """Whether it reads its training rows from `TrainingData.stream`."""
        ...

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in what is None of how to train on so many rows, where the method knows better."""
        ...

    def member(self, place: int) -> Method:
        """Give the settings of the network at a place among several."""
        ...

    def prepare(self, training: Training, n_train: int) -> None:
        """Make ready for such a training, while something else is simulated."""
        ...

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> Fitted:
        """Train.

        Parameters
        ----------
        data : TrainingData
        training : Training
        seed : int
            Of everything random.
        progress : bool
            Show a progress bar.

        Raises
        ------
        ShapeError
            If the method does not take such observations.
        """
        ...


def _as_stated(training: Training, n_train: int) -> Training:
    return training


def _never(data: TrainingData) -> bool:
    return False


def _nothing(training: Training, n_train: int) -> None:
    pass


# What a method may leave out, and what then holds.
OPTIONAL: Mapping[str, Any] = {
    "uses_prior": False,
    "default_members": 1,
    "takes_summary": False,
    "takes_fresh": False,
    "takes_stream": False,
    "schedule": _as_stated,
    "member": None,
    "late": _never,  # whether it is trained after others of its ensemble, of such data
    "dear": False,  # whether its training takes longer than that of others
    "tries": False,  # whether it tries something that late ones may do, too
    "advised": None,  # gives a late one's settings, by what the others have learned
    "prepare": _nothing,
}


def declared(method: Any, name: str) -> Any:
    """Give what a method declares, or what holds where it declares nothing."""
    return getattr(method, name, OPTIONAL[name])


def moved(fitted: Fitted, device: torch.device) -> Fitted:
    """Give what is trained on a device.

    Raises
    ------
    TypeError
        If it cannot go there.
    """
    if isinstance(fitted, Placeable):
        return fitted.to(device)
    if device.type == "cpu":
        return fitted
    raise TypeError(
        f"{type(fitted).__name__} stays on the processor: to go to a device, it needs to(device)"
    )


def takes_integral(fitted: Fitted) -> bool:
    """Say whether each density takes an integral of its own."""
    return isinstance(fitted, Weigher) and fitted.evaluations > 1
