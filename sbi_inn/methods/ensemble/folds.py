"""An ensemble for a table of its own: every network validates on rows that others are trained on.

With a few hundred rows, a tenth is too small to stop a training or to choose between networks.
Here each fold of the rows is left out of the training of one network of every kind. Together the
networks learn from all rows, and the left-out rows of all folds show which kind is better.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from sbi_inn.methods.ensemble.fitted import FittedEnsemble, mixture
from sbi_inn.methods.ensemble.method import Ensemble, seeds_of, share_of
from sbi_inn.methods.ensemble.training import Member, converged, stacked, train, worthwhile
from sbi_inn.methods.protocols import Renew, TrainingData, declared
from sbi_inn.observation.batch import Observations
from sbi_inn.training.settings import Training
from sbi_inn.training.side_by_side import train_all
from sbi_inn.typing import FloatArray, IntArray

# Rows up to which they are few.
FEW = 2_000
# Folds that few rows, and many, are cut into: what one of them holds validates a network.
FOLDS = 5
FOLDS_OF_MANY = 10


@dataclass(frozen=True)
class Folds:
    """Networks of every kind that an ensemble has, one for each fold that is left out.

    Parameters
    ----------
    ensemble : Ensemble
        Its first two members show which kinds there are. Few rows take twice as many networks as it
        has members, as they are soon trained.
    quick : bool
        Half as many networks.
    """

    cuts_folds: ClassVar[bool] = True

    ensemble: Ensemble
    quick: bool = False

    @property
    def label(self) -> str:
        """What its members are called."""
        return self.ensemble.label

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedEnsemble:
        """Train on all rows but a fold, for each of some folds and each kind.

        Parameters
        ----------
        data : TrainingData
            The rows to validate on are chosen anew among all of them.
        training : Training
            Of each network.
        seed : int
        progress : bool

        Raises
        ------
        ShapeError
            If the method does not take such observations.
        """
        start = time.perf_counter()
        folds = self._folds(len(data.train) + len(data.validation))
        places = [(fold, kind) for fold in range(len(folds)) for kind in range(self._kinds)]
        processes = self.ensemble.processes(training, len(data.train))
        shared = share_of(training, math.ceil(len(places) / processes))
        jobs = [
            partial(
                train,
                self.ensemble.member_at(kind),
                _without(data, folds[fold]),
                shared.below(f"member{place}"),
                s,
            )
            for place, ((fold, kind), s) in enumerate(
                zip(places, seeds_of(seed, len(places)), strict=True)
            )
        ]
        trained = train_all(jobs, processes, progress=progress)
        interrupted = len(trained) < len(jobs) or any(one.interrupted for one in trained)
        members, weights = self._mixed(trained)
        return mixture(
            replace(self.ensemble, method=members[0].fitted.settings),
            tuple(member.fitted for member in members),
            weights,
            seconds=time.perf_counter() - start,
            interrupted=interrupted,
            trained=len(jobs),
        )

    @property
    def _kinds(self) -> int:
        return 1 if declared(self.ensemble.method, "member") is None else 2

    def _folds(self, rows: int) -> list[IntArray]:
        """Cut the rows, and give as many of the folds as are to be left out in turn."""
        few = rows < FEW
        wanted = self.ensemble.members if few else math.ceil(self.ensemble.members / self._kinds)
        wanted = math.ceil(wanted / 2) if self.quick else wanted
        number = max(FOLDS if few else FOLDS_OF_MANY, wanted)
        return np.array_split(np.arange(rows), number)[:wanted]

    def _mixed(self, trained: Sequence[Member]) -> tuple[list[Member], FloatArray]:
        """Weigh the kinds by all rows that were left out, and their networks alike."""
        kinds = [trained[kind :: self._kinds] for kind in range(self._kinds)]
        whole = all(len(kind) == len(kinds[0]) for kind in kinds)
        kept = converged(list(trained))
        if not whole or len(kept) < len(trained):
            return kept, np.full(len(kept), 1 / len(kept))
        density = np.stack([np.concatenate([m.log_density for m in kind]) for kind in kinds])
        chosen = worthwhile(density)
        weights = stacked(density[chosen])
        members = [member for kind in chosen for member in kinds[kind]]
        return members, np.repeat(weights / len(kinds[0]), len(kinds[0]))


def _without(data: TrainingData, fold: IntArray) -> TrainingData:
    """Leave a fold out of the training, among all rows; it validates."""
    rows = np.concatenate([data.train, data.validation])
    train = np.delete(rows, fold)
    renew = data.renew
    if renew is not None:
        assert not len(data.validation)
        renew = partial(_renewed, renew, np.delete(np.arange(len(rows)), fold))
    return replace(data, train=train, validation=rows[fold], renew=renew, in_folds=True)


def _renewed(renew: Renew, rows: IntArray, rng: np.random.Generator) -> Observations:
    return renew(rng)[rows]


def in_folds(method: Any, *, quick: bool = False) -> Any:
    """Let the networks of an ensemble take turns in the rows they validate on.

    Another method stays as it is.
    """
    return Folds(method, quick) if isinstance(method, Ensemble) else method
