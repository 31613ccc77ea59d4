"""Conditional invertible networks (dissertation, ch. 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sbi_inn.inn import MLP, TRANSFORMS, Normal, coupling_flow
from sbi_inn.methods.blur import blurred
from sbi_inn.schema import Observations
from sbi_inn.summary import Batch, Fusion, Scaling
from sbi_inn.training import History, Training, fit, seeded

FloatArray = npt.NDArray[np.float64]

# Share of the prior that is mixed in when validation rows are scored.
PRIOR_SHARE = 1e-3

# Width of the hidden layers in the summary network.
SUMMARY_HIDDEN = 64

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
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Pieces of a spline.
    features : int
        Features that the summary network learns of each part of an observation.
    blur : (float, float)
        Standard deviation of the noise added to scaled observations of fixed shape, at the start of
        training and from 70 % of it on: the second bounds how sharp a posterior can be, in
        units of the observables' spread.
    """

    name: ClassVar[str] = "cinn"
    label: ClassVar[str] = "cINN"

    blocks: int | None = None
    hidden: int | None = None
    depth: int = 2
    transform: Literal["affine", "spline", "mixed"] = "affine"
    clamp: float = 2.0
    bins: int = 8
    features: int = 32
    blur: tuple[float, float] = (0.5, 0.002)

    def __post_init__(self) -> None:
        for name in ("blocks", "hidden", "depth", "clamp", "bins", "features"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"CINN({name}=...) must be positive; got {value!r}")
        if not self.blur[0] >= self.blur[1] > 0:
            raise ValueError(f"CINN(blur=...) must be positive and fall; got {self.blur!r}")
        if self.transform not in TRANSFORMS:
            known = ", ".join(map(repr, TRANSFORMS))
            raise ValueError(f"CINN(transform=...) must be one of {known}; got {self.transform!r}")

    def resolve(self, n_train: int, dim: int) -> CINN:
        """Fill in what is None."""
        hidden = self.hidden or (128 if n_train > 5_000 else 64)
        return replace(self, blocks=self.blocks or 8, hidden=hidden)

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
        scaling = Scaling.fit(observations[train])
        settings = self.resolve(len(train), latent.shape[1])
        shape = _Shape.of(latent, observations)
        with seeded(seed):
            network = _Network(settings, shape)
        rows = torch.from_numpy(latent.astype(np.float32))
        history = fit(
            network,
            network.loss,
            _Pairs(rows[train], Batch.of(observations[train], scaling)),
            _Pairs(rows[validation], Batch.of(observations[validation], scaling)),
            training,
            seed=seed,
            augment=_Blur(settings.blur),
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
    network: _Network
    shape: _Shape

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
        return f"cINN of {s.blocks} {s.transform} coupling blocks, {weights:,} weights"

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, npt.NDArray[Any]]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        config = {
            "name": CINN.name,
            "settings": asdict(self.settings),
            "history": self.history.to_config(),
            "shape": asdict(self.shape),
        }
        weights = {n: v.numpy() for n, v in self.network.state_dict().items()}
        scaling = {f"set:{n}": v for n, v in self.scaling.sets.items()}
        return config, {"weights": weights, "scaling": {"vector": self.scaling.vector} | scaling}

    @classmethod
    def from_arrays(
        cls, config: dict[str, Any], arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    ) -> FittedCINN:
        """Read back what `to_arrays` gave."""
        stored = config["settings"]
        settings = CINN(**stored | {"blur": tuple(stored["blur"])})
        shape = _Shape(**config["shape"])
        with seeded(0):
            network = _Network(settings, shape)
        network.load_state_dict({n: torch.from_numpy(v) for n, v in arrays["weights"].items()})
        network.eval()
        stored = arrays["scaling"]
        sets = {n.removeprefix("set:"): v for n, v in stored.items() if n != "vector"}
        scaling = Scaling(stored["vector"], sets)
        return cls(settings, History.from_config(config["history"]), scaling, network, shape)


@dataclass(frozen=True)
class _Shape:
    """Widths of what goes in."""

    dim: int
    vector: int
    sets: dict[str, int]

    @classmethod
    def of(cls, latent: FloatArray, observations: Observations) -> _Shape:
        sets = {name: s.values.shape[2] for name, s in observations.sets.items()}
        return cls(latent.shape[1], observations.vector.shape[1], sets)


@dataclass(frozen=True)
class _Pairs:
    """Rows of parameters and observations."""

    latent: Tensor
    batch: Batch

    def __len__(self) -> int:
        return len(self.latent)

    def __getitem__(self, rows: Tensor) -> _Pairs:
        return _Pairs(self.latent[rows], self.batch[rows])


@dataclass(frozen=True)
class _Blur:
    """Noise on the scaled observations of fixed shape that fades away in training."""

    levels: tuple[float, float]

    def __call__(self, pairs: _Pairs, done: float, generator: torch.Generator) -> _Pairs:
        vector = blurred(pairs.batch.vector, self.levels, done, generator)
        return replace(pairs, batch=replace(pairs.batch, vector=vector))


class _Network(nn.Module):
    """Summary network, coupling blocks and latent distribution."""

    def __init__(self, settings: CINN, shape: _Shape) -> None:
        super().__init__()
        assert settings.blocks is not None
        assert settings.hidden is not None
        self.summary = Fusion(
            shape.vector, shape.sets, features=settings.features, hidden=SUMMARY_HIDDEN
        )
        subnet = partial(
            MLP, context=self.summary.features, hidden=settings.hidden, depth=settings.depth
        )
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        self.flow = coupling_flow(
            shape.dim,
            settings.blocks,
            subnet,
            generator,
            transform=settings.transform,
            clamp=settings.clamp,
            bins=settings.bins,
        )
        self.latent = Normal(shape.dim)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        """Log density by the change of variables (eq. 3.5), shape (batch,)."""
        z, log_det = self.flow(x, context)
        return self.latent.log_prob(z) + log_det

    def loss(self, pairs: _Pairs) -> Tensor:
        """Negative log-likelihood of each row (eq. 3.8), shape (batch,)."""
        return -self.log_prob(pairs.latent, self.summary(pairs.batch))

    def score(self, pairs: _Pairs) -> Tensor:
        """Negative log-likelihood of the network with a little of the prior mixed in, (batch,).

        It bounds what one row in the tails of a sharp posterior can cost. Without the bound, a
        single such row among a thousand decides which weights are kept.
        """
        mine = torch.nan_to_num(-self.loss(pairs), nan=-math.inf)
        prior = self.latent.log_prob(pairs.latent)
        return -torch.logaddexp(mine + math.log1p(-PRIOR_SHARE), prior + math.log(PRIOR_SHARE))


def _chunks(observations: int, n: int) -> list[tuple[slice, slice]]:
    """Cut an (observations, n) table of draws into pieces of at most `ROWS` draws."""
    rows = max(1, ROWS // max(n, 1))
    pieces = math.ceil(n / ROWS)
    return [
        (slice(r, r + rows), slice(p * ROWS, (p + 1) * ROWS))
        for r in range(0, observations, rows)
        for p in range(pieces)
    ]
