"""What checks take, and the face of what they return."""

from __future__ import annotations

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
    def prior(self) -> Prior:
        """What the parameters were drawn from."""
        ...

    @property
    def schema(self) -> Schema:
        """What one observation looks like."""
        ...

    @property
    def remark(self) -> str:
        """What has to be known about the draws where they are simulated again; may be empty."""
        ...

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` flat parameter vectors an observation, shape (observations, n, dim)."""
        ...


class Record(Protocol):
    """What a check found."""

    @property
    def value(self) -> float:
        """The effect that was measured."""
        ...

    @property
    def error(self) -> float:
        """How far chance alone takes it."""
        ...

    @property
    def threshold(self) -> float:
        """Above this, caution."""
        ...

    @property
    def passed(self) -> bool:
        """Whether the verdict is "trust"."""
        ...

    @property
    def verdict(self) -> Verdict:
        """What to make of it."""
        ...

    @property
    def sentence(self) -> str:
        """Say it in plain words."""
        ...

    @property
    def table(self) -> pd.DataFrame:
        """The evidence."""
        ...

    def plot(self) -> Figure:
        """Show the evidence as a figure."""
        ...
