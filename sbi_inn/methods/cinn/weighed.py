"""A trained cINN whose draws are weighed by the likelihood that its start has learned.

Where observables follow a simple law, a likelihood is learned more closely than a posterior at all
observations: one regression serves them all. Draws of the network then only propose, and are kept
by importance weights (Hesterberg 1995), as far as the likelihood is believed. How far that is,
simulations say that were left out of training.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import product
from typing import Any, cast

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor
from torch.quasirandom import SobolEngine

from sbi_inn.flows import LaplaceStart
from sbi_inn.methods.cinn.fitted import FittedCINN, chunks
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.methods.resampling import blocks, resampled
from sbi_inn.methods.row_generators import Random, rows_of
from sbi_inn.observation.batch import Observations
from sbi_inn.shared_work.remembered import RowMemory
from sbi_inn.training.device import to_numpy
from sbi_inn.training.settings import Training
from sbi_inn.typing import AnyArray, FloatArray

# Places of each posterior at which weights are looked at: the same latents at every observation,
# evenly spread, so that sums over them are smooth.
REFERENCE = 256
PROPOSALS = 4  # draws, for each that is kept by its weight, where many are asked for
FEW, FEW_PROPOSALS = 1_000, 2  # a check asks for few at each of thousands of observations
# Share of draws that keep their place whatever the weight: it bounds what a likelihood that is
# wrong somewhere can cost, by log(20) = 3 nats.
KEPT = 0.05
# Powers of the weights that are tried, and shares of draws that weights have to be worth. Where
# they are worth less, network and likelihood disagree, and weights count for less.
POWERS, SHARES = (1.0, 0.5), (0.1, 0.25, 0.5)
# What is left of a power where weights are worth too little.
LESS = (1.0, 0.7, 0.5, 0.35, 0.25, 0.17, 0.12, 0.08, 0.05, 0.03, 0.02, 0.01, 0.0)
LOOKED_AT = 500  # simulations left out, by which powers are chosen
# Observables up to which weights are worth their time.
MOST_OBSERVABLES = 400
BLOCK = 200_000  # numbers of observables that are compared at once: more leave the cache
HELD = 1_000_000  # draws that are held at once
NEVER = -1e5  # log weight of what has none


@dataclass(frozen=True)
class Power:
    """How far weights are believed.

    Attributes
    ----------
    most : float
        Power of the weights.
    share : float
        Of draws that weights have to be worth: with less, the power is lowered.
    """

    most: float
    share: float

    def at(self, reference: FloatArray) -> FloatArray:
        """Give the power at observations, by log weights there (rows, n); shape (rows,)."""
        found = self.most * np.asarray(LESS)
        worth = np.stack([_worth(power * reference) for power in found])
        return found[(worth >= self.share).argmax(axis=0)]

    def log_density(self, own: FloatArray, reference: FloatArray) -> FloatArray:
        """Give by how much densities grow where log weights are `own` (rows, n)."""
        power = self.at(reference)[:, None]
        total = logsumexp(power * reference, axis=1, keepdims=True) - np.log(reference.shape[1])
        return np.logaddexp(np.log1p(-KEPT) + power * own - total, np.log(KEPT))


@dataclass(frozen=True)
class WeighedCINN(FittedCINN):
    """A trained network, and how far the weights by its likelihood are believed."""

    power: Power

    @torch.inference_mode()
    def sample(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        more = n * (PROPOSALS if n >= FEW else FEW_PROPOSALS)
        found = np.empty((len(observations), n, self.shape.dim))
        for rows in blocks(len(observations), more, HELD):
            own = rows_of(rng, rows)
            read = self._read(observations[rows])
            drawn, log_weight = self._proposed(*read, more, own)
            power = self.power.at(self._reference(*read))
            chosen = resampled(power[:, None] * log_weight, n, own)
            kept = own.random(chosen.shape) < KEPT
            chosen = np.where(kept, np.arange(n), chosen)
            found[rows] = np.take_along_axis(drawn, chosen[:, :, None], axis=1)
        return found

    @torch.inference_mode()
    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them."""
        before = super().log_prob(latent, observations)
        if not len(latent):
            return before
        rows = np.asarray(latent, np.float64).reshape(len(observations), -1, self.shape.dim)
        each = before.reshape(rows.shape[:2])
        found = np.empty_like(each)
        for here in blocks(len(rows), rows.shape[1], HELD):
            read = self._read(observations[here])
            own = self._log_weight(rows[here], read[0], each[here])
            found[here] = self.power.log_density(own, self._reference(*read))
        return (each + found).ravel()

    def train_more(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedCINN:
        """Go on as any cINN, and ask anew how far weights are believed."""
        trained = super().train_more(data, training, seed=seed, progress=progress)
        return weighed(FittedCINN(**_parts(trained)), data)

    def describe(self) -> str:
        """Say what it is in half a line."""
        return f"{super().describe()}, its draws weighed by a learned likelihood"

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, AnyArray]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        config, groups = super().to_arrays()
        return {**config, "power": [self.power.most, self.power.share]}, groups

    @torch.inference_mode()
    def reference(self, observations: Observations) -> FloatArray:
        """Give the log weights of fixed latents at observations, shape (rows, REFERENCE)."""
        return self._reference(*self._read(observations))

    def _reference(self, known: Tensor, context: Tensor) -> FloatArray:
        return to_numpy(self._remembered(torch.cat([known, context.double()], dim=1)))

    @cached_property
    def _remembered(self) -> RowMemory:
        return RowMemory(self._at_fixed_latents)

    def _at_fixed_latents(self, rows: Tensor) -> Tensor:
        """Give the log weights of fixed latents, of rows of what `_read` gives side by side."""
        start = cast(LaplaceStart, self.network.start)
        known = len(start.emulated) + len(start.givens)
        even = SobolEngine(self.shape.dim, scramble=True, seed=0).draw(REFERENCE).double()
        fixed = torch.special.ndtri(even.clamp(1e-6, 1 - 1e-6)).float().to(rows.device)
        found = [rows.new_empty(0, REFERENCE)]
        for here in rows.split(max(1, self._at_once // REFERENCE)):
            z = fixed.expand(len(here), -1, -1)
            found.append(self._placed(z, here[:, :known], here[:, known:].float())[1])
        return torch.cat(found)

    def _proposed(
        self, known: Tensor, context: Tensor, n: int, rng: Random
    ) -> tuple[FloatArray, FloatArray]:
        """Draw `n` for each observation, (rows, n, dim), with their log weights (rows, n)."""
        latent = rng.standard_normal((len(known), n, self.shape.dim), dtype=np.float32)
        drawn, log_weight = np.empty(latent.shape), np.empty(latent.shape[:2])
        for rows, part in chunks(len(known), n, self._at_once):
            z = self._tensor(latent[rows, part])
            x, found = self._placed(z, known[rows], context[rows])
            drawn[rows, part], log_weight[rows, part] = to_numpy(x), to_numpy(found)
        return drawn, log_weight

    def _placed(self, z: Tensor, known: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Give what latents (rows, n, dim) stand for, and log weights (rows, n)."""
        flat = z.flatten(0, 1)
        x, log_det = self.network.flow.inverse(flat, context)
        own = (self.network.latent.log_prob(flat) - log_det).reshape(z.shape[:2])
        x = x.reshape(z.shape)
        return x, self._log_ratio(x, known, own)

    @torch.inference_mode()
    def log_weight(
        self, latent: FloatArray, observations: Observations, own: FloatArray
    ) -> FloatArray:
        """Give log weights (rows, n) of latents (rows, n, dim) with log densities (rows, n)."""
        return self._log_weight(latent, self._read(observations)[0], own)

    def _log_weight(self, latent: FloatArray, known: Tensor, own: FloatArray) -> FloatArray:
        x, density = self._tensor(latent), torch.from_numpy(own).to(known)
        return to_numpy(self._log_ratio(x, known, density))

    def _log_ratio(self, x: Tensor, known: Tensor, own: Tensor) -> Tensor:
        """Give learned likelihood times prior, over the density that a network gives, as logs."""
        start = cast(LaplaceStart, self.network.start)
        flat, sizes = x.flatten(0, 1), [len(start.emulated), len(start.givens)]
        places = torch.arange(len(known), device=x.device).repeat_interleave(x.shape[1])
        found = [flat.new_empty(0)]
        for rows in torch.arange(len(flat), device=x.device).split(max(1, BLOCK // sum(sizes))):
            even, _ = start.even(flat[rows].double())
            y, given = known[places[rows]].split(sizes, dim=1)
            found.append(start.likelihood.compare(even, y, given)[1])
        likely = (torch.cat(found) + self.network.latent.log_prob(flat)).reshape(own.shape)
        return torch.nan_to_num(likely - own, nan=NEVER, posinf=NEVER, neginf=NEVER).double()

    def _read(self, observations: Observations) -> tuple[Tensor, Tensor]:
        """Give what the likelihood is of and depends on, and what the flow reads."""
        start = cast(LaplaceStart, self.network.start)
        batch = self._batch(observations)
        assert batch.exact is not None
        return torch.cat(start.known(batch.exact), dim=1), self._context(observations)


def weighed(fitted: FittedCINN, data: TrainingData) -> FittedCINN:
    """Weigh the draws of a network, if simulations that were left out are likelier by it.

    Also where its start found no use for the likelihood that it has learned: a posterior that is
    far from normal may follow from it all the same.
    """
    start = fitted.network.start
    if not isinstance(start, LaplaceStart) or start.of_sets:
        return fitted
    if len(start.emulated) > MOST_OBSERVABLES:
        return fitted
    rows = data.validation[:LOOKED_AT]
    latent, seen = data.latents[rows], data.observations[rows]
    before = fitted.log_prob(latent, seen)
    trial = _with_power(fitted, Power(1.0, SHARES[0]))
    own = trial.log_weight(latent[:, None], seen, before[:, None])
    # With the truth among the draws, few of them say too little of it rather than too much.
    reference = np.concatenate([trial.reference(seen), own], axis=1)
    powers = [Power(most, share) for most, share in product(POWERS, SHARES)]
    gains = [power.log_density(own, reference)[:, 0] for power in powers]
    best = max(range(len(powers)), key=lambda place: gains[place].mean())
    gain = gains[best]
    if not gain.mean() > 2 * gain.std() / np.sqrt(len(gain)):
        return fitted
    return _with_power(fitted, powers[best])


def _with_power(fitted: FittedCINN, power: Power) -> WeighedCINN:
    return WeighedCINN(**_parts(fitted), power=power)


def _parts(fitted: FittedCINN) -> dict[str, Any]:
    return {part.name: getattr(fitted, part.name) for part in fields(FittedCINN)}


def _worth(log_weight: FloatArray) -> FloatArray:
    """Give the share of draws that weights (rows, n) are worth, (rows,)."""
    total, squares = logsumexp(log_weight, axis=1), logsumexp(2 * log_weight, axis=1)
    return np.exp(2 * total - squares) / log_weight.shape[1]
