"""What the checks of a comparison share: labelled simulations, and the probabilities at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sbi_inn.checks.once import Once
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Labelled:
    """Simulated observations, and which model each is of.

    Attributes
    ----------
    observations : Observations
    labels : array of int, shape (rows,)
    """

    observations: Observations
    labels: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Any) -> Labelled:
        return Labelled(self.observations[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class Candidates(Once):
    """The comparison that is checked, at simulations that training has never seen.

    Attributes
    ----------
    names : tuple of str
        Of the models.
    schema : Schema
    tests : Labelled
    probabilities : array, shape (n, models)
        Of the models at the tests, with the shares of the models among these as prior.
    p_values : array, shape (n,)
        Of "none of them" at the tests.
    features : array, shape (n, k)
        What the networks' densities are of, on the scale of training: of spread 1. k may be 0.
    usual : int
        Simulations among which observations are ranked for these p-values.
    seed : int
    """

    names: tuple[str, ...]
    schema: Schema
    tests: Labelled
    probabilities: FloatArray
    p_values: FloatArray
    features: FloatArray
    usual: int
    seed: int

    def rng(self, check: int) -> np.random.Generator:
        """Make the generator of a check."""
        return generator(self.seed, Stream.CLASS_CHECKS, check)
