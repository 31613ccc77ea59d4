"""The bidirectionally trained invertible network (dissertation, ch. 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from sbi_inn.methods.bidirectional.fitted import FittedINN
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Triples
from sbi_inn.methods.bidirectional.settings import INNSettings
from sbi_inn.methods.bidirectional.sides import Sides, categorical
from sbi_inn.methods.bidirectional.training import check_observations, forward_errors, learn
from sbi_inn.methods.protocols import Groups, TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Scaling
from sbi_inn.training import weights
from sbi_inn.training.history import History, tupled
from sbi_inn.training.loop import seeded
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray


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
        check_observations(data.observations)
        train, renew = data.train, data.renew
        scaling = Scaling.fit(data.observations[train])

        def scaled(latents: FloatArray, observations: Observations) -> Triples:
            return Triples.of(latents, scaling.vectors(observations), observations.givens)

        rows = scaled(data.latents, data.observations)
        seen, unseen = (rows[torch.from_numpy(part)] for part in (train, data.validation))
        settings = self.resolve(data.dim, seen.y.numpy())
        sides = settings.sides(data.dim, seen.y.shape[1], seen.given.shape[1])
        with seeded(seed):
            network = BidirectionalNetwork(sides, settings)
        assert settings.blur is not None
        history = learn(
            settings,
            network,
            seen,
            unseen,
            settings.schedule(training, len(train)),
            seed=seed,
            blur=settings.blur,
            renew=None if renew is None else lambda rng: scaled(data.latents[train], renew(rng)),
            progress=progress,
        )
        exact = categorical(data.observations.vector[train, : sides.observables])
        residual, typical = forward_errors(settings, network, unseen, exact)
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
