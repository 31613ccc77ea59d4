"""What checks take, and the face of what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.prior import Prior
from sbi_inn.schema import Observations, Schema

FloatArray = npt.NDArray[np.float64]
Verdict = Literal["trust", "caution", "do not trust"]
VERDICTS: tuple[Verdict, ...] = ("trust", "caution", "do not trust")


class Sampler(Protocol):
    """Anything that draws parameters for a batch of observations."""

    @property
    def prior(self) -> Prior: ...
    @property
    def schema(self) -> Schema: ...
    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` flat parameter vectors an observation, shape (observations, n, dim)."""
        ...


class Record(Protocol):
    """What a check found."""

    @property
    def value(self) -> float: ...
    @property
    def error(self) -> float: ...
    @property
    def threshold(self) -> float: ...
    @property
    def passed(self) -> bool: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def sentence(self) -> str: ...
    @property
    def table(self) -> pd.DataFrame: ...
    def plot(self) -> Figure: ...


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
