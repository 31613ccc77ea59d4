"""Simulations that training has never seen, for the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbi_inn.observation.batch import Observations, join
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.typing import FloatArray

# What they may take.
SECONDS = 10.0
# Share of those that are missing, which is worth it.
WORTHWHILE = 0.1
# A simulation takes no less, whatever was measured.
SHORTEST = 1e-9


@dataclass(frozen=True)
class TestSet:
    """Simulations that training has never seen.

    Attributes
    ----------
    truth : array, shape (n, dim)
        True parameters, flat.
    observations : Observations
        As many rows.
    """

    truth: FloatArray
    observations: Observations

    def __len__(self) -> int:
        return len(self.truth)

    def head(self, n: int) -> TestSet:
        """Keep the first `n`."""
        return TestSet(self.truth[:n], self.observations[:n])

    @classmethod
    def of(cls, simulations: Simulations, rows: Any = None) -> TestSet:
        """Take rows of a table (default: those that succeeded)."""
        truth = simulations.prior.flatten(simulations.parameters(rows))
        return cls(truth, simulations.observations(rows))

    def topped_up(
        self,
        n: int,
        problem: Problem | None,
        seconds: float,
        seed: int,
        *,
        schema: Schema,
        infer: Sequence[str] | None = None,
    ) -> TestSet:
        """Add fresh simulations up to `n`, as many as ten seconds allow, where that is many enough.

        Parameters
        ----------
        n : int
        problem : Problem or None
        seconds : float
            What one simulation takes.
        seed : int
        schema : Schema
            What one observation looks like.
        infer : sequence of str, optional
            The parameters that are inferred, if not all are.

        Raises
        ------
        SimulationError
            If the simulator returns something else.
        """
        missing = n - len(self)
        affordable = min(missing, int(SECONDS / max(seconds, SHORTEST)))
        if problem is None or affordable < max(1, WORTHWHILE * missing):
            return self
        try:
            table = run(
                problem, n=affordable, seed=seed, progress=False, stream=Stream.TEST_SIMULATIONS
            )
        except SimulationError as error:
            table = error.simulations
            if table is None or not 0 < len(table) == len(table.failures):
                raise
            return self  # every one failed, which re-simulation says
        _check_same(table.schema, schema)
        fresh = TestSet.of(table.inferring(infer))
        return TestSet(
            np.concatenate([self.truth, fresh.truth]),
            join([self.observations, fresh.observations]),
        )


def _check_same(found: Schema | None, expected: Schema) -> None:
    if found is None or found.observables != expected.observables or found.sets != expected.sets:
        raise SimulationError(
            f"expected a simulator of the observables {expected.observables} (names and shapes), "
            f"as in training; got {'none' if found is None else found.observables}"
        )
