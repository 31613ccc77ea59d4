"""What checks take, and the face of what they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import ClassVar, Literal, Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.prior import Prior
from sbi_inn.typing import FloatArray

Verdict = Literal["trust", "caution", "do not trust"]
VERDICTS: tuple[Verdict, ...] = ("trust", "caution", "do not trust")

# Each check may raise a false alarm in 1 of 100 cases, however much it looks at. At most eight of
# them can object, so that a whole `check(y)` of an exact posterior stays below 8 %.
SIGNIFICANCE = 0.01

MORE = "Simulate more, or train longer; then check again."


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

    @property
    def evaluations(self) -> int:
        """Evaluations of a network that one draw takes."""
        ...

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` flat parameter vectors an observation, shape (observations, n, dim)."""
        ...

    def log_ratio(
        self, flat: FloatArray, observations: Observations, *, normalised: bool
    ) -> FloatArray:
        """Log of posterior over prior density of `flat` (observations, n, dim), (observations, n).

        Up to a constant of each observation unless `normalised`.

        Raises
        ------
        NoDensityError
            If it can only be drawn from.
        """
        ...

    def features(self, observations: Observations) -> FloatArray:
        """Summaries that were learned, (observations, k); k is 0 where there are none."""
        ...


@dataclass(frozen=True)
class Limits:
    """How large an effect may be, if it is significant.

    Attributes
    ----------
    measure : str
        What the effect is, with its unit.
    caution, distrust : float
        Effects above which it is a reason for caution, and for distrust.
    """

    measure: str
    caution: float
    distrust: float

    def scaled(self, factor: float = 1.0, above: float = 0.0) -> Limits:
        """Multiply both limits, and count them from a number above zero."""
        caution, distrust = (above + factor * limit for limit in (self.caution, self.distrust))
        return Limits(self.measure, caution, distrust)


@dataclass(frozen=True)
class Finding:
    """One thing that a check has measured.

    Attributes
    ----------
    effect : float
        How large it is; 0 is perfect.
    error : float
        Its standard error.
    limits : Limits
        Of the effect.
    p_value : float
        How often an exact posterior shows as much, corrected for all that the check looks at.
    words : str
        The finding in a sentence.
    """

    effect: float
    error: float
    limits: Limits
    p_value: float
    words: str

    @property
    def level(self) -> int:
        """0 trust, 1 caution, 2 do not trust: both significance and effect are needed."""
        if not self.p_value < SIGNIFICANCE:
            return 0
        return sum(self.effect > limit for limit in (self.limits.caution, self.limits.distrust))

    @property
    def share(self) -> float:
        """How large the effect is beside the limit from which on it matters."""
        return self.effect / self.limits.caution


def corrected(p_value: float, looks: int) -> float:
    """Correct a p-value for so many looks (Bonferroni)."""
    return min(1.0, looks * float(p_value))


class Record(ABC):
    """What a check has found: many findings, of which the worst decides."""

    remedy: ClassVar[str] = MORE  # what to do where not all is well

    @property
    @abstractmethod
    def findings(self) -> Sequence[Finding]:
        """Everything that was measured, at least one."""

    @property
    @abstractmethod
    def well(self) -> str:
        """What to say where all is well."""

    @property
    @abstractmethod
    def table(self) -> pd.DataFrame:
        """The evidence."""

    @abstractmethod
    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the evidence as a figure, or in `fig`."""

    def more_figures(self, width_mm: float = DOUBLE_COLUMN_MM) -> dict[str, Figure]:
        """Show more of the evidence, by caption; most records have none."""
        return {}

    @cached_property
    def worst(self) -> Finding:
        """The finding that decides."""
        return max(self.findings, key=lambda found: (found.level, found.share))

    @property
    def measure(self) -> str:
        """What `value` is."""
        return self.worst.limits.measure

    @property
    def value(self) -> float:
        """The effect that was measured."""
        return self.worst.effect

    @property
    def error(self) -> float:
        """How far chance alone takes it."""
        return self.worst.error

    @property
    def threshold(self) -> float:
        """Above this, if significant, caution."""
        return self.worst.limits.caution

    @property
    def verdict(self) -> Verdict:
        """What to make of it."""
        return VERDICTS[self.worst.level]

    @property
    def passed(self) -> bool:
        """Whether the verdict is "trust"."""
        return self.verdict == "trust"

    @property
    def sentence(self) -> str:
        """Say it in plain words, with effect sizes."""
        return self.well if self.passed else self.worst.words

    @property
    def advice(self) -> str:
        """What to do about it; empty where all is well."""
        return "" if self.passed else self.remedy

    def __repr__(self) -> str:
        lines = [f"{self.verdict}: {self.sentence}", "", _written(self.table)]
        return "\n".join([*lines, self.advice] if self.advice else lines)

    def _repr_html_(self) -> str:
        said = f"<p><strong>{escape(self.verdict)}</strong>: {escape(self.sentence)}</p>"
        return f"{said}{self.table.to_html(float_format='{:.3g}'.format)}"


def _written(table: pd.DataFrame) -> str:
    return table.to_string(float_format="{:.3g}".format, max_rows=20)
