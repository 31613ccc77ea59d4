"""A trained cINN: draws, densities and summaries."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sbi_inn.flows import LaplaceStart
from sbi_inn.methods.cinn.network import DropoutAndBlur, Network, Pairs, Shape
from sbi_inn.methods.cinn.settings import LEARNING_RATE, CINNSettings
from sbi_inn.methods.cinn.training import learn
from sbi_inn.methods.protocols import Cuts, TrainingData
from sbi_inn.methods.row_generators import Random
from sbi_inn.observation.batch import Observations
from sbi_inn.shared_work.contexts import side_by_side
from sbi_inn.shared_work.remembered import RowMemory
from sbi_inn.summary_networks import Batch, Scaling
from sbi_inn.training import weights
from sbi_inn.training.device import device_of, on, to_numpy
from sbi_inn.training.history import History
from sbi_inn.training.settings import Training
from sbi_inn.typing import AnyArray, FloatArray

# Rows that go through the network at once, and numbers in them: enough to keep the cores busy, few
# enough for the cache.
ROWS, NUMBERS = 8_192, 20_000
# Latents, and as many opposite ones, at which the volume of a posterior is looked at.
PROBES = 4
# Share of the usual peak of the learning rate, of a network that is trained already.
GENTLY = 0.5


@dataclass(frozen=True)
class FittedCINN:
    """A trained conditional invertible network."""

    settings: CINNSettings
    history: History
    scaling: Scaling
    network: Network
    shape: Shape
    row_wise: ClassVar[bool] = True

    def started_in(self, seconds: float) -> FittedCINN:
        """Return the same, with what came before training counted among its seconds."""
        return replace(self, history=replace(self.history, seconds=self.history.seconds + seconds))

    @torch.inference_mode()
    def sample(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        context = self.network.context(self._batch(observations))
        draws = np.empty((len(context), n, self.shape.dim))
        latent = rng.standard_normal(draws.shape, dtype=np.float32)
        for rows, part in chunks(len(context), n, self._at_once):
            z = self._tensor(latent[rows, part].reshape(-1, self.shape.dim))
            x, _ = self.network.flow.inverse(z, context[rows])
            draws[rows, part] = to_numpy(x).reshape(latent[rows, part].shape)
        return draws

    @torch.inference_mode()
    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them."""
        context = self._context(observations)
        points = side_by_side(self._tensor(latent), len(context))
        observed, each = points.shape[:2]
        found = np.empty((observed, each))
        for rows, part in chunks(observed, each, self._at_once):
            x = points[rows, part].flatten(0, 1)
            found[rows, part] = to_numpy(self.network.log_prob(x, context[rows])).reshape(
                found[rows, part].shape
            )
        return found.ravel()

    @torch.inference_mode()
    def summarise(self, observations: Observations) -> FloatArray:
        """Give the learned summaries of observations, shape (batch, features)."""
        return to_numpy(self._context(observations)).astype(np.float64)

    @torch.inference_mode()
    def log_volume(self, observations: Observations) -> FloatArray:
        """Give the log volume of each posterior, up to a constant of all, shape (batch,).

        Averaged over latents, the log-determinant of the inverse is the posterior's entropy; a few
        latents tell narrow posteriors from wide ones.
        """
        context, rng = self._context(observations), np.random.default_rng(0)
        found = np.zeros(len(context))
        for latent in rng.standard_normal((PROBES, 1, self.shape.dim)):
            for each in (latent, -latent):
                z = self._tensor(each).expand(len(context), -1)
                parts = zip(z.split(self._at_once), context.split(self._at_once), strict=True)
                found += to_numpy(torch.cat([self.network.flow.inverse(*p)[1] for p in parts]))
        return found / (2 * PROBES)

    @property
    def _at_once(self) -> int:
        """How many rows go through the blocks at once."""
        return min(ROWS, max(1, NUMBERS // self.shape.dim))

    def _batch(self, observations: Observations) -> Batch:
        """Scale observations, where the network is; ask what takes long of new ones alone."""
        batch = on(Batch.of(observations, self.scaling), device_of(self.network))
        if self._said is None or batch.exact is None:
            return batch
        return replace(batch, said=self._said(batch.exact))

    @cached_property
    def _said(self) -> RowMemory | None:
        """What the search for a mode gives; None where there is none."""
        start = self.network.start
        searches = isinstance(start, LaplaceStart) and bool(start.inverts)
        return RowMemory(self.network.ask) if searches else None

    def _tensor(self, rows: AnyArray) -> Tensor:
        """Give rows of numbers where the network is."""
        return torch.from_numpy(rows.astype(np.float32)).to(device_of(self.network))

    def _context(self, observations: Observations) -> Tensor:
        batch = self._batch(observations)
        rows = torch.arange(len(batch), device=batch.vector.device).split(ROWS)
        return torch.cat([self.network.context(batch[here]) for here in rows])

    @torch.inference_mode()
    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents (n, dim) stand for, at one observation."""
        context = self.network.context(self._batch(observation))
        x, _ = self.network.flow.inverse(self._tensor(latent), context)
        return to_numpy(x).astype(np.float64)

    @torch.inference_mode()
    def encode(
        self, observation: Observations, parameters: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Find the latents (n, dim) of parameters (n, dim), and the log-determinants (n,)."""
        context = self.network.context(self._batch(observation))
        rows = self._tensor(parameters).split(self._at_once)
        z, log_det = zip(*(self.network.flow(part, context) for part in rows), strict=True)
        return to_numpy(torch.cat(z)).astype(float), to_numpy(torch.cat(log_det)).astype(float)

    def train_more(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedCINN:
        """Go on from the weights as they are, with the scales as they are.

        Nothing is dropped, and no more blurred than at the end of a training: shapes are known.
        The weights are kept as they are where validation rows say that they became no better.
        """
        network, settings = deepcopy(self.network), self.settings
        seen, held_out = (
            network.asked(Pairs.of(data.latents[part], data.observations[part], self.scaling))
            for part in (data.train, data.validation)
        )
        rate = training.learning_rate or LEARNING_RATE * GENTLY
        history = learn(
            network,
            seen.streamed(data, self.scaling),
            held_out,
            settings.schedule(replace(training, learning_rate=rate), data.rows),
            seed=seed,
            augment=DropoutAndBlur(network.dropout, 0.0, (settings.blur[1], settings.blur[1])),
            renew=seen.renewed(data, self.scaling),
            progress=progress,
        )
        now, before = (one.judged(held_out) for one in (network, self.network))
        kept = network if now < before else self.network
        return replace(self, network=kept, history=history)

    def to(self, device: torch.device) -> FittedCINN:
        """Give the same on a device."""
        return replace(self, network=deepcopy(self.network).to(device))

    @property
    def histories(self) -> tuple[History, ...]:
        """That of the only network."""
        return (self.history,)

    @property
    def cuts(self) -> Cuts:
        """The latents of discrete parameters, and where the pieces of their values meet."""
        return self.shape.cuts

    @property
    def kind(self) -> str:
        """What it may be mixed with: mixed with wider posteriors, narrow ones would be too wide.

        Posteriors are narrower where a likelihood is learned, and where patterns are read.
        """
        if isinstance(self.network.start, LaplaceStart) and self.network.start.inverts:
            return "likelihood"
        exact = self.scaling.exact
        return "" if exact is None or exact.patterns is None else "patterns"

    @property
    def latent_dim(self) -> int:
        """How many latents a draw comes from."""
        return self.shape.dim

    def describe(self) -> str:
        """Say what it is in half a line."""
        s = self.settings
        size = sum(p.numel() for p in self.network.parameters())
        found = f"cINN of {s.blocks} {s.transform} coupling blocks, {size:,} weights"
        if self.shape.exact:
            found += ", after a Gaussian in closed form"
        if self.shape.own is not None:
            return f"{found}, those of {type(s.summary).__name__} among them"
        pixels = sum(math.prod(grid.shape) for grid in self.scaling.grids.values())
        curved = sum(curves.places.size for curves in self.scaling.curves.values())
        read, given = len(self.scaling.read), self.scaling.vector.shape[1] - pixels - curved
        found += f", reading {curved} observables as series" if curved else ""
        return found if read == given else f"{found}, reading {read} of {given} observables"

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, AnyArray]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        summary = self.settings.summary
        named = summary if summary == "auto" else type(summary).__name__
        config = {
            "name": self.settings.name,
            "settings": {f.name: getattr(self.settings, f.name) for f in fields(self.settings)}
            | {"summary": named},
            "history": self.history.to_config(),
            "shape": asdict(self.shape),
        }
        groups = {"weights": weights.to_arrays(self.network), "scaling": self.scaling.to_arrays()}
        return config, groups


def chunks(observations: int, n: int, most: int) -> list[tuple[slice, slice]]:
    """Cut an (observations, n) table of draws into pieces of at most so many draws."""
    rows = max(1, most // max(n, 1))
    pieces = math.ceil(n / most)
    return [
        (slice(r, r + rows), slice(p * most, (p + 1) * most))
        for r in range(0, observations, rows)
        for p in range(pieces)
    ]
