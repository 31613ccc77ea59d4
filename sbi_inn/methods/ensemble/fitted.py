"""A trained ensemble: draws and densities of a mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp

from sbi_inn.methods.ensemble.sides import Sides
from sbi_inn.methods.protocols import (
    Cuts,
    Cutter,
    Decoder,
    Emulator,
    Fitted,
    Groups,
    RowWise,
    Summariser,
    Trainable,
    TrainingData,
    Weigher,
    moved,
)
from sbi_inn.methods.row_generators import Random, RowGenerators
from sbi_inn.observation.batch import Observations
from sbi_inn.training.history import History
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray, IntArray


@dataclass(frozen=True)
class FittedEnsemble:
    """Trained networks and their weights in the mixture.

    Attributes
    ----------
    settings : Ensemble
        Its method, with nothing left open.
    members : tuple of Fitted
        Each with its own `history`.
    weights : array, shape (members,)
        Their shares of all draws: the same at every observation, unless there are `sides`.
    history : History
        Of the member of largest weight, but for `seconds`, which all of them took, and
        "interrupted", if any was.
    trained : int
        How many networks were trained: of these, some may have no weight, and are no members.
    sides : Sides or None
        Which members are asked where posteriors are narrow, and which where they are wide.
    """

    settings: Any
    members: tuple[Any, ...]
    weights: FloatArray
    history: History
    trained: int
    sides: Sides | None = None

    def weights_at(self, observations: Observations) -> FloatArray:
        """Give the weights of the members at each observation, shape (observations, members)."""
        if self.sides is None:
            return np.broadcast_to(self.weights, (len(observations), len(self.weights)))
        return self.sides.at(self.members, observations)

    @property
    def best(self) -> Any:
        """The member of largest weight."""
        return self.members[int(self.weights.argmax())]

    def best_at(self, observation: Observations) -> Any:
        """Give the member of largest weight at one observation."""
        return self.members[int(self.weights_at(observation)[0].argmax())]

    @property
    def histories(self) -> tuple[History, ...]:
        """Its own, and those of all members but the one of largest weight."""
        others = (member.history for member in self.members if member is not self.best)
        return (self.history, *others)

    @property
    def cuts(self) -> Cuts:
        """The latents of discrete parameters, and where the pieces of their values meet."""
        return self.best.cuts if isinstance(self.best, Cutter) else ()

    def sample(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim).

        Each member gives its share of them, rounded up or down by chance so that it is right on
        average. They come in random order: the first few are a fair sample too.
        """
        rows = len(observations)
        counts = _counts(self.weights_at(observations), n, rng.random((rows,)))
        places = np.broadcast_to(np.arange(len(self.members), dtype=np.int16), counts.shape)
        labels = np.repeat(places.ravel(), counts.ravel()).reshape(rows, n)
        rng.permuted(labels, axis=1, out=labels)
        draws: FloatArray | None = None
        for place in np.flatnonzero(counts.any(axis=0)).tolist() or [0]:
            for asked, most in _together(counts[:, place], rng):
                own = rng.child(place)[asked] if isinstance(rng, RowGenerators) else rng
                found = self.members[place].sample(observations[asked], most, own)
                if draws is None:
                    draws = np.empty((rows, n, found.shape[2]))
                here = np.zeros_like(labels, bool)
                here[asked] = labels[asked] == place
                draws[here] = found[np.arange(most) < counts[asked, place, None]]
        assert draws is not None
        return draws

    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them.

        Raises
        ------
        NoDensityError
            If the method can be drawn from only.
        """
        weights, dim = self.weights_at(observations), latent.shape[1]
        each = len(latent) // max(len(weights), 1)
        rows = latent.reshape(len(weights), each, dim)
        found = np.full((len(self.members), *rows.shape[:2]), -np.inf)
        for place, member in enumerate(self.members):
            asked = np.flatnonzero(weights[:, place])
            if len(asked):
                density = member.log_prob(rows[asked].reshape(-1, dim), observations[asked])
                found[place, asked] = density.reshape(len(asked), each)
        return logsumexp(found, axis=0, b=weights.T[:, :, None]).ravel()

    def train_more(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedEnsemble:
        """Go on with all members, and weigh them anew.

        Raises
        ------
        TypeError
            If they cannot be trained on.
        """
        if not all(isinstance(member, Trainable) for member in self.members):
            raise TypeError(f"the training of {self.settings.label} cannot be continued")
        return self.settings.more(self.members, data, training, seed=seed, progress=progress)

    def to(self, device: torch.device) -> FittedEnsemble:
        """Give the same on a device."""
        return replace(self, members=tuple(moved(member, device) for member in self.members))

    def describe(self) -> str:
        """Say what it is in half a line, and how many networks were trained for it."""
        kept = len(self.members)
        count = f"{kept} of {self.trained} networks" if kept < self.trained else f"{kept}"
        if self.sides is not None:
            count += ", one kind where posteriors are narrow and another where they are wide"
        return f"ensemble of {count}: {self.best.describe()}"

    def to_arrays(self) -> tuple[dict[str, Any], Groups]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        written = [member.to_arrays() for member in self.members]
        config = {
            "name": self.settings.name,
            "asked": self.settings.members,
            "trained": self.trained,
            "seconds": self.history.seconds,
            "interrupted": self.history.stopped == "interrupted",
            "members": [one for one, _ in written],
        }
        groups = {
            f"member{place}-{group}": dict(named)
            for place, (_, arrays) in enumerate(written)
            for group, named in arrays.items()
        }
        sides = {} if self.sides is None else self.sides.to_arrays()
        return config, {"mixture": {"weights": self.weights} | sides, **groups}


@dataclass(frozen=True)
class DecoderEnsemble(FittedEnsemble):
    """An ensemble of networks that decode a latent."""

    @property
    def row_wise(self) -> bool:
        """Whether `sample` takes a RowGenerators: if all members do."""
        return all(isinstance(one, RowWise) and one.row_wise for one in self.members)

    @property
    def latent_dim(self) -> int:
        """How many latents a draw comes from."""
        return self.best.latent_dim

    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents stand for, in the member of most weight here.

        A mixture has no smooth map from one latent to its draws.
        """
        return self.best_at(observation).decode(observation, latent)


@dataclass(frozen=True)
class FlowEnsemble(DecoderEnsemble):
    """An ensemble of networks that also sum up the observation, as cINNs do."""

    def encode(
        self, observation: Observations, parameters: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Find latents and log-determinants of parameters (n, dim), as `decode` has them."""
        return self.best_at(observation).encode(observation, parameters)

    def summarise(self, observations: Observations) -> FloatArray:
        """Give the learned summaries of all members side by side, shape (batch, features)."""
        return np.hstack([member.summarise(observations) for member in self.members])


@dataclass(frozen=True)
class EmulatorEnsemble(DecoderEnsemble):
    """An ensemble of networks that were learned forwards, as INNs are.

    Draws and densities are those of the mixture; what is predicted or decoded is by the member of
    largest weight, whose errors are known.
    """

    @property
    def residual(self) -> FloatArray:
        """Root-mean-square error of each observable on validation rows, in its spread."""
        return self.best.residual

    @property
    def remark(self) -> str:
        """How closely draws keep to the observation."""
        return self.best.remark

    def at_tolerance(self, tolerance: float | None) -> EmulatorEnsemble:
        """Give the same networks with another standard deviation of the observation."""
        members = tuple(member.at_tolerance(tolerance) for member in self.members)
        settings = replace(self.settings, method=members[0].settings)
        return replace(self, settings=settings, members=members)

    def emulate(self, latent: FloatArray, givens: FloatArray) -> FloatArray:
        """Predict observables (n, observables) from parameters (n, dim) and givens (n, givens)."""
        return self.best.emulate(latent, givens)

    @property
    def evaluations(self) -> int:
        """Evaluations of a network that one draw takes."""
        return self.best.evaluations

    def log_weight(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density as `log_prob`: a mixture needs its members' integrals."""
        return self.log_prob(latent, observations)


def mixture(
    settings: Any,
    members: tuple[Fitted, ...],
    weights: FloatArray,
    *,
    seconds: float,
    interrupted: bool,
    trained: int,
    sides: Sides | None = None,
) -> FittedEnsemble:
    """Mix trained networks; the mixture can do what all of them can."""

    def can(*faces: type) -> bool:
        return all(isinstance(member, face) for member in members for face in faces)

    if can(Decoder, Emulator, Weigher):
        kind = EmulatorEnsemble
    else:
        kind = FlowEnsemble if can(Decoder, Summariser) else FittedEnsemble
    history = replace(members[int(weights.argmax())].history, seconds=seconds)
    if interrupted:
        history = replace(history, stopped="interrupted")
    return kind(settings, members, weights, history, trained, sides)


def _together(counts: IntArray, rng: Random) -> list[tuple[IntArray, int]]:
    """Group the observations that a member is asked for together, and say for how many draws.

    By how many each needs, where each has random numbers of its own: what is drawn for one may
    depend on how many are drawn for it, but not on what others need.
    """
    asked = np.flatnonzero(counts)
    if not len(asked) or not isinstance(rng, RowGenerators):
        return [(asked, int(counts.max(initial=0)))]
    return [(np.flatnonzero(counts == many), int(many)) for many in np.unique(counts[asked])]


def _counts(weights: FloatArray, n: int, chance: FloatArray) -> IntArray:
    """Cut n draws into the members' shares, shape (len(chance), members), of sum n.

    Systematic: each share is right on average, and less than one draw from it.

    >>> _counts(np.array([0.5, 0.5]), 5, np.array([0.2, 0.8]))
    array([[2, 3],
           [3, 2]])
    """
    edges = np.cumsum(weights, axis=-1)[..., :-1] * n
    inner = np.floor(edges + chance[:, None]).clip(0, n)
    ends = np.pad(inner, ((0, 0), (1, 1)))
    ends[:, -1] = n
    return np.diff(ends, axis=1).astype(np.int64)
