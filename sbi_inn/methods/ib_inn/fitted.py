"""A trained IB-INN: logits of the classes, latents and likelihoods."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from sbi_inn.methods.ib_inn.network import Classifier, LatentNetwork, Numbers, Shape
from sbi_inn.methods.ib_inn.reading import Reading
from sbi_inn.methods.ib_inn.settings import IBINNSettings
from sbi_inn.methods.ib_inn.start import Start, columns_of, start_of
from sbi_inn.methods.protocols import Groups
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Batch, Scaling
from sbi_inn.training import weights
from sbi_inn.training.device import device_of, on, to_numpy
from sbi_inn.training.history import History
from sbi_inn.training.loop import seeded
from sbi_inn.typing import AnyArray, FloatArray

ROWS = 4_096  # that go through a network at once


@dataclass(frozen=True)
class Likelihood:
    """Log-likelihoods of observations under a latent mixture, with equal weights of the classes.

    Attributes
    ----------
    total : array, shape (rows,)
        Log density of what is read, in units of the observables; of features, in their spreads.
    class_part, style_part : array, shape (rows,)
        The parts of the latent's density in which classes differ, and in which they are alike
        (eqs. 5.31 to 5.34).
    each : array, shape (rows, classes)
        Log density under each class.
    latent : array, shape (rows, dim)
    """

    total: FloatArray
    class_part: FloatArray
    style_part: FloatArray
    each: FloatArray
    latent: FloatArray


@dataclass(frozen=True)
class FittedIBINN:
    """A trained classifier, and a trained flow beside it.

    Attributes
    ----------
    settings : IBINNSettings
    histories : tuple of History
        Of the classifier, and of the flow.
    scaling : Scaling
    start : Start or None
    shape : Shape
    classifier : Classifier
    reading : Reading
        What the flow reads.
    flow : LatentNetwork or None
        None where there is nothing to read: no observable ever changes.
    """

    settings: IBINNSettings
    histories: tuple[History, ...]
    scaling: Scaling
    start: Start | None
    shape: Shape
    classifier: Classifier | None = None
    reading: Reading | None = None
    flow: LatentNetwork | None = None

    @torch.inference_mode()
    def logits(self, observations: Observations) -> FloatArray:
        """Give the logits of the start and of the network, shape (rows, 2, classes).

        Their sum is the log posterior of the classes, up to a constant of each row, under the
        shares of the classes in training.
        """
        assert self.classifier is not None
        found = []
        device = device_of(self.classifier)
        for batch in self._batches(observations):
            start = start_of(self.start, batch, self.shape.classes)
            found.append(torch.stack([start, self.classifier(on(batch, device)).cpu()], dim=1))
        return torch.cat(found).double().numpy()

    @torch.inference_mode()
    def drawn(self, observations: Observations) -> FloatArray:
        """Give the logits of the start by other weights, shape (draws, rows, classes)."""
        assert self.start is not None
        columns = [columns_of(batch) for batch in self._batches(observations)]
        parts = [self.start.drawn(c) for c in columns if c is not None]
        return torch.cat(parts, dim=1).double().numpy()

    @torch.inference_mode()
    def features(self, observations: Observations) -> FloatArray:
        """Give what the classifier has learned: log odds, then its summary, (rows, k)."""
        assert self.classifier is not None
        found, device = [], device_of(self.classifier)
        for batch in self._batches(observations):
            start, there = start_of(self.start, batch, self.shape.classes), on(batch, device)
            logits = self.classifier(there).cpu() + start
            odds = logits[:, 1:] - logits[:, :1]
            found.append(torch.cat([odds, self.classifier.features(there).cpu()], dim=1))
        return torch.cat(found).double().numpy()

    def numbers(self, observations: Observations) -> Numbers:
        """Give what the flow reads; their classes are not known."""
        reading = self.reading
        assert reading is not None
        if reading.learned:
            table = self.features(observations)
        else:
            table = observations.vector
        x, steering = reading.numbers(table), reading.steering(observations)
        labels = torch.zeros(len(x), dtype=torch.int64)
        return Numbers(torch.from_numpy(x), torch.from_numpy(steering), labels)

    @torch.inference_mode()
    def likelihood(self, observations: Observations) -> Likelihood:
        """Give the log-likelihoods of observations; counts stand in the middle of their steps."""
        assert self.flow is not None
        assert self.reading is not None
        flow = self.flow
        numbers = on(self.numbers(observations), device_of(flow))
        even = torch.full_like(flow.log_weights, -float(np.log(self.shape.classes)))
        parts = []
        for rows in torch.arange(len(numbers), device=even.device).split(ROWS):
            z, log_det = flow.latent(numbers[rows])
            log_det = log_det + self.reading.log_det
            each = flow.mixture.log_each(z)
            class_part, style_part = flow.mixture.parts(z, even)
            total = torch.logsumexp(each + even, dim=1) + log_det
            parts.append((total, class_part, style_part, each + log_det[:, None], z))
        joined = (to_numpy(torch.cat(one).double()) for one in zip(*parts, strict=True))
        return Likelihood(*joined)

    @property
    def means(self) -> FloatArray:
        """The means of the latent mixture, shape (classes, dim)."""
        assert self.flow is not None
        return to_numpy(self.flow.mixture.means.double())

    def to(self, device: torch.device) -> FittedIBINN:
        """Give the same on a device; the start stays on the processor."""
        classifier, flow = (
            None if one is None else deepcopy(one).to(device)
            for one in (self.classifier, self.flow)
        )
        return replace(self, classifier=classifier, flow=flow)

    def describe(self) -> str:
        """Say what it is in half a line."""
        assert self.reading is not None
        size = sum(p.numel() for p in self.classifier.parameters()) if self.classifier else 0
        what = "learned features" if self.reading.learned else "observables"
        return (
            f"classifier of {size:,} weights, and an IB-INN (gamma {self.settings.gamma:g}) of "
            f"{self.reading.dim} {what}"
        )

    def _batches(self, observations: Observations) -> list[Batch]:
        rows = range(0, max(len(observations), 1), ROWS)
        return [Batch.of(observations[i : i + ROWS], self.scaling) for i in rows]

    # -- files -------------------------------------------------------------------------------------

    def to_arrays(self) -> tuple[dict[str, Any], Groups]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        assert self.classifier is not None
        assert self.reading is not None
        config = {
            "name": self.settings.name,
            "settings": {f.name: getattr(self.settings, f.name) for f in fields(self.settings)},
            "histories": [history.to_config() for history in self.histories],
            "shape": asdict(self.shape),
        }
        groups: dict[str, Mapping[str, AnyArray]] = {
            "classifier": weights.to_arrays(self.classifier),
            "scaling": self.scaling.to_arrays(),
            "reading": self.reading.to_arrays(),
        }
        if self.start is not None:
            groups["start"] = self.start.to_arrays()
        if self.flow is not None:
            groups["flow"] = weights.to_arrays(self.flow)
        return config, groups

    @classmethod
    def read(
        cls, settings: IBINNSettings, config: Mapping[str, Any], arrays: Groups
    ) -> FittedIBINN:
        """Read back what `to_arrays` gave."""
        shape = Shape.from_config(config["shape"])
        reading = Reading.from_arrays(arrays["reading"])
        start = Start.from_arrays(arrays["start"]) if "start" in arrays else None
        histories = tuple(History.from_config(dict(h)) for h in config["histories"])
        with seeded(0):
            classifier = Classifier(settings, shape)
        weights.from_arrays(classifier, arrays["classifier"])
        scaling = Scaling.from_arrays(arrays["scaling"])
        one = cls(settings, histories, scaling, start, shape, classifier, reading)
        if "flow" not in arrays:
            return one
        log_weights = torch.from_numpy(arrays["flow"]["log_weights"])
        with seeded(0):
            flow = LatentNetwork(
                settings, reading.dim, reading.givens.shape[1], shape.classes, log_weights
            )
        weights.from_arrays(flow, arrays["flow"])
        return replace(one, flow=flow)
