"""Conditional invertible networks (dissertation, ch. 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from sbi_inn.errors import LoadError
from sbi_inn.flows import MIXINGS, TRANSFORMS
from sbi_inn.methods.cinn.network import DropoutAndBlur, Network, Pairs, Shape
from sbi_inn.methods.cinn.training import learn
from sbi_inn.methods.protocols import Renew
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import (
    POOLINGS,
    Batch,
    OwnNet,
    Parts,
    Pooling,
    Scaling,
    informative,
    not_pixels,
)
from sbi_inn.training.history import History
from sbi_inn.training.loop import Training, seeded
from sbi_inn.typing import AnyArray, FloatArray, IntArray

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
    pooling : {"mean", "attention"}
        How a set of measurements is summed up: by the mean of what each of them says, or also by
        means in which they choose their weights.
    summary : "auto" or torch.nn.Module
        A summary network of your own, in place of those for vectors, sets, series and images; see
        `fit_posterior`.
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
    pooling: Pooling = "mean"
    summary: Any = "auto"
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
        if not (self.summary == "auto" or isinstance(self.summary, nn.Module)):
            raise ValueError(
                'expected summary="auto" or a torch module, such as summary=MyNet(); got '
                f"{self.summary!r:.80}"
            )
        known_choices = (("transform", TRANSFORMS), ("mixing", MIXINGS), ("pooling", POOLINGS))
        for name, choices in known_choices:
            if getattr(self, name) not in choices:
                known, got = ", ".join(map(repr, choices)), getattr(self, name)
                raise ValueError(f"CINN({name}=...) must be one of {known}; got {got!r}")

    def resolve(self, n_train: int, dim: int, *, sets: bool = False) -> CINN:
        """Fill in what is None.

        Few rows of many parameters are learned by heart soonest, sharp posteriors of few parameters
        are blunted by dropout: with one or two, and with sets of measurements, of which the blocks
        see averages alone, it does more harm than good.
        """
        hidden = self.hidden or 16 * round(float(np.interp(math.log10(n_train), (4, 5), (4, 8))))
        dropout = self.dropout
        if dropout is None:
            share = 1 - 1 / dim if dim > 2 and not sets else 0.0
            dropout = DROPOUT * share * min(1.0, math.sqrt(ROWS_THEN / n_train))
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
        train: IntArray,
        validation: IntArray,
        training: Training,
        *,
        seed: int,
        progress: bool = True,
        renew: Renew | None = None,
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
        renew : callable, optional
            Gives the observations of the training rows with noise drawn anew.

        Raises
        ------
        ShapeError
            If a summary network of the user's own cannot read the observations.
        """
        seen_rows = observations[train]
        own = self.summary != "auto"
        read = None
        if self.screening and not own:
            plain = not_pixels(seen_rows)
            read = plain[informative(latent[train], seen_rows.vector[:, plain])]
        scaling = Scaling.fit(seen_rows, read, scores=not own)
        sets = len(observations.sets) > len(observations.series)
        settings = self.resolve(len(train), latent.shape[1], sets=sets)
        assert settings.dropout is not None
        rows = torch.from_numpy(latent.astype(np.float32))
        seen, held_out = (
            Pairs(rows[part], Batch.of(observations[part], scaling)) for part in (train, validation)
        )
        shape, net = Shape.of(seen, observations, scaling), None
        with seeded(seed):
            if own:
                net = OwnNet.fresh(self.summary, Parts.of(observations), seen.batch)
                shape = replace(shape, own=net.parts, features=net.features)
            network = Network(settings, shape, seed, net)
        network.start_from(seen, held_out)
        history = learn(
            network,
            seen,
            held_out,
            self.schedule(training, len(train)),
            seed=seed,
            augment=DropoutAndBlur(network.dropout, settings.dropout, settings.blur),
            renew=None if renew is None else lambda rng: seen.seen_as(renew(rng), scaling),
            features_first=bool(scaling.grids),
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
        if self.shape.own is not None:
            return f"{found}, those of {type(s.summary).__name__} among them"
        pixels = sum(math.prod(grid.shape) for grid in self.scaling.grids.values())
        read, given = len(self.scaling.read), self.scaling.vector.shape[1] - pixels
        return found if read == given else f"{found}, reading {read} of {given} observables"

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, AnyArray]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        config = {
            "name": CINN.name,
            "settings": _stored(self.settings),
            "history": self.history.to_config(),
            "shape": asdict(self.shape),
        }
        weights = {n: v.numpy() for n, v in self.network.state_dict().items()}
        return config, {"weights": weights, "scaling": self.scaling.to_arrays()}

    @classmethod
    def from_arrays(
        cls,
        config: dict[str, Any],
        arrays: Mapping[str, Mapping[str, AnyArray]],
        summary: nn.Module | None = None,
    ) -> FittedCINN:
        """Read back what `to_arrays` gave, with the summary network if it was the user's own.

        Raises
        ------
        LoadError
            If that network is missing, or another one.
        """
        stored, shape = config["settings"], Shape.from_config(config["shape"])
        weights = {n: torch.from_numpy(v) for n, v in arrays["weights"].items()}
        own = _given_again(summary, shape, stored["summary"], weights)
        pieces = tuple((axis, tuple(cuts)) for axis, cuts in stored["pieces"])
        known = {"blur": tuple(stored["blur"]), "pieces": pieces, "summary": summary or "auto"}
        settings = CINN(**stored | known)
        with seeded(0):
            network = Network(settings, shape, 0, own)
        network.load_state_dict(weights)
        network.eval()
        scaling = Scaling.from_arrays(arrays["scaling"])
        return cls(settings, History.from_config(config["history"]), scaling, network, shape)


OWN = "summary.module."  # of the names of weights, where the summary network is the user's own


def _stored(settings: CINN) -> dict[str, Any]:
    """Give settings as JSON would hold them; of a user's own network, its name."""
    found = {f.name: getattr(settings, f.name) for f in fields(settings)}
    summary = settings.summary
    return found | {"summary": "auto" if summary == "auto" else type(summary).__name__}


def _given_again(
    summary: nn.Module | None, shape: Shape, saved: str, weights: Mapping[str, torch.Tensor]
) -> OwnNet | None:
    """Give a user's own network its weights, in a copy; None where there is none."""
    if shape.own is None:
        if summary is not None:
            raise LoadError(
                f"expected no summary network, as the file holds one of ours; got {summary!r:.80}"
            )
        return None
    if not isinstance(summary, nn.Module):
        raise LoadError(
            f"the summary network {saved} is code, which no file holds: expected it again, "
            f"load_posterior(path, summary={saved}(...)); got {summary!r:.80}"
        )
    module = deepcopy(summary)
    try:
        module.load_state_dict({n[len(OWN) :]: w for n, w in weights.items() if n.startswith(OWN)})
    except RuntimeError as error:
        raise LoadError(
            f"expected the summary network that was saved, {saved}; got {type(summary).__name__}, "
            f"whose weights differ: {error}"
        ) from error
    return OwnNet(module, shape.own, shape.features)


def _chunks(observations: int, n: int) -> list[tuple[slice, slice]]:
    """Cut an (observations, n) table of draws into pieces of at most `ROWS` draws."""
    rows = max(1, ROWS // max(n, 1))
    pieces = math.ceil(n / ROWS)
    return [
        (slice(r, r + rows), slice(p * ROWS, (p + 1) * ROWS))
        for r in range(0, observations, rows)
        for p in range(pieces)
    ]
