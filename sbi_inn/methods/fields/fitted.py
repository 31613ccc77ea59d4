"""A trained cINN of a field: draws and densities."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as fields_of
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from sbi_inn.flows import Bijection, level_sizes, wavelets
from sbi_inn.methods.fields.gaussian import LOG_2_PI, GaussianPosterior
from sbi_inn.methods.fields.inputs import Inputs
from sbi_inn.methods.fields.network import FieldNetwork, FieldPairs, FieldShape
from sbi_inn.methods.fields.top import top
from sbi_inn.methods.protocols import moved
from sbi_inn.observation.batch import Observations
from sbi_inn.prior import FieldPlace
from sbi_inn.summary_networks import Batch, Scaling
from sbi_inn.training import weights
from sbi_inn.training.device import device_of, to_numpy
from sbi_inn.training.history import History
from sbi_inn.typing import AnyArray, FloatArray, IntArray

ROWS = 128
"""Fields that go through the network at once."""

Parts = tuple[FieldNetwork, FieldShape, Inputs, Scaling]


@dataclass(frozen=True, eq=False)
class FittedField:
    """A Gaussian start, and the network that corrects it, if there is one.

    Attributes
    ----------
    settings : FieldCINN
    history : History
    start : GaussianPosterior
    place : FieldPlace or None
        Of the field in the prior; None until that is at hand, after loading.
    others : array of int
        The latents of the other parameters.
    numbers : Fitted or None
        What was learned of these.
    parts : (FieldNetwork, FieldShape, Inputs, Scaling) or None
    """

    settings: Any
    history: History
    start: GaussianPosterior
    place: FieldPlace | None
    others: IntArray
    numbers: Any
    parts: Parts | None

    # -- training ----------------------------------------------------------------------------------

    def pairs(
        self,
        fields: FloatArray,
        numbers: FloatArray,
        observations: Observations,
        inputs: Inputs,
        scaling: Scaling,
    ) -> FieldPairs:
        """Give rows to train a network on: fields (n, *sides) and other latents (n, numbers)."""
        seen, n = self.start.read(observations, numbers), len(fields)
        flat, weights_of = fields.reshape(n, -1), self.start.log_weights(seen)
        observed = inputs.observed(observations, self.start.sides)
        left, log_density, images = [], [], []
        for component in range(weights_of.shape[1]):
            cells = self._cells(numbers, n, component)
            one, log_det = self.start.whiten(flat, seen, cells)
            left.append(_tensor(one))
            log_density.append(_tensor(log_det + weights_of[:, component]))
            means = inputs.means(self.start, seen, cells, n)
            images.append(torch.from_numpy(np.concatenate([means, observed], axis=1)))
        return FieldPairs(
            torch.stack(left, dim=1),
            torch.stack(log_density, dim=1),
            torch.stack(images, dim=1),
            _tensor(numbers),
            Batch.of(observations, scaling),
        )

    # -- draws and densities -----------------------------------------------------------------------

    def sample(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        draws = np.empty((len(observations), n, self.latent_dim))
        for row in range(len(observations)):
            here = observations[row : row + 1]
            numbers = np.empty((n, 0))
            if self.numbers is not None:
                numbers = self.numbers.sample(here, n, rng)[0]
            white = rng.standard_normal((n, self.pixels), dtype=np.float32)
            weight = np.exp(self.start.log_weights(self.start.read(here, numbers)))
            which = (weight.cumsum(axis=1)[:, :-1] < rng.random((n, 1))).sum(axis=1)
            draws[row] = self._joined(numbers, self._coloured(here, white, numbers, which))
        return draws

    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them."""
        n = len(latent)
        each = np.repeat(np.arange(len(observations)), n // max(len(observations), 1))
        found = np.zeros(n)
        if self.numbers is not None:
            found += self.numbers.log_prob(latent[:, self.others], observations)
        fields, log_det = self._fields(latent)
        found += log_det
        for first in range(0, n, ROWS):
            rows = slice(first, first + ROWS)
            here = observations if len(observations) == 1 else observations[each[rows]]
            found[rows] += self._log_density(fields[rows], latent[rows][:, self.others], here)
        return found

    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents (n, dim) stand for, at one observation.

        Of a mixture, in the field of largest weight. Without a flow the latents of the field are
        the wavelets of the white noise, so that they have the same levels.
        """
        numbers = latent[:, self.others]
        if self.numbers is not None:
            numbers = self.numbers.decode(observation, numbers)
        which = self._likeliest(observation, numbers)
        left = latent[:, self._field]
        if self.parts is None:
            left = self._waves.inverse(torch.from_numpy(left), torch.zeros(1, 0))[0].numpy()
        return self._joined(numbers, self._coloured(observation, left, numbers, which))

    def encode(
        self, observation: Observations, parameters: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Find the latents (n, dim) of parameters (n, dim), and the log-determinants (n,)."""
        found, numbers = np.empty(parameters.shape), parameters[:, self.others]
        fields, log_det = self._fields(parameters)
        seen, which = self.start.read(observation, numbers), self._likeliest(observation, numbers)
        cells = self._cells(numbers, len(fields), which)
        left, more = self.start.whiten(fields, seen, cells)
        log_det = log_det + more
        if self.parts is None:
            left = self._waves(torch.from_numpy(left), torch.zeros(1, 0))[0].numpy()
        else:
            context = self._context(observation, cells, numbers)
            with torch.inference_mode():
                z, of_flow = self.parts[0].flow(_tensor(left).to(context.device), context)
            left, log_det = to_numpy(z), log_det + to_numpy(of_flow)
        found[:, self._field] = left
        if self.numbers is not None:
            found[:, self.others], of_numbers = self.numbers.encode(observation, numbers)
            log_det = log_det + of_numbers
        return found, log_det

    def top(self, observation: Observations, numbers: FloatArray) -> FloatArray:
        """Find the field of highest density, in its own units, given other latents (1, numbers).

        Of a mixture, the best of each field's own tops.

        Returns
        -------
        array, shape (1, dim)
            Latents of all parameters.
        """
        assert self.place is not None
        place, seen = self.place, self.start.read(observation, numbers)
        found, heights = [], []
        for component in range(self.start.log_weights(seen).shape[1]):
            cell = self._cells(numbers, 1, component)
            flow = None
            if self.parts is not None:
                network, context = self.parts[0], self._context(observation, cell, numbers).clone()
                flow = partial(_density_on, network, context)
            field = top(
                lambda left, cell=cell: self.start.colour(left, seen, cell.repeat(len(left))),
                self.pixels,
                flow,
                None if place.pixel is None else place.bend,
            )
            height = self._log_density(field, numbers, observation)[0]
            heights.append(height + place.bend(field).sum())
            found.append(field)
        return self._joined(numbers, found[int(np.argmax(heights))])

    # -- what it is --------------------------------------------------------------------------------

    @property
    def histories(self) -> tuple[History, ...]:
        """That of the only network."""
        return (self.history,)

    @property
    def pixels(self) -> int:
        """Of the field."""
        return int(np.prod(self.start.sides))

    @property
    def levels(self) -> tuple[IntArray, ...]:
        """Which latents of the field belong to each level, coarsest first."""
        ends = np.cumsum(level_sizes(self.start.sides))
        return tuple(np.split(self._field, ends[:-1]))

    @property
    def latent_dim(self) -> int:
        """How many latents a draw comes from."""
        return self.pixels + len(self.others)

    def describe(self) -> str:
        """Say what it is in half a line."""
        k = len(self.start.normals.means)
        found = "a Gaussian field in closed form"
        if self.start.normals.mixed:
            found = f"{k} Gaussian fields in closed form"
        if self.parts is not None:
            size = sum(p.numel() for p in self.parts[0].parameters())
            found = f"cINN of wavelets and convolutions, {size:,} weights, after {found}"
        return found if self.numbers is None else f"{found}; {self.numbers.describe()}"

    def to(self, device: torch.device) -> FittedField:
        """Give the same on a device; the Gaussian start stays on the processor."""
        numbers, parts = self.numbers, self.parts
        if parts is not None:
            parts = (deepcopy(parts[0]).to(device), *parts[1:])
        return replace(self, numbers=numbers and moved(numbers, device), parts=parts)

    def with_place(self, place: FieldPlace) -> FittedField:
        """Give it the prior's field, which no file holds."""
        return replace(self, place=place)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, AnyArray]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        names = [f.name for f in fields_of(self.settings) if f.name != "lift"]
        config: dict[str, Any] = {
            "name": self.settings.name,
            "settings": {name: getattr(self.settings, name) for name in names},
            "lift": self.settings.lift is not None,
            "history": self.history.to_config(),
            "loose": self.start.loose,
            "numbers": None,
            "shape": None,
        }
        groups = {
            "normals": self.start.normals.to_arrays(),
            "forward": self.start.forward.to_arrays(),
            "places": {"others": self.others},
        }
        if self.numbers is not None:
            config["numbers"], own = self.numbers.to_arrays()
            groups |= {f"numbers-{name}": dict(group) for name, group in own.items()}
        if self.parts is not None:
            network, shape, inputs, scaling = self.parts
            config["shape"] = asdict(shape)
            groups |= {"weights": weights.to_arrays(network), "inputs": inputs.to_arrays()}
            groups["scaling"] = scaling.to_arrays()
        return config, groups

    # -- parts -------------------------------------------------------------------------------------

    @property
    def _waves(self) -> Bijection:
        return wavelets(self.start.sides)

    @property
    def _field(self) -> IntArray:
        """Which latents are those of the field."""
        return np.setdiff1d(np.arange(self.latent_dim), self.others)

    def _cells(self, numbers: FloatArray, n: int, component: int | IntArray) -> IntArray:
        """Say which of the normals rows belong to, by their other latents (n, numbers)."""
        normals = self.start.normals
        if not len(normals.parents):
            return np.full(n, component)
        whole = np.zeros((n, self.latent_dim))
        whole[:, self.others] = numbers
        return normals.cells(whole[:, normals.parents])

    def _fields(self, latent: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Map latents (n, dim) to flat Gaussian fields, and give the log-determinants (n,)."""
        assert self.place is not None
        mean, root = self.place.roots(latent)
        white = latent[:, self.place.latents]
        if root is None:
            return white, np.zeros(len(latent))
        colour = root.colour(white.reshape(-1, *self.start.sides))
        found = (mean + colour).reshape(white.shape)
        return found, np.broadcast_to(root.log_det, (len(latent),))

    def _joined(self, numbers: FloatArray, fields: FloatArray) -> FloatArray:
        """Map flat Gaussian fields to latents, beside those of the other parameters."""
        assert self.place is not None
        latent = np.zeros((len(fields), self.latent_dim))
        latent[:, self.others] = numbers
        mean, root = self.place.roots(latent)
        if root is not None:
            centred = fields.reshape(-1, *self.start.sides) - mean
            fields = root.whiten(centred).reshape(fields.shape)
        latent[:, self.place.latents] = fields
        return latent

    def _likeliest(self, observation: Observations, numbers: FloatArray) -> IntArray:
        """Say which field of a mixture is likeliest, for each row of other latents."""
        found = self.start.log_weights(self.start.read(observation, numbers)).argmax(axis=1)
        return np.broadcast_to(found, (len(numbers),))

    def _context(self, observations: Observations, cells: IntArray, numbers: FloatArray) -> Tensor:
        """Give what the flow reads at rows, or once for all that share it."""
        assert self.parts is not None
        network, _, inputs, scaling = self.parts
        seen, n = self.start.read(observations, numbers), len(cells)
        if len(seen) == 1 and (cells == cells[:1]).all():
            means = inputs.means(self.start, seen, cells[:1], 1)
        else:
            means = inputs.means(self.start, seen, cells, n)
        observed = inputs.observed(observations, self.start.sides)
        observed = np.broadcast_to(observed, (len(means), *observed.shape[1:]))
        images = torch.from_numpy(np.concatenate([means, observed], axis=1))
        with torch.inference_mode():
            device, batch = device_of(network), Batch.of(observations, scaling)
            return network.context(images.to(device), _tensor(numbers).to(device), batch.to(device))

    def _coloured(
        self, observation: Observations, left: AnyArray, numbers: FloatArray, which: IntArray
    ) -> FloatArray:
        """Map latents of the flow (n, pixels) to flat fields, at one observation."""
        found = np.empty(left.shape)
        for component in np.unique(which):
            rows = np.flatnonzero(which == component)
            seen = self.start.read(observation, numbers[rows])
            cells = self._cells(numbers[rows], len(rows), int(component))
            x = left[rows].astype(np.float64)
            if self.parts is not None:
                x = self._unflowed(observation, left[rows], cells, numbers[rows])
            found[rows] = self.start.colour(x, seen, cells)
        return found

    @torch.inference_mode()
    def _unflowed(
        self, observation: Observations, left: AnyArray, cells: IntArray, numbers: FloatArray
    ) -> FloatArray:
        assert self.parts is not None
        flow, found = self.parts[0].flow, np.empty(left.shape)
        shared = None if numbers.shape[1] else self._context(observation, cells, numbers[:1])
        for first in range(0, len(left), ROWS):
            rows = slice(first, first + ROWS)
            context = shared
            if context is None:
                context = self._context(observation, cells[rows], numbers[rows])
            there = _tensor(left[rows]).to(context.device)
            found[rows] = to_numpy(flow.inverse(there, context)[0])
        return found

    def _log_density(
        self, fields: FloatArray, numbers: FloatArray, observations: Observations
    ) -> FloatArray:
        """Log density of flat fields, shape (n,)."""
        seen, n = self.start.read(observations, numbers), len(fields)
        log_weight, each = self.start.log_weights(seen), []
        for component in range(log_weight.shape[1]):
            cells = self._cells(numbers, n, component)
            left, log_det = self.start.whiten(fields, seen, cells)
            if self.parts is None:
                normal = -0.5 * (np.square(left).sum(axis=1) + self.pixels * LOG_2_PI)
            else:
                context = self._context(observations, cells, numbers)
                with torch.inference_mode():
                    there = _tensor(left).to(context.device)
                    normal = to_numpy(self.parts[0].log_density(there, context))
            each.append(normal + log_det + log_weight[:, component])
        return np.asarray(logsumexp(np.stack(each), axis=0), dtype=np.float64)


def _density_on(network: FieldNetwork, context: Tensor, left: Tensor) -> Tensor:
    """Log density of what is left, wherever the network is."""
    return network.log_density(left.to(context.device), context=context)


def _tensor(array: AnyArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
