"""Conditional invertible networks (dissertation, ch. 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from torch import nn

from sbi_inn.errors import LoadError
from sbi_inn.methods.cinn.exact_start import as_rows_allow, discrete, may_learn, with_likelihood
from sbi_inn.methods.cinn.fitted import FittedCINN
from sbi_inn.methods.cinn.network import DropoutAndBlur, Network, Pairs, Shape
from sbi_inn.methods.cinn.readings import best_reading
from sbi_inn.methods.cinn.settings import CINNSettings
from sbi_inn.methods.cinn.training import learn
from sbi_inn.methods.cinn.weighed import Power, WeighedCINN, weighed
from sbi_inn.methods.protocols import Groups, TrainingData
from sbi_inn.summary_networks import Decades, OwnNet, Parts, Scaling, informative, not_pixels
from sbi_inn.training import weights
from sbi_inn.training.history import History, tupled
from sbi_inn.training.loop import seeded
from sbi_inn.training.settings import Training
from sbi_inn.typing import AnyArray

# How the names of weights begin, where the summary network is the user's own.
OWN = "summary.module."


@dataclass(frozen=True)
class CINN(CINNSettings):  # noqa: D101 (that of its settings)
    __doc__ = CINNSettings.__doc__

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedCINN:
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
            If a summary network of the user's own cannot read the observations.
        """
        began = perf_counter()

        def learned(scaling: Scaling, training: Training) -> FittedCINN:
            return self._learned(data, scaling, training, seed, progress)

        scaling = self._scaling(data)
        other = self._other_reading(scaling, data)
        spent = perf_counter() - began
        left = self.schedule(training, data.rows).after(spent)
        if other is None:
            return learned(scaling, left).started_in(spent)
        found = best_reading((scaling, other), learned, left, progress=progress)
        return found.started_in(spent)

    def _learned(
        self, data: TrainingData, scaling: Scaling, training: Training, seed: int, progress: bool
    ) -> FittedCINN:
        """Train a network that reads observations in one way; its start is part of the time."""
        began = perf_counter()
        observations, n_train = data.observations, data.rows
        sets = len(observations.sets) > len(observations.series)
        series = bool(observations.series or scaling.curves)
        settings = self.resolve(n_train, data.dim, sets=sets, series=series)
        assert settings.dropout is not None
        scaling, likely = self._likelihood_of(scaling, data)
        seen, held_out = (
            Pairs.of(data.latents[part], observations[part], scaling)
            for part in (data.train, data.validation)
        )
        network, shape = settings._network(data, seen, scaling, likely, seed)
        beaten = self.beat is None
        if beaten or shape.emulated:
            seen = network.start_from(seen, scaling.exact and scaling.exact.own)
            held_out = network.asked(held_out)
            # A start by entries may be behind other networks, and lead to one that is ahead.
            most = math.inf if shape.of_sets else self.beat
            beaten = most is None or network.started(held_out) < most
        spent = perf_counter() - began
        if not beaten:
            plain, left = replace(self, start="trained", beat=None), training.after(spent)
            return plain.fit(data, left, seed=seed, progress=progress).started_in(spent)
        history = learn(
            network,
            seen.streamed(data, scaling),
            held_out,
            training.after(spent),
            seed=seed,
            augment=DropoutAndBlur(network.dropout, settings.dropout, settings.blur),
            renew=seen.renewed(data, scaling),
            features_first=bool(scaling.grids),
            progress=progress,
        )
        found = FittedCINN(settings, history, scaling, network, shape)
        return weighed(found, data).started_in(spent)

    def read(self, config: Mapping[str, Any], arrays: Groups) -> FittedCINN:
        """Read back what `FittedCINN.to_arrays` gave, with the summary network if it was own.

        Raises
        ------
        LoadError
            If that network is missing, or another one.
        """
        stored = tupled(config["settings"])
        pieces = stored.pop("pieces", ())  # where files of 0.1 have the cuts
        shape = Shape.from_config({"cuts": pieces, **config["shape"]})
        own = _given_again(self.summary, shape, stored["summary"], arrays["weights"])
        settings = replace(self, **stored | {"summary": self.summary})
        with seeded(0):
            network = Network(settings, shape, 0, own)
        weights.from_arrays(network, arrays["weights"])
        scaling = Scaling.from_arrays(arrays["scaling"])
        parts = (settings, History.from_config(config["history"]), scaling, network, shape)
        if "power" in config:
            return WeighedCINN(*parts, Power(*config["power"]))
        return FittedCINN(*parts)

    def _scaling(self, data: TrainingData) -> Scaling:
        """Learn the scales of what is read from the training rows."""
        own, read = self.summary != "auto", None
        raw = data.observations[data.train]
        decades = Decades.none() if own else Decades.fit(raw)
        data = replace(data, observations=decades(data.observations))
        seen = data.observations[data.train]
        if self.screening and not own:
            plain = not_pixels(seen)
            read = plain[informative(data.latents[data.train], seen.vector[:, plain])]
        scaling = Scaling.fit(
            raw,
            read,
            scores=not own,
            exact=self._may_start_exact(data),
            likelihood=self._learns_likelihood(data),
            alike=data.in_folds,
            statistics=self.reads_statistics,
            curves=self.reads_curves and not own,
            ordered=not own and not self.reads_curves,
            decades=decades,
            latents=data.latents[data.train],
        )
        return replace(scaling, exact=scaling.exact and as_rows_allow(scaling.exact, data))

    def _other_reading(self, scaling: Scaling, data: TrainingData) -> Scaling | None:
        """Give another way to read that may be better: decades also as they are.

        A start in closed form reads logarithms alone. Rows that are simulated for each pass, or
        lie on disk, are too dear to try.
        """
        if scaling.exact is not None or data.stream is not None or data.fresh is not None:
            return None
        return scaling.with_what_is_logged(data.observations[data.train])

    def _may_start_exact(self, data: TrainingData) -> bool:
        """Whether a start in closed form is wanted, and parameters and observables allow it."""
        if not self.starts_exact or self.summary != "auto" or data.cuts:
            return False
        if (
            self.start == "auto"
            and self.learns_likelihood
            and (not may_learn(data) or discrete(data))
        ):
            return False  # the fourth network would be what the second is
        return not data.observations.grids

    def _learns_likelihood(self, data: TrainingData) -> bool:
        """Whether a start in closed form learns a likelihood: of choices and counts, always.

        Parameters are far from a linear function of these.
        """
        return self.learns_likelihood or data.in_folds or discrete(data)

    def _likelihood_of(
        self, scaling: Scaling, data: TrainingData
    ) -> tuple[Scaling, tuple[int, ...]]:
        """Say how all is read, and of which features a likelihood is learned, if one is."""
        if not scaling.exact or not self._learns_likelihood(data):
            return scaling, ()
        as_read = replace(data, observations=scaling.decades(data.observations))
        exact, columns = with_likelihood(scaling.exact, as_read, self.beat)
        return replace(scaling, exact=exact), columns

    def _network(
        self,
        data: TrainingData,
        seen: Pairs,
        scaling: Scaling,
        likely: tuple[int, ...],
        seed: int,
    ) -> tuple[Network, Shape]:
        net = None
        shape = Shape.of(seen, data, scaling, likely, self.beside)
        with seeded(seed):
            if self.summary != "auto":
                net = OwnNet.fresh(self.summary, Parts.of(data.observations), seen.batch)
                shape = replace(shape, own=net.parts, features=net.features)
            return Network(self, shape, seed, net), shape


def _given_again(
    summary: nn.Module | str, shape: Shape, saved: str, arrays: Mapping[str, AnyArray]
) -> OwnNet | None:
    """Give a user's own network its weights, in a copy; None where there is none."""
    if shape.own is None:
        if isinstance(summary, nn.Module):
            raise LoadError(
                f"expected no summary network, as the file holds one of ours; got {summary!r:.80}"
            )
        return None
    if not isinstance(summary, nn.Module):
        raise LoadError(
            f"the summary network {saved} is code, which no file holds: expected it again, "
            f"load_posterior(path, summary={saved}(...)); got None"
        )
    module = deepcopy(summary)
    try:
        own = {n.removeprefix(OWN): w for n, w in arrays.items() if n.startswith(OWN)}
        module.load_state_dict({name: torch.from_numpy(weight) for name, weight in own.items()})
    except RuntimeError as error:
        raise LoadError(
            f"expected the summary network that was saved, {saved}; got {type(summary).__name__}, "
            f"whose weights differ: {error}"
        ) from error
    return OwnNet(module, shape.own, shape.features)
