"""Generative classifiers with an information bottleneck (dissertation, ch. 5)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sbi_inn.methods.ib_inn.calibration import LogitCalibration
from sbi_inn.methods.ib_inn.data import LabelledData
from sbi_inn.methods.ib_inn.ensemble import FittedClassifiers, logits_of
from sbi_inn.methods.ib_inn.settings import IBINNSettings
from sbi_inn.methods.ib_inn.training import prepare, train
from sbi_inn.methods.protocols import Groups
from sbi_inn.simulation.seeds import Stream, generator, sequence
from sbi_inn.training.device import placed
from sbi_inn.training.settings import Training
from sbi_inn.training.side_by_side import train_all
from sbi_inn.training.stated import check_jobs, check_number
from sbi_inn.training.workers import cores

# Seconds that a step of training takes, and below which more processes are not worth their start.
STEP, WORTH_IT = 5e-3, 6.0


@dataclass(frozen=True)
class IBINN(IBINNSettings):  # noqa: D101 (that of its settings)
    __doc__ = IBINNSettings.__doc__

    def fit(
        self,
        data: LabelledData,
        training: Training,
        *,
        members: int = 4,
        n_jobs: int = -1,
        seed: int,
        progress: bool = True,
    ) -> FittedClassifiers:
        """Train several networks on labelled observations, and calibrate them.

        Parameters
        ----------
        data : LabelledData
        training : Training
            Of the classifier and of the flow, each.
        members : int
        n_jobs : int
            Processes; it does not change the result.
        seed : int
        progress : bool
        """
        check_number("ensemble", members, whole=True)
        check_jobs(n_jobs)
        began = time.perf_counter()
        settings = self.resolve(len(data.train))
        prepared = prepare(settings, data, seed)
        processes = self._processes(training, len(data.train), members, n_jobs)
        if training.max_seconds is not None:  # those that follow each other on one core share it
            turns = math.ceil(members / processes)
            training = replace(training, max_seconds=training.max_seconds / turns)
        seeds = [sequence(seed, Stream.ENSEMBLE_MEMBERS, i) for i in range(members)]
        names = [f"member{place}" for place in range(members)]
        # A start is exact far out, and its noise is common to all that begin with it: half do.
        jobs = [
            partial(
                train,
                settings,
                data,
                prepared if place % 2 == 0 else replace(prepared, start=None),
                training.below(name),
                int(own.generate_state(1)[0]),
            )
            for place, (name, own) in enumerate(zip(names, seeds, strict=True))
        ]
        trained = train_all(jobs, processes, progress=progress)
        fitted = tuple(one.fitted for one in trained if not one.diverged) or tuple(
            one.fitted for one in trained
        )
        held_out, labels = data.observations[data.validation], data.labels[data.validation]
        logits = np.mean([logits_of(one, held_out) for one in fitted], axis=0)
        rng = generator(seed, Stream.CALIBRATED_CLASSES)
        calibration = LogitCalibration.fit(logits, labels, rng)
        seconds = time.perf_counter() - began
        return FittedClassifiers(fitted, calibration, data.log_weights, seconds)

    def _processes(self, training: Training, n_train: int, members: int, n_jobs: int) -> int:
        """Count the processes to train on; one where training is short, or on a device."""
        if placed(training.device).type != "cpu":
            return 1
        filled = self.schedule(training, n_train).resolve(n_train)
        assert filled.epochs is not None
        assert filled.batch_size is not None
        steps = 2 * filled.epochs * max(1, n_train // filled.batch_size)
        seconds = min(members * steps * STEP, filled.max_seconds or math.inf)
        return 1 if seconds < WORTH_IT else min(cores(n_jobs), members)

    @classmethod
    def read(cls, config: Mapping[str, Any], arrays: Groups) -> FittedClassifiers:
        """Read back what `FittedClassifiers.to_arrays` gave."""
        return FittedClassifiers.read(lambda stored: cls(**stored), config, arrays)
