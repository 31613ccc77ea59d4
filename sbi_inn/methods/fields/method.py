"""Conditional invertible networks of fields: how they are trained, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.methods.cinn.method import CINN
from sbi_inn.methods.fields.fitted import FittedField
from sbi_inn.methods.fields.forward import Forward, learn
from sbi_inn.methods.fields.gaussian import GaussianPosterior
from sbi_inn.methods.fields.inputs import Inputs, channels_of
from sbi_inn.methods.fields.left_to_learn import left_to_learn
from sbi_inn.methods.fields.network import FieldNetwork, FieldPairs, FieldShape
from sbi_inn.methods.fields.normals import Normals
from sbi_inn.methods.fields.settings import FieldSettings
from sbi_inn.methods.protocols import Fitted, Groups, TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.prior.root import Fourier
from sbi_inn.summary_networks import Scaling, Widths, not_pixels
from sbi_inn.training import weights
from sbi_inn.training.history import History, tupled
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray, IntArray

LOOSE = (1.0, 1.3, 2.0, 4.0, 10.0, 100.0, np.inf)
"""What the variance of the noise is multiplied by, in turn, as long as that is better."""

JUDGED = 200
"""Validation rows that this is decided on, if they all have a factor of their own."""

PREPARING = 240.0
"""Seconds that factors of training rows may take; then there are fewer rows."""

WORTH_IT = 1e-3
"""Nats a pixel that have to be left to learn, for a network to be trained."""

FEWEST = 500
"""Rows, below which no network is trained."""


@dataclass(frozen=True)
class FieldCINN(FieldSettings):  # noqa: D101 (that of its settings)
    __doc__ = FieldSettings.__doc__

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedField:
        """Train on pairs of parameters and observations.

        Parameters
        ----------
        data : TrainingData
            With one field.
        training : Training
            Of the network, and of that of the other parameters.
        seed : int
        progress : bool

        Raises
        ------
        PriorError
            If there is no field, or more than one.
        ShapeError
            If `lift` gives no image on the field's grid.
        """
        if len(data.fields) != 1:
            raise PriorError(
                f"FieldCINN is for a prior with one field, and any number of other parameters; got "
                f"{', '.join(place.name for place in data.fields) or 'none'}"
            )
        (place,), began = data.fields, perf_counter()
        fields = place.gaussian(data.latents)
        start = self._start(data, fields)
        others = np.setdiff1d(np.arange(data.dim), np.arange(data.dim)[place.latents])
        numbers = self._numbers(data, others, training, seed, progress) if len(others) else None
        untrained = FittedField(
            self, _nothing(perf_counter() - began), start, place, others, numbers, None
        )
        return self._corrected(untrained, data, fields, training, seed, progress)

    def read(self, config: Mapping[str, Any], arrays: Groups) -> FittedField:
        """Read back what `FittedField.to_arrays` gave; the place of the field comes later.

        Raises
        ------
        LoadError
            If it needs a function `lift` that is not given.
        """
        if config["lift"] and self.lift is None:
            raise LoadError(
                "the posterior was trained with lift=, which is code that no file holds: expected "
                "it again, load_posterior(path, method=si.FieldCINN(lift=...))"
            )
        settings = replace(self, **{**tupled(config["settings"]), "lift": self.lift})
        start = GaussianPosterior(
            Normals.from_arrays(arrays["normals"]),
            Forward.from_arrays(arrays["forward"]),
            config["loose"],
        )
        numbers = None
        if config["numbers"] is not None:
            groups = {
                name.removeprefix("numbers-"): group
                for name, group in arrays.items()
                if name.startswith("numbers-")
            }
            numbers = CINN().read(config["numbers"], groups)
        found = FittedField(
            settings,
            History.from_config(config["history"]),
            start,
            None,
            arrays["places"]["others"],
            numbers,
            None,
        )
        if config["shape"] is None:
            return found
        shape = FieldShape.from_config(config["shape"])
        with seeded(0):
            network = FieldNetwork(settings, shape)
        weights.from_arrays(network, arrays["weights"])
        inputs = Inputs.from_arrays(arrays["inputs"], self.lift)
        scaling = Scaling.from_arrays(arrays["scaling"])
        return replace(found, parts=(network, shape, inputs, scaling))

    def _start(self, data: TrainingData, fields: FloatArray) -> GaussianPosterior:
        """Learn the Gaussian posterior."""
        (place,), folds = data.fields, (data.train, data.validation)
        normals = Normals.learn(place, data.latents, folds)
        numbers = np.delete(data.latents, place.latents, axis=1)
        typical = normals.roots[len(normals.roots) // 2] if place.white else None
        forward = learn(fields, numbers, data.observations, folds, typical)
        start = GaussianPosterior(normals, forward)
        rows = data.validation[:JUDGED]
        seen = start.read(data.observations[rows], numbers[rows])
        cells = normals.cells(data.latents[rows][:, normals.parents])
        best, least = start, -np.inf
        for loose in LOOSE:
            tried = replace(start, loose=loose, _kept=type(start._kept)())
            log_variance = seen.log_variance + np.log(loose)
            score = tried.log_prob(
                fields[rows].reshape(len(rows), -1), replace(seen, log_variance=log_variance), cells
            ).mean()
            if not score > least:
                break
            best, least = tried, score
        return best

    def _numbers(
        self, data: TrainingData, others: IntArray, training: Training, seed: int, progress: bool
    ) -> Fitted:
        """Learn the parameters beside the field."""
        places = {int(latent): place for place, latent in enumerate(others)}
        cuts = tuple((places[axis], ends) for axis, ends in data.cuts if axis in places)
        alone = replace(data, latents=data.latents[:, others], cuts=cuts, fields=())
        return CINN().fit(alone, training, seed=seed, progress=progress)

    def _corrected(
        self,
        untrained: FittedField,
        data: TrainingData,
        fields: FloatArray,
        training: Training,
        seed: int,
        progress: bool,
    ) -> FittedField:
        """Train the network, and keep it if validation rows are likelier with it."""
        began, sides = perf_counter(), fields.shape[1:]
        seen = data.observations[data.train]
        inputs = Inputs.fit(seen[: 2 * FEWEST] if self.lift else seen, sides, self.lift)
        scaling = _scaling(seen, sides)
        train, validation = (
            rows[: _affordable(untrained.start, data.observations[rows], len(rows))]
            for rows in (data.train, data.validation)
        )
        if self.flow is False or len(train) < FEWEST:
            return untrained

        def pairs(rows: IntArray) -> FieldPairs:
            observations = data.observations[rows]
            return untrained.pairs(
                fields[rows], data.latents[rows][:, untrained.others], observations, inputs, scaling
            )

        held_out = pairs(validation)
        if self.flow == "auto" and _enough(held_out):
            return untrained
        learned = pairs(train)
        shape = _shape(untrained, held_out, scaling, inputs, seen.series)
        with seeded(seed):
            network = FieldNetwork(self, shape)
        settings = self.schedule(training, len(train))
        before = _mean_loss(network, held_out)
        history = fit(
            network, network.loss, learned, held_out, settings, seed=seed, progress=progress
        )
        seconds = untrained.history.seconds + perf_counter() - began
        after = _mean_loss(network, held_out)
        if not after < before:
            return replace(untrained, history=replace(history, seconds=seconds))
        parts = (network, shape, inputs, scaling)
        return replace(untrained, history=replace(history, seconds=seconds), parts=parts)


def _nothing(seconds: float) -> History:
    """Give the history of no training."""
    return History((0.0,), (np.nan,), (np.nan,), 0.0, "finished", 0, seconds)


def _shape(
    untrained: FittedField,
    pairs: FieldPairs,
    scaling: Scaling,
    inputs: Inputs,
    series: tuple[str, ...],
) -> FieldShape:
    """Read off what a network reads."""
    roots = untrained.start.normals.roots
    return FieldShape(
        sides=untrained.start.sides,
        channels=inputs.channels,
        numbers=len(untrained.others),
        circular=bool(roots) and isinstance(roots[0], Fourier),
        **vars(Widths.read_off(pairs.batch, scaling, series)),
    )


def _scaling(observations: Observations, sides: tuple[int, ...]) -> Scaling:
    """Learn the scales of all that is observed but images on the field's grid."""
    on_grid = np.asarray((channels_of(observations, sides) >= 0).any(axis=0))
    plain = not_pixels(observations)
    found = Scaling.fit(observations, plain[~on_grid[plain]], scores=False)
    grids = {n: g for n, g in found.grids.items() if not on_grid[g.features].any()}
    return replace(found, grids=grids)


def _affordable(start: GaussianPosterior, observations: Observations, n: int) -> int:
    """Count the rows whose factors can be found in time: all, where they share them."""
    seen = start.read(observations, np.zeros((1, start.forward.others.shape[1])))
    few = min(n, 8)
    if start.factors(seen) <= 2 * len(start.normals.means) + few:
        return n
    began = perf_counter()
    cells = np.zeros(few, np.int64)
    start.colour(np.zeros((few, int(np.prod(start.sides)))), seen[np.arange(few)], cells)
    each = (perf_counter() - began) / few
    return int(np.clip(PREPARING / each, few, n))


def _enough(pairs: FieldPairs) -> bool:
    """Say whether the start leaves nothing to learn, whichever field of a mixture it is."""
    images = pairs.images[:, :, 0].numpy()
    likeliest = (pairs.log_density - pairs.left.square().sum(dim=2) / 2).argmax(dim=1)
    rows = np.arange(len(pairs))
    left = pairs.left.numpy()[rows, likeliest.numpy()].reshape(-1, *images.shape[2:])
    return left_to_learn(left, images[rows, likeliest.numpy()]) < WORTH_IT


@torch.no_grad()
def _mean_loss(network: FieldNetwork, pairs: FieldPairs) -> float:
    network.eval()
    rows = torch.arange(len(pairs)).split(256)
    return float(torch.cat([network.loss(pairs[r]) for r in rows]).double().mean())
