"""The bidirectionally trained invertible network (dissertation, ch. 4)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sbi_inn.errors import ShapeError
from sbi_inn.methods.bidirectional.fitted import FittedINN
from sbi_inn.methods.bidirectional.losses import Likelihood, MeanDiscrepancy
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Triples
from sbi_inn.methods.bidirectional.noise import BlurAndNoise
from sbi_inn.methods.bidirectional.settings import INNSettings
from sbi_inn.methods.bidirectional.sides import Sides, categorical
from sbi_inn.methods.protocols import Groups, TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Scaling
from sbi_inn.training import weights
from sbi_inn.training.device import device_of, on, to_numpy
from sbi_inn.training.history import History, tupled
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.settings import Training
from sbi_inn.typing import BoolArray, FloatArray

# Beyond this many dimensions a discrepancy hardly sees how two samples differ.
LARGE = 20
# Standard deviation of a Gaussian over its median absolute value.
GAUSSIAN = 1.4826


@dataclass(frozen=True)
class INN(INNSettings):  # noqa: D101 (that of its settings)
    __doc__ = INNSettings.__doc__

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedINN:
        """Train on pairs of parameters and observations.

        Parameters
        ----------
        data : TrainingData
        training : Training
        seed : int
            Of the initial weights, the mixing matrices and the order of the rows.
        progress : bool

        Raises
        ------
        ShapeError
            If observations hold sets, series, images or missing values.
        """
        _check_observations(data.observations)
        train, renew = data.train, data.renew
        scaling = Scaling.fit(data.observations[train])

        def scaled(latents: FloatArray, observations: Observations) -> Triples:
            return Triples.of(latents, scaling.vectors(observations), observations.givens)

        rows = scaled(data.latents, data.observations)
        seen, unseen = (rows[torch.from_numpy(part)] for part in (train, data.validation))
        settings = self.resolve(data.dim, to_numpy(seen.y))
        sides = settings.sides(data.dim, seen.y.shape[1], seen.given.shape[1])
        with seeded(seed):
            network = BidirectionalNetwork(sides, settings)
        loss = settings._loss(network)
        assert settings.blur is not None
        noise = BlurAndNoise(sides, loss.padding, settings.blur)
        history = fit(
            network,
            loss,
            seen,
            unseen,
            settings.schedule(training, len(train)),
            seed=seed,
            augment=noise,
            renew=None if renew is None else lambda rng: scaled(data.latents[train], renew(rng)),
            score=lambda rows: loss(noise.fixed(rows)),
            quantity=loss.quantity,
            progress=progress,
        )
        exact = categorical(data.observations.vector[train, : sides.observables])
        residual, typical = _forward_errors(settings, network, unseen, exact)
        return FittedINN(settings, history, scaling, network, residual, typical)

    def read(self, config: Mapping[str, Any], arrays: Groups) -> FittedINN:
        """Read back what `FittedINN.to_arrays` gave."""
        settings = replace(self, **tupled(config["settings"]))
        with seeded(0):
            network = BidirectionalNetwork(Sides(**config["layout"]), settings)
        weights.from_arrays(network, arrays["weights"])
        scaling = Scaling.from_arrays(arrays["scaling"])
        history = History.from_config(config["history"])
        return FittedINN(settings, history, scaling, network, **arrays["errors"])

    def _loss(self, network: BidirectionalNetwork) -> Likelihood | MeanDiscrepancy:
        if self.loss == "likelihood":
            return Likelihood(network)
        if network.sides.width > LARGE:
            warnings.warn(
                f"mean discrepancies say little in more than about {LARGE} dimensions; here are "
                f'{network.sides.width}. INN(loss="likelihood") has no such limit',
                stacklevel=3,
            )
        return MeanDiscrepancy(network, self.widths, self.terms)


def _check_observations(observations: Observations) -> None:
    kinds = {
        "sets": [name for name in observations.sets if name not in observations.series],
        "series": observations.series,
        "images": observations.grids,
    }
    got = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    if got or observations.vector.shape[1] == observations.givens:
        raise ShapeError(
            "the bidirectional INN predicts one vector of observables; got "
            f'{"; ".join(got) or "none"}. Use method="cinn"'
        )
    if np.isnan(observations.vector).any():
        raise ShapeError(
            "the bidirectional INN predicts observables, none of which may be missing; got NaN. "
            'Use method="cinn"'
        )


def _forward_errors(
    settings: INN, network: BidirectionalNetwork, unseen: Triples, exact: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Give root-mean-square and typical error of each observable, after the last adjustment."""
    unseen = on(unseen, device_of(network))
    if settings.candidates != 1 and not network.sides.padded:
        network.align(unseen)
    with torch.no_grad():
        errors = np.abs(to_numpy(network.residual(unseen)).astype(np.float64))
    typical = np.where(exact, 0.0, GAUSSIAN * np.median(errors, axis=0))
    return np.sqrt((errors**2).mean(axis=0)), typical
