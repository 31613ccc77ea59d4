"""Fresh simulations in every pass of a training, so that no row is seen twice."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from sbi_inn.methods.latents import latents
from sbi_inn.methods.protocols import Fitted, declared
from sbi_inn.observation.batch import Observations
from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray

# Passes that no budget of time allows.
ENDLESS = 1_000_000


def endless(training: Training, method: Any, *, done: bool) -> Training:
    """Look at whether fresh simulations can be made; as many passes as the time allows.

    Raises
    ------
    SimulationError
        If all is simulated already, and there is no simulator.
    ValueError
        If the method cannot be trained like that, or nothing says for how long.
    """
    if not declared(method, "takes_fresh"):
        raise ValueError(f'online=True is for method="cinn"; got {method.label}')
    if done:
        raise SimulationError("online=True simulates while training: it needs a simulator")
    if training.epochs is None and training.max_seconds is None:
        raise ValueError(
            "online=True needs a limit of the training: fit_posterior(..., "
            "training=si.Training(max_seconds=600))"
        )
    return replace(training, epochs=training.epochs or ENDLESS)


def seen_once(fitted: Fitted, rows: int) -> int:
    """Count the simulations that were made while training."""
    return sum((ceil(one.epoch[-1]) - 1) * rows for one in fitted.histories)


def fresh(
    problem: Problem, prior: Prior, rows: int, rng: np.random.Generator
) -> tuple[FloatArray, Observations]:
    """Simulate as many rows as are asked for, in this process; those that fail are left out."""
    seed = int(rng.integers(2**63))
    table = run(problem, n=rows, n_jobs=1, seed=seed, progress=False, stream=Stream.ONLINE)
    table = replace(table, prior=prior)
    return latents(table, table.ok, seed=seed), table.observations()
