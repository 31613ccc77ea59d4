"""Conditional invertible networks (dissertation, ch. 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch

from sbi_inn.history import History
from sbi_inn.inn import MIXINGS, TRANSFORMS
from sbi_inn.methods.cinn_network import Fading, Network, Pairs, Shape
from sbi_inn.schema import Observations
from sbi_inn.summary import Batch, Scaling, informative
from sbi_inn.training import Training, fit, seeded

FloatArray = npt.NDArray[np.float64]

# Chosen at this many training rows, over the tasks of the public benchmark at once.
ROWS_THEN = 8_000
STEPS, BATCH, LEARNING_RATE, DROPOUT = 1_240, 256, 8e-3, 0.5

# Rows that go through the network at once: enough to keep the cores busy, few enough for the cache.
ROWS = 8_192


@dataclass(frozen=True)
class CINN:
    """A conditional invertible network with its summary network, trained together by eq. 3.8.

    What is None follows from the number of simulations and dimensions.

    Parameters
    ----------
    blocks : int or None
        Number of coupling blocks.
    hidden : int or None
        Width of the hidden layers in the coupling blocks.
    depth : int
        Hidden layers in each of their networks.
    transform : {"affine", "spline", "mixed"}
        What a coupling block does to each number; "mixed" takes turns, affine first.
    mixing : {"permutation", "rotation"}
        What comes between two blocks, fixed at random.
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Pieces of a spline.
    features : int
        Features that the summary network learns of each part of an observation.
    dropout : float or None
        Share of the hidden units of the coupling blocks that is dropped at the start of training;
        it falls evenly, to none from 85 % of it on.
    blur : (float, float)
        Standard deviation of the noise added to scaled observations of fixed shape, at the start of
        training and from 70 % of it on: the second bounds how sharp a posterior can be, in
        units of the observables' spread.
    screening : bool
        Leave out observables of fixed shape that say nothing about the parameters, where they are
        many. Put it off where three or more observables have to be read together.
    pieces : tuple of (int, tuple of float)
        Filled in from the prior: the latents of discrete parameters, and where the pieces that
        their values own meet.
    """

    name: ClassVar[str] = "cinn"
    label: ClassVar[str] = "cINN"

    blocks: int | None = None
    hidden: int | None = None
    depth: int = 3
    transform: Literal["affine", "spline", "mixed"] = "mixed"
    mixing: Literal["permutation", "rotation"] = "permutation"
    clamp: float = 2.0
    bins: int = 8
    features: int = 32
    dropout: float | None = None
    blur: tuple[float, float] = (0.5, 0.002)
    screening: bool = True
    pieces: tuple[tuple[int, tuple[float, ...]], ...] = ()

    def __post_init__(self) -> None:
        for name in ("blocks", "hidden", "depth", "clamp", "bins", "features"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"CINN({name}=...) must be positive; got {value!r}")
        if not self.blur[0] >= self.blur[1] > 0:
            raise ValueError(f"CINN(blur=...) must be positive and fall; got {self.blur!r}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"CINN(dropout=...) must be in [0, 1); got {self.dropout!r}")
        for name, choices in (("transform", TRANSFORMS), ("mixing", MIXINGS)):
            if getattr(self, name) not in choices:
                known, got = ", ".join(map(repr, choices)), getattr(self, name)
                raise ValueError(f"CINN({name}=...) must be one of {known}; got {got!r}")

    def resolve(self, n_train: int, dim: int) -> CINN:
        """Fill in what is None.

        Few rows of many parameters are learned by heart soonest, sharp posteriors of few parameters
        are blunted by dropout.
        """
        hidden = self.hidden or 16 * round(float(np.interp(math.log10(n_train), (4, 5), (4, 8))))
        dropout = self.dropout
        if dropout is None:
            dropout = DROPOUT * (1 - 1 / dim) * min(1.0, math.sqrt(ROWS_THEN / n_train))
        return replace(self, blocks=self.blocks or 4, hidden=hidden, dropout=dropout)

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in what is None of batch size, learning rate and epochs.

        Larger tables take larger batches and more steps; there are fewer passes over them.
        """
        more = n_train / ROWS_THEN
        batch_size = training.batch_size or max(64, round(BATCH * more**0.3 / 64) * 64)
        steps = STEPS * more**0.4
        return replace(
            training,
            batch_size=batch_size,
            learning_rate=training.learning_rate or LEARNING_RATE,
            epochs=training.epochs or max(1, round(steps * batch_size / n_train)),
        )

    def fit(
        self,
        latent: FloatArray,
        observations: Observations,
        train: npt.NDArray[np.int64],
        validation: npt.NDArray[np.int64],
        training: Training,
        *,
        seed: int,
        progress: bool = True,
    ) -> FittedCINN:
        """Train on pairs of parameters and observations.

        Parameters
        ----------
        latent : array, shape (rows, dim)
            Parameters on the latent side of the prior.
        observations : Observations
            As many rows.
        train, validation : array of int
            Which rows to use for what.
        training : Training
        seed : int
            Of the initial weights, the mixing matrices and the order of the rows.
        progress : bool
        """
        seen_rows = observations[train]
        read = informative(latent[train], seen_rows.vector) if self.screening else None
        scaling = Scaling.fit(seen_rows, read)
        settings = self.resolve(len(train), latent.shape[1])
        assert settings.dropout is not None
        rows = torch.from_numpy(latent.astype(np.float32))
        seen, held_out = (
            Pairs(rows[part], Batch.of(observations[part], scaling)) for part in (train, validation)
        )
        shape = Shape.of(seen)
        with seeded(seed):
            network = Network(settings, shape, seed)
        network.start_from(seen, held_out)
        history = fit(
            network,
            network.loss,
            seen,
            held_out,
            self.schedule(training, len(train)),
            seed=seed,
            augment=Fading(network.dropout, settings.dropout, settings.blur),
            score=network.score,
            progress=progress,
        )
        return FittedCINN(settings, history, scaling, network, shape)


@dataclass(frozen=True)
class FittedCINN:
    """A trained conditional invertible network."""

    settings: CINN
    history: History
    scaling: Scaling
    network: Network
    shape: Shape

    @torch.inference_mode()
    def sample(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        batch = Batch.of(observations, self.scaling)
        context = self.network.summary(batch)
        draws = np.empty((len(batch), n, self.shape.dim))
        latent = rng.standard_normal(draws.shape, dtype=np.float32)
        for rows, part in _chunks(len(batch), n):
            z = torch.from_numpy(latent[rows, part].reshape(-1, self.shape.dim))
            here = context[rows]
            if len(here) > 1:
                here = here.repeat_interleave(len(z) // len(here), dim=0)
            x, _ = self.network.flow.inverse(z, here)
            draws[rows, part] = x.numpy().reshape(latent[rows, part].shape)
        return draws

    @torch.inference_mode()
    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them."""
        rows = torch.from_numpy(latent.astype(np.float32))
        context = torch.from_numpy(self.summarise(observations).astype(np.float32))
        if len(context) == 1:
            parts = [self.network.log_prob(part, context) for part in rows.split(ROWS)]
        else:
            each = torch.arange(len(context)).repeat_interleave(len(rows) // len(context))
            pairs = zip(rows.split(ROWS), each.split(ROWS), strict=True)
            parts = [self.network.log_prob(part, context[here]) for part, here in pairs]
        return torch.cat(parts).numpy().astype(np.float64) if parts else np.empty(0)

    @torch.inference_mode()
    def summarise(self, observations: Observations) -> FloatArray:
        """Give the learned summaries of observations, shape (batch, features)."""
        batch = Batch.of(observations, self.scaling)
        parts = [self.network.summary(batch[rows]) for rows in torch.arange(len(batch)).split(ROWS)]
        return torch.cat(parts).numpy().astype(np.float64)

    @torch.inference_mode()
    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents (n, dim) stand for, at one observation."""
        context = self.network.summary(Batch.of(observation, self.scaling))
        x, _ = self.network.flow.inverse(torch.from_numpy(latent.astype(np.float32)), context)
        return x.numpy().astype(np.float64)

    @property
    def latent_dim(self) -> int:
        """How many latents a draw comes from."""
        return self.shape.dim

    def describe(self) -> str:
        """Say what it is in half a line."""
        s = self.settings
        weights = sum(p.numel() for p in self.network.parameters())
        found = f"cINN of {s.blocks} {s.transform} coupling blocks, {weights:,} weights"
        read, given = len(self.scaling.read), self.scaling.vector.shape[1]
        return found if read == given else f"{found}, reading {read} of {given} observables"

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, npt.NDArray[Any]]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        config = {
            "name": CINN.name,
            "settings": asdict(self.settings),
            "history": self.history.to_config(),
            "shape": asdict(self.shape),
        }
        weights = {n: v.numpy() for n, v in self.network.state_dict().items()}
        return config, {"weights": weights, "scaling": self.scaling.to_arrays()}

    @classmethod
    def from_arrays(
        cls, config: dict[str, Any], arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    ) -> FittedCINN:
        """Read back what `to_arrays` gave."""
        stored = config["settings"]
        pieces = tuple((axis, tuple(cuts)) for axis, cuts in stored.get("pieces", ()))
        settings = CINN(**stored | {"blur": tuple(stored["blur"]), "pieces": pieces})
        shape = Shape(**config["shape"])
        with seeded(0):
            network = Network(settings, shape, 0)
        network.load_state_dict({n: torch.from_numpy(v) for n, v in arrays["weights"].items()})
        network.eval()
        scaling = Scaling.from_arrays(arrays["scaling"])
        return cls(settings, History.from_config(config["history"]), scaling, network, shape)


def _chunks(observations: int, n: int) -> list[tuple[slice, slice]]:
    """Cut an (observations, n) table of draws into pieces of at most `ROWS` draws."""
    rows = max(1, ROWS // max(n, 1))
    pieces = math.ceil(n / ROWS)
    return [
        (slice(r, r + rows), slice(p * ROWS, (p + 1) * ROWS))
        for r in range(0, observations, rows)
        for p in range(pieces)
    ]
