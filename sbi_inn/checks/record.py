"""What checks need as input, and what they return."""

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
from scipy import stats

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.prior import Prior
from sbi_inn.typing import FloatArray

Verdict = Literal["trust", "cannot tell", "caution", "do not trust"]
# From best to worst: a check that objects has seen enough.
VERDICTS: tuple[Verdict, ...] = ("trust", "cannot tell", "caution", "do not trust")
_BY_LEVEL: tuple[Verdict, ...] = ("trust", "caution", "do not trust")

# Each check may raise a false alarm in 1 of 400 cases, however much it looks at. At most ten of
# them can object, so that a whole `check(y)` of an exact posterior stays below 3 %.
SIGNIFICANCE = 0.0025
POWER = 0.9  # with which the smallest effect that is said to show would be found

MORE = "Simulate more, or train longer; then check again."
FEW = (
    "Check with more test simulations: give the simulator, or fit with more simulations, of which "
    "a tenth is held out."
)


class Sampler(Protocol):
    """Anything that draws parameters for a batch of observations."""

    @property
    def prior(self) -> Prior:
        """The prior that the parameters are drawn from."""
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

    @property
    def columns(self) -> tuple[str, ...]:
        """The scalars of the parameters, then those of derived quantities."""
        ...

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` flat parameter vectors an observation, shape (observations, n, dim)."""
        ...

    def extended(self, flat: FloatArray) -> FloatArray:
        """Put derived quantities behind flat parameters (..., dim), shape (..., columns)."""
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
    """Limits of an effect, above which it matters if it is significant.

    Attributes
    ----------
    measure : str
        Name of the effect, with its unit.
    caution, distrust : float
        Effects above these are a reason for caution, and for distrust.
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
    """One effect that a check has measured.

    Attributes
    ----------
    effect : float
        Its size; 0 is perfect.
    error : float
        Its standard error.
    limits : Limits
        Limits of the effect.
    p_value : float
        How often an exact posterior shows an effect as large, corrected for all that the check
        looks at.
    words : str
        The finding in a sentence.
    significance : float
        The p-value below which it counts.
    """

    effect: float
    error: float
    limits: Limits
    p_value: float
    words: str
    significance: float = SIGNIFICANCE

    @property
    def level(self) -> int:
        """0 trust, 1 caution, 2 do not trust: the effect must be large and significant."""
        if not self.p_value < self.significance:
            return 0
        return sum(self.effect > limit for limit in (self.limits.caution, self.limits.distrust))

    @property
    def share(self) -> float:
        """How large the effect is beside the limit from which on it matters."""
        return self.effect / self.limits.caution


@dataclass(frozen=True)
class Sight:
    """An effect that a check would have detected.

    Attributes
    ----------
    what : str
        Smaller effects in words, such as "a shift below 0.5 sd".
    smallest : float
        The effect that is significant in 9 of 10 cases.
    limits : Limits
        Of that effect.
    n : int
        Number of test simulations.
    decides : bool
        Whether nothing can be told where it is not seen; if not, another sight tells as much.
    """

    what: str
    smallest: float
    limits: Limits
    n: int
    decides: bool = True

    @property
    def blind(self) -> bool:
        """Whether even what is a reason for distrust may not show."""
        return self.decides and self.smallest > self.limits.distrust

    @property
    def enough(self) -> int:
        """Test simulations at which it shows, to two digits; errors shrink as their root."""
        needed = self.n * (self.smallest / self.limits.distrust) ** 2
        digits = 10 ** max(0, int(np.log10(needed)) - 1)
        return int(np.ceil(needed / digits) * digits)


def deviation(looks: int) -> float:
    """Give how many standard errors an effect has to have, to be seen in 9 of 10 cases.

    Examples
    --------
    >>> round(deviation(looks=10), 1)
    4.9
    """
    return float(stats.norm.isf(SIGNIFICANCE / (2 * looks)) + stats.norm.ppf(POWER))


def corrected(p_value: float, looks: int) -> float:
    """Correct a p-value for so many looks (Bonferroni)."""
    return min(1.0, looks * float(p_value))


class Record(ABC):
    """The result of a check: one or more findings, of which the worst decides."""

    remedy: ClassVar[str] = MORE  # what to do where not all is well
    elsewhere: bool = False  # whether this concerns other observations than the one asked about

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

    @property
    def sights(self) -> Sequence[Sight]:
        """What would have been seen; empty where that has no limits."""
        return ()

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
    def smallest(self) -> float:
        """The smallest effect of this measure that is seen in 9 of 10 cases; NaN if not known."""
        return next((s.smallest for s in self.sights if s.limits.measure == self.measure), np.nan)

    @property
    def p_value(self) -> float:
        """How often an exact posterior shows as much as the finding that decides."""
        return self.worst.p_value

    @property
    def decided(self) -> str:
        """Why the verdict is what it is, in a few words."""
        worst, limits = self.worst, self.worst.limits
        if worst.level:
            limit = (limits.caution, limits.distrust)[worst.level - 1]
            return f"{limits.measure} {worst.effect:.2g} above {limit:.2g}"
        if self._blind:
            return "too few test simulations"
        above = self.measure == limits.measure and worst.effect > limits.caution
        return "above the limit, as chance makes it" if above else "within the limit"

    @property
    def verdict(self) -> Verdict:
        """What to make of it."""
        objection = _BY_LEVEL[self.worst.level]
        return "cannot tell" if objection == "trust" and self._blind else objection

    @property
    def passed(self) -> bool:
        """Whether the verdict is "trust"."""
        return self.verdict == "trust"

    @property
    def sentence(self) -> str:
        """Say it in plain words, with effect sizes."""
        if self.verdict == "cannot tell":
            return self.unseen
        return self.well if self.passed else self.worst.words

    @property
    def unseen(self) -> str:
        """Say what would not have shown, and how many test simulations it takes."""
        n, what = self._blind[0].n, " or ".join(sight.what for sight in self._blind)
        return f"with {n:,} test simulations {what} may not show: it takes {self.enough:,}"

    @property
    def enough(self) -> int:
        """Test simulations that this check takes; 0 where there are enough."""
        return max((sight.enough for sight in self._blind), default=0)

    @property
    def advice(self) -> str:
        """What to do about it; empty where all is well."""
        if self.verdict == "cannot tell":
            return FEW
        return "" if self.passed else self.remedy

    @property
    def hint(self) -> str:
        """What else could be done, whatever the verdict; mostly nothing."""
        return ""

    @property
    def first(self) -> str:
        """What has to be said first where there is an objection; mostly nothing."""
        return ""

    @property
    def _blind(self) -> list[Sight]:
        return [sight for sight in self.sights if sight.blind]

    def __repr__(self) -> str:
        lines = [f"{self.verdict}: {self.sentence}", "", _written(self.table)]
        return "\n".join([*lines, self.advice] if self.advice else lines)

    def _repr_html_(self) -> str:
        said = f"<p><strong>{escape(self.verdict)}</strong>: {escape(self.sentence)}</p>"
        return f"{said}{self.table.to_html(float_format='{:.3g}'.format)}"


def _written(table: pd.DataFrame) -> str:
    return table.to_string(float_format="{:.3g}".format, max_rows=20)
