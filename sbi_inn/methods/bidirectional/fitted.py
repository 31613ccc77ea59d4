"""A trained bidirectional network: draws, densities, predictions."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sbi_inn.errors import NoDensityError
from sbi_inn.methods.bidirectional.importance import ROWS, Candidates, candidates, log_normal
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Triples
from sbi_inn.methods.bidirectional.settings import INNSettings
from sbi_inn.methods.bidirectional.sides import categorical
from sbi_inn.methods.bidirectional.training import (
    check_observations,
    forward_errors,
    judged,
    learn,
)
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.methods.row_generators import Random, rows_of
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Scaling
from sbi_inn.training import weights
from sbi_inn.training.device import device_of, on, to_numpy
from sbi_inn.training.history import History
from sbi_inn.training.settings import LEARNING_RATE, Training
from sbi_inn.typing import AnyArray, FloatArray

# Candidates that the integral of a density is estimated from.
INTEGRAL = 16_384
# Share of the usual peak of the learning rate, of a network that is trained already.
GENTLY = 0.5


@dataclass(frozen=True)
class FittedINN:
    """A trained bidirectional network.

    Attributes
    ----------
    residual : array, shape (observables,)
        Root-mean-square error of the forward prediction on validation rows, in units of the
        observables' spread.
    typical : array, shape (observables,)
        Standard deviation of the errors but for the largest; zero for categories.
    """

    settings: INNSettings
    history: History
    scaling: Scaling
    network: BidirectionalNetwork
    residual: FloatArray
    typical: FloatArray
    row_wise: ClassVar[bool] = True
    _known: dict[bytes, Tensor] = field(init=False, default_factory=dict, repr=False, compare=False)

    @property
    def histories(self) -> tuple[History, ...]:
        """That of the only network."""
        return (self.history,)

    @property
    def weighted(self) -> bool:
        """Whether draws are chosen by weight: with padding there is no density to weigh by."""
        return self._per_draw > 1 and not self.network.sides.padded

    @property
    def tolerance(self) -> FloatArray:
        """Standard deviation of each observable that draws allow for, in units of its spread."""
        if self.settings.tolerance is None:
            return self.typical
        return np.full_like(self.residual, self.settings.tolerance)

    @torch.inference_mode()
    def sample(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        seen = self._read(observations)
        each = n * self._per_draw if self.weighted else n
        together = max(1, ROWS // each)
        draws = np.empty((len(seen), n, self.network.sides.parameters))
        for start in range(0, len(seen), together):
            here = slice(start, start + together)
            own = rows_of(rng, here)
            found = self._candidates(seen.y[here], seen.given[here], each, own)
            draws[here] = to_numpy(found.choose(n, own) if self.weighted else found.x)
        return draws

    @torch.inference_mode()
    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them.

        That of the draws. With a choice among candidates: prior times N(f_y(x); y, tolerance^2),
        divided by its integral, which is estimated from 16,384 candidates. Without: the network's
        own, N(f_y(x); y, tolerance^2) N(f_z(x); 0, I) |det df/dx|.

        Raises
        ------
        NoDensityError
            If the network is padded or the tolerance is zero.
        """
        near = self.log_weight(latent, observations)
        if not self.weighted:
            return near
        log_mass = to_numpy(self._log_mass(self._read(observations)))
        return near - np.repeat(log_mass, len(near) // len(log_mass))

    @torch.inference_mode()
    def log_weight(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density up to a constant of each observation, which saves its integral."""
        self._needs_density()
        seen = self._read(observations)
        x = self._tensor(latent)
        each = len(x) // len(seen)
        given, y = (v.repeat_interleave(each, dim=0) for v in (seen.given, seen.y))
        parts = zip(x.split(ROWS), given.split(ROWS), strict=True)
        out = [self.network(a, a.new_zeros(len(a), 0), b) for a, b in parts]
        predicted, z, _, log_det = (torch.cat(part) for part in zip(*out, strict=True))
        tolerance = torch.from_numpy(self.tolerance).to(x.device)
        near = log_normal((predicted - y) / tolerance) - tolerance.log().sum()
        if self.weighted:
            return to_numpy(near + log_normal(x))
        return to_numpy(near + log_normal(z) + log_det)

    @torch.inference_mode()
    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents (n, latent) stand for, at one observation."""
        seen, sides = self._read(observation), self.network.sides
        z = self._tensor(latent)
        y, given = (v.expand(len(z), -1) for v in (seen.y, seen.given))
        back = self.network.inverse(y, z, z.new_zeros(len(z), sides.padding[1]), given)
        return to_numpy(back.x).astype(np.float64)

    @torch.inference_mode()
    def emulate(self, latent: FloatArray, givens: FloatArray) -> FloatArray:
        """Predict observables (n, observables) from parameters (n, dim) and givens (n, givens)."""
        sides = self.network.sides
        unknown = np.zeros((len(latent), sides.observables))
        seen = self._read(Observations(np.hstack([unknown, givens]), {}, sides.givens))
        x = self._tensor(latent)
        out = self.network(x, x.new_zeros(len(x), sides.padding[0]), seen.given)
        return self.scaling.unscale(to_numpy(out.y))

    def to(self, device: torch.device) -> FittedINN:
        """Give the same on a device."""
        return replace(self, network=deepcopy(self.network).to(device))

    def train_more(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedINN:
        """Go on from the weights as they are, with the scales as they are.

        Observations are no more blurred than at the end of a training: shapes are known. What was
        adjusted after the last training is taken back, and found anew. The network is kept as it is
        where validation rows say that it became no better.

        Raises
        ------
        ShapeError
            If values are missing.
        """
        check_observations(data.observations)
        settings, network = self.settings, deepcopy(self.network)
        network.take_back()
        seen, unseen = (
            self._read(data.observations[part], data.latents[part])
            for part in (data.train, data.validation)
        )
        before = judged(settings, network, unseen)
        assert settings.blur is not None
        rate, renew = training.learning_rate or LEARNING_RATE * GENTLY, data.renew
        history = learn(
            settings,
            network,
            seen,
            unseen,
            settings.schedule(replace(training, learning_rate=rate), len(data.train)),
            seed=seed,
            blur=(settings.blur[1], settings.blur[1]),
            renew=renew and (lambda rng: self._read(renew(rng), data.latents[data.train])),
            progress=progress,
        )
        if not judged(settings, network, unseen) < before:
            return replace(self, history=history)
        exact = categorical(data.observations.vector[data.train, : network.sides.observables])
        residual, typical = forward_errors(settings, network, unseen, exact)
        return replace(self, network=network, history=history, residual=residual, typical=typical)

    @property
    def remark(self) -> str:
        """How closely draws keep to the observation."""
        low, high = self.tolerance.min(), self.tolerance.max()
        if high == 0:
            return "draws at tolerance 0"
        return f"draws at tolerance {f'{low:.2g} to ' if low < high else ''}{high:.2g} spreads"

    def at_tolerance(self, tolerance: float | None) -> FittedINN:
        """Give the same network with another standard deviation of the observation."""
        return replace(self, settings=replace(self.settings, tolerance=tolerance))

    @property
    def evaluations(self) -> int:
        """Evaluations of the network that one draw takes."""
        return self._per_draw if self.weighted else 1

    @property
    def latent_dim(self) -> int:
        """How many latents a draw comes from."""
        return self.network.sides.latent

    def describe(self) -> str:
        """Say what it is in half a line."""
        s = self.settings
        size = sum(p.numel() for p in self.network.parameters())
        how = "likelihood" if s.loss == "likelihood" else "mean discrepancies"
        return (
            f"INN by {how} of {s.blocks} {s.transform} coupling blocks, {size:,} weights, from "
            f"{self.network.sides.describe()}"
        )

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, AnyArray]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        config = {
            "name": self.settings.name,
            "settings": asdict(self.settings),
            "history": self.history.to_config(),
            "layout": asdict(self.network.sides),
        }
        groups = {
            "weights": weights.to_arrays(self.network),
            "scaling": self.scaling.to_arrays(),
            "errors": {"residual": self.residual, "typical": self.typical},
        }
        return config, groups

    # -- helpers -----------------------------------------------------------------------------------

    @property
    def _per_draw(self) -> int:
        assert self.settings.candidates is not None
        return self.settings.candidates

    def _read(self, observations: Observations, latents: FloatArray | None = None) -> Triples:
        """Scale observations; the parameters beside them may be unknown."""
        vectors = self.scaling.vectors(observations)
        x = np.empty((len(observations), 0)) if latents is None else latents
        return on(Triples.of(x, vectors, observations.givens), device_of(self.network))

    def _tensor(self, rows: FloatArray) -> Tensor:
        """Give rows of numbers where the network is."""
        return torch.from_numpy(rows.astype(np.float32)).to(device_of(self.network))

    def _candidates(self, y: Tensor, given: Tensor, n: int, rng: Random) -> Candidates:
        return candidates(
            self.network,
            y,
            given,
            n,
            rng,
            tolerance=self._tensor(self.tolerance),
        )

    def _log_mass(self, seen: Triples) -> Tensor:
        """Log of the integral that normalises the density of each observation.

        That of the latest observations is kept: a search for the highest density asks many times.
        """
        key = to_numpy(seen.y).tobytes() + to_numpy(seen.given).tobytes()
        if key not in self._known:
            self._known.clear()
            self._known[key] = self._integrate(seen)
        return self._known[key]

    def _integrate(self, seen: Triples) -> Tensor:
        found = []
        rows, place = torch.cat([seen.y, seen.given], dim=1).unique(dim=0, return_inverse=True)
        for row in rows.split(1):
            rng = np.random.default_rng(0)  # the same candidates at every call: one density
            y, given = row.tensor_split([seen.y.shape[1]], dim=1)
            found.append(self._candidates(y, given, INTEGRAL, rng).log_mass)
        return torch.cat(found)[place]

    def _needs_density(self) -> None:
        sides = self.network.sides
        if sides.padded:
            spare = sides.parameters - sides.observables
            raise NoDensityError(
                f"this INN maps {sides.describe()}: with padding there is no density of the "
                'parameters. Fit with method="cinn"'
                + (f", or without padding: INN(latent={spare})" if spare > 0 else "")
            )
        if not self.tolerance.all():
            raise NoDensityError(
                "draws at exactly the observation (tolerance 0) lie on a surface and have no "
                "density; use posterior.at_tolerance(...) with a positive one"
            )
