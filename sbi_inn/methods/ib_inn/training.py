"""Train an IB-INN: the classifier by its classes alone, then the flow on its inputs.

The density of learned features is unbounded: it grows if they shrink. So the loss of the density
never reaches the classifier. The inputs of the flow are computed once, standardised, and kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from sbi_inn.methods.ib_inn.data import LabelledData
from sbi_inn.methods.ib_inn.fitted import FittedIBINN
from sbi_inn.methods.ib_inn.network import (
    Classifier,
    Dequantise,
    Labelled,
    LatentNetwork,
    Numbers,
    Shape,
)
from sbi_inn.methods.ib_inn.reading import Reading, readable, varies
from sbi_inn.methods.ib_inn.settings import GAMMAS, IBINNSettings
from sbi_inn.methods.ib_inn.start import Start, columns_of, start_of
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Batch, Scaling, not_pixels
from sbi_inn.training.device import device_of, on
from sbi_inn.training.history import History
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.settings import Training

# Share of a budget of time that the classifier has.
CLASSIFIER_SHARE = 0.5


@dataclass(frozen=True)
class Prepared:
    """What all members of an ensemble share: scales, and the start.

    Attributes
    ----------
    scaling : Scaling
    start : Start or None
    shape : Shape
    """

    scaling: Scaling
    start: Start | None
    shape: Shape

    def labelled(self, observations: Observations, labels: Tensor) -> Labelled:
        """Make rows for the classifier."""
        batch = Batch.of(observations, self.scaling)
        return Labelled(batch, labels, start_of(self.start, batch, self.shape.classes))


def prepare(settings: IBINNSettings, data: LabelledData, seed: int) -> Prepared:
    """Learn the scales of what is read, and the start."""
    seen = data.observations[data.train]
    read = not_pixels(seen)
    scaling = Scaling.fit(seen, read, exact=bool(seen.sets) or varies(seen.vector[:, read]))
    batch = Batch.of(seen, scaling)
    shape = Shape.of(batch, data.observations, scaling, data.classes)
    columns = columns_of(batch)
    if not settings.start or columns is None:
        return Prepared(scaling, None, shape)
    held_out = columns_of(Batch.of(data.observations[data.validation], scaling))
    assert held_out is not None
    labels = torch.from_numpy(data.labels)
    others = held_out, labels[data.validation]
    start = Start.fit(columns, labels[data.train], others, data.classes, seed)
    return Prepared(scaling, start, shape)


@dataclass(frozen=True)
class Member:
    """A trained network, as `train_all` asks for it."""

    fitted: FittedIBINN

    @property
    def interrupted(self) -> bool:
        """Whether its training was ended before its time."""
        return any(h.stopped == "interrupted" for h in self.fitted.histories)

    @property
    def diverged(self) -> bool:
        """Whether a loss turned non-finite."""
        return any(h.stopped == "diverged" for h in self.fitted.histories)


def train(
    settings: IBINNSettings, data: LabelledData, prepared: Prepared, training: Training, seed: int
) -> Member:
    """Train a member; it runs in a process of its own."""
    first = settings.schedule(training, len(data.train))
    first = replace(first, max_seconds=_share(training.max_seconds, CLASSIFIER_SHARE))
    classifier, by_class = _classifier(settings, data, prepared, first, seed)
    began = perf_counter()
    reading = _reading(settings, data, prepared, classifier)
    left = _share(training.max_seconds, 1 - CLASSIFIER_SHARE)
    left = None if left is None else max(left - (perf_counter() - began), 1e-3)
    rest = settings.schedule(training, len(data.train), flow=True)
    rest = replace(rest, max_seconds=left)
    one = FittedIBINN(settings, (by_class,), prepared.scaling, prepared.start, prepared.shape)
    one = replace(one, classifier=classifier, reading=reading)
    if not reading.dim:
        return Member(one)
    numbers = [one.numbers(data.observations[part]) for part in (data.train, data.validation)]
    labels = torch.from_numpy(data.labels)
    seen, held_out = (
        replace(n, labels=labels[part])
        for n, part in zip(numbers, (data.train, data.validation), strict=True)
    )
    log_weights = torch.from_numpy(data.log_weights.astype(np.float32))
    flow = partial(_flow, seen=seen, held_out=held_out, reading=reading, log_weights=log_weights)
    latent, by_density = _chosen(settings, flow, rest, seed)
    settings = latent.settings
    return Member(replace(one, settings=settings, flow=latent, histories=(by_class, by_density)))


def _classifier(
    settings: IBINNSettings, data: LabelledData, prepared: Prepared, training: Training, seed: int
) -> tuple[Classifier, History]:
    """Train the classifier by L_Y alone."""
    labels = torch.from_numpy(data.labels)
    seen, held_out = (
        prepared.labelled(data.observations[part], labels[part])
        for part in (data.train, data.validation)
    )
    with seeded(seed):
        classifier = Classifier(settings, prepared.shape)
    renew = data.renew

    def again(rng: np.random.Generator) -> Labelled:
        assert renew is not None
        return prepared.labelled(renew(rng), labels[data.train])

    history = fit(
        classifier,
        classifier.loss,
        seen,
        held_out,
        training,
        seed=seed,
        renew=None if renew is None else again,
        quantity="cross-entropy [nats]",
        stage="classifier",
        progress=False,
    )
    return classifier, history


def _reading(
    settings: IBINNSettings, data: LabelledData, prepared: Prepared, classifier: Classifier
) -> Reading:
    seen = data.observations[data.train]
    if settings.reads != "features" and readable(seen):
        return Reading.of_observables(seen)
    if settings.reads == "observables":
        raise ValueError(
            'IBINN(reads="observables") needs at most 64 observables of fixed shape without gaps, '
            'and no images: leave reads="auto"'
        )
    one = FittedIBINN(settings, (), prepared.scaling, prepared.start, prepared.shape)
    table = replace(one, classifier=classifier).features(seen)
    return Reading.of_features(table, seen, settings.components)


def _flow(
    settings: IBINNSettings,
    training: Training,
    seed: int,
    *,
    seen: Numbers,
    held_out: Numbers,
    reading: Reading,
    log_weights: Tensor,
) -> tuple[LatentNetwork, History]:
    """Train the flow on numbers that do not change any more."""
    with seeded(seed):
        network = LatentNetwork(
            settings, seen.x.shape[1], seen.steering.shape[1], len(log_weights), log_weights
        )
    steps = torch.from_numpy(reading.steps.astype(np.float32))
    if reading.learned:
        steps = torch.zeros(reading.dim)
    history = fit(
        network,
        network.loss,
        seen,
        held_out,
        training,
        seed=seed,
        augment=Dequantise(steps, settings.noise * reading.noise),
        quantity="loss of the information bottleneck",
        stage=f"flow-{settings.gamma}",
        progress=False,
    )
    return network, history


def _chosen(
    settings: IBINNSettings,
    flow: partial[tuple[LatentNetwork, History]],
    training: Training,
    seed: int,
) -> tuple[LatentNetwork, History]:
    """Train the flow with the gamma that is asked for, or the smallest that classifies well."""
    if not isinstance(settings.gamma, str):
        return flow(settings, training, seed)
    share = replace(training, max_seconds=_share(training.max_seconds, 1 / len(GAMMAS)))
    tried = [flow(replace(settings, gamma=gamma), share, seed) for gamma in GAMMAS]
    held_out = on(flow.keywords["held_out"], device_of(tried[0][0]))
    with torch.no_grad():
        losses = torch.stack([network.losses(held_out)[1] for network, _ in tried]).double()
    best = losses[int(losses.mean(dim=1).argmin())]
    worse = losses - best
    error = worse.std(dim=1) / math.sqrt(losses.shape[1])
    good = (worse.mean(dim=1) <= error).nonzero()
    return tried[int(good[0])]


def _share(seconds: float | None, share: float) -> float | None:
    return None if seconds is None else share * seconds
