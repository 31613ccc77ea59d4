"""Check that posteriors use all of the observation: it must not predict ranks of truths."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.conditional_parts import (
    CORRELATION_IN_PART,
    IN_PART,
    SHIFT_IN_PART,
    WIDTH_IN_PART,
    InPart,
    in_regions,
    in_ties,
    outside,
)
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import number, percent
from sbi_inn.checks.predictors import (
    LEARNED,
    LOCATION,
    Predictors,
    Score,
    columns_at,
    drawn_at,
    predictors_of,
    scores_of,
)
from sbi_inn.checks.record import SIGNIFICANCE, Finding, Limits, Record, Sight, corrected, deviation
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.diagnostics.column_products import best_products
from sbi_inn.diagnostics.conditional_ranks import (
    SCORE_OF_CORRELATION,
    Design,
    explained,
    smallest_explained,
    width_of_score,
)
from sbi_inn.diagnostics.tied_values import Part, parts_by_ties
from sbi_inn.diagnostics.windows import Windows, best_quadrant, scan
from sbi_inn.plots.conditional import plot_conditional
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import BoolArray, FloatArray

# What the observation predicts of the truth, in posterior standard deviations, is a shift at some
# observations and none on average: limits as for that of all of them. A width score of .15 is that
# of intervals .89 or 1.14 as wide as they should be, and .4 is .74 and 1.47; a score of the
# product of two parameters is a correlation.
PREDICTED = Limits("predicted score", caution=0.15, distrust=0.4)
WORTH_SAYING = 1.15  # times as wide as need be, from which on it is said
PAIRED = 20  # columns of which pairs are looked at, to say where


@dataclass(frozen=True, repr=False)
class Conditional(Record):
    """Normal scores of ranks, and what the observation predicts of them: nothing, if all is well.

    Attributes
    ----------
    scores : array, shape (n, s)
        N(0, 1) whatever the observation, if the posterior is exact.
    about : tuple of Score, length s
    predictors : Predictors
    design : Design
        Features of the predictors.
    elsewhere : bool
        Whether the observation that is asked about lies outside the part that the sentence names.
    """

    scores: FloatArray
    about: tuple[Score, ...]
    predictors: Predictors
    design: Design
    elsewhere: bool = False

    @cached_property
    def windows(self) -> Windows:
        """Where scores stray furthest, by as much as matters if they do so anywhere."""
        return scan(
            self.design.columns,
            self.scores,
            matters=self._matter,
            p_value=SIGNIFICANCE / self._looks,
        )

    @cached_property
    def predicted(self) -> pd.DataFrame:
        """One row a score: rms of what is predicted, by how many features, and the p-value.

        Of the family of features with the smallest p-value; where some families predict as much as
        matters, of one of these.
        """
        found = [explained(self.scores, f) for f in self.design.features.values()]
        found.append(self._by_products())
        rms, p_values = (np.stack([one[side] for one in found]) for side in (0, 1))
        p_values = np.minimum(1, p_values * self._looks)
        telling = (rms > PREDICTED.caution) & (p_values < SIGNIFICANCE)
        best = np.where(telling, p_values, 1 + p_values).argmin(axis=0)
        every = np.arange(len(self.about))
        sizes = [f.basis.shape[1] for f in self.design.features.values()]
        return pd.DataFrame(
            {
                "rms": rms[best, every],
                "features": np.array([*sizes, 1])[best],
                "p_value": p_values[best, every],
            }
        )

    def _by_products(self) -> tuple[FloatArray, FloatArray]:
        """Give the rms that the best product of two columns predicts, and the p-value; (s,)."""
        found = best_products(self.design.columns, self.scores)
        rms = np.sqrt(np.maximum(found.z**2 - 1, 0) / len(self.scores))
        if not found.looks:
            return rms, np.ones(len(rms))
        return rms, np.minimum(1, 2 * stats.norm.sf(np.abs(found.z)) * found.looks)

    def _matter(self, mean: FloatArray) -> BoolArray:
        """Say which mean scores (windows, s) would be too much in a part of the observations."""
        low, high = np.array([score.means(IN_PART[score.kind].caution) for score in self.about]).T
        return (mean < low) | (mean > high)

    @cached_property
    def needless(self) -> FloatArray:
        """How many times as wide as need be: sd of scores over that of what y leaves of them."""
        left = self.design.residuals(self.scores).std(axis=0)
        return self.scores.std(axis=0) / np.maximum(left, 1e-9)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is predicted of each score, and the part of the observations where it is largest."""
        one_by_one = (f for i in range(len(self.about)) for f in self._look(i))
        return (*one_by_one, *(part.finding for part in self.parts))

    @cached_property
    def parts(self) -> tuple[InPart, ...]:
        """What was found in parts that several columns bound, or ties set apart."""
        known = self.scores, self.about, self.predictors, self.design.columns, self._looks
        return (*in_regions(*known), *in_ties(*known, self.tied))

    @cached_property
    def tied(self) -> list[Part]:
        """Parts of the tests that predictors with ties set apart."""
        return parts_by_ties(self.design.columns)

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest error that linear features would show, and one in a tenth of the rows."""
        n, k = self.design.features["linear"].basis.shape
        smallest = smallest_explained(n, k, SIGNIFICANCE / self._looks)
        what = f"an error below {smallest:.2g} sd that depends on the observation"
        shift = deviation(self.windows.looks * self._looks) / np.sqrt(n / 10)
        parts = {
            SHIFT_IN_PART: shift,
            WIDTH_IN_PART: abs(float(np.log(width_of_score(shift)))),
            CORRELATION_IN_PART: shift / SCORE_OF_CORRELATION,
        }
        in_part = [Sight("", s, limits, n, decides=False) for limits, s in parts.items()]
        return (Sight(what, smallest, PREDICTED, n), *in_part)

    def misses(self, row: FloatArray) -> bool:
        """Say whether what is wrong is wrong in a part without this observation, a row (p,)."""
        if not self.worst.level:
            return False
        place = next(i for i, f in enumerate(self.findings) if f is self.worst)
        if place >= 2 * len(self.about):
            return self.parts[place - 2 * len(self.about)].misses(row, self.predictors)
        column, rows = self._rows(place // 2)
        if not self.worst.words.startswith(self._window(place // 2)):
            return False
        return outside(row[column], rows, np.empty(0))

    @property
    def sentence(self) -> str:
        """Say it in plain words; of another part of the observations say that it is another."""
        said = super().sentence
        return f"elsewhere, {said}" if self.elsewhere else said

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return "nothing in the observation predicts where the truth lies among the draws"

    @property
    def table(self) -> pd.DataFrame:
        """One row a score: what is predicted, its p-value, and where it is largest."""
        placed = [self._place(i) for i in range(len(self.about))]
        return pd.DataFrame(
            {
                "predicted": self.predicted["rms"].to_numpy(),
                "p_value": self.predicted["p_value"].to_numpy(),
                "most_where": [where for where, _ in placed],
                "times_too_wide": self.needless,
                "mean_score_there": [mean for _, mean in placed],
            },
            index=pd.Index([f"{score.kind} of {score.of}" for score in self.about], name="score"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Scores against what predicts them best."""
        order = sorted(range(len(self.about)), key=lambda i: -np.abs(self.windows.z[:, i]).max())
        panels = []
        for i in order[:3]:
            score, column = self.about[i], int(self.windows.columns[self._best(i)])
            name = self.predictors.names[column]
            ranked = stats.norm.cdf(self.design.columns[:, column])
            panels.append((ranked, self.scores[:, i], name, f"{score.kind} of {score.of}"))
        return plot_conditional(panels, width_mm=width_mm, fig=fig)

    @property
    def _looks(self) -> int:
        """Tests of each score: by each family of features, by products, windows, regions, ties."""
        return len(self.about) * (len(self.design.features) + 3 + bool(self.tied))

    def _look(self, i: int) -> tuple[Finding, Finding]:
        score, predicted = self.about[i], self.predicted.iloc[i]
        n, k = len(self.scores), int(predicted["features"])
        rms = float(predicted["rms"])
        error = np.sqrt(2 * k + 4 * n * rms**2) / (2 * n * max(rms, (2 * k) ** 0.25 / np.sqrt(n)))
        telling = rms > PREDICTED.caution and predicted["p_value"] < SIGNIFICANCE
        where, mean = self._place(i) if telling else (self._window(i), self._mean(i))
        words = f"{where}, {score.words(mean)}{self._wider(i)}{self._reason(i)}"
        overall = Finding(rms, float(error), PREDICTED, float(predicted["p_value"]), words)
        best = self._best(i)
        z, mean = float(self.windows.z[best, i]), float(self.windows.mean[best, i])
        p_value = corrected(2 * stats.norm.sf(abs(z)), self.windows.looks * self._looks)
        limits = IN_PART[score.kind]
        words = f"{self._window(i)}, {score.words(mean)}{self._wider(i)}{self._reason(i)}"
        size = score.size(mean)
        in_window = Finding(size, abs(size / z) if z else 0.0, limits, p_value, words)
        return overall, in_window

    def _best(self, i: int) -> int:
        """Give the column in whose window a score strays furthest: one that is read, if it can."""
        z, counts = np.abs(self.windows.z[:, i]), self.windows.counts[:, i]
        read = self.windows.columns < self.predictors.read
        favoured = np.where(read, z, 0.8 * z)
        return int(np.where(counts | ~counts.any(), favoured, -1.0).argmax())

    def _mean(self, i: int) -> float:
        return float(self.windows.mean[self._best(i), i])

    def _window(self, i: int) -> str:
        column, rows = self._rows(i)
        share = percent(len(rows) / len(self.scores))
        return f"where {self.predictors.where(column, rows)}, {share} of the observations"

    def _rows(self, i: int) -> tuple[int, FloatArray]:
        """Give the column in whose window a score strays furthest, and its values there."""
        best = self._best(i)
        column = int(self.windows.columns[best])
        low, high = self.windows.low[best, i], self.windows.high[best, i]
        order = np.argsort(self.design.columns[:, column], kind="stable")
        return column, self.predictors.columns[order[low:high], column]

    def _place(self, i: int) -> tuple[str, float]:
        """Say where a score strays furthest, and by how much: by one column, two, or none alone."""
        best = self._best(i)
        z, mean = float(self.windows.z[best, i]), float(self.windows.mean[best, i])
        quadrant = best_quadrant(self.design.columns[:, : self._paired], self.scores[:, i])
        if quadrant is not None and abs(quadrant.z) > 1.3 * abs(z):
            sides = ["high" if above else "low" for above in quadrant.above]
            names = [self.predictors.names[column] for column in quadrant.columns]
            both = " and ".join(f"{n} is {s}" for n, s in zip(names, sides, strict=True))
            return f"where {both}", quadrant.mean
        return self._window(i), mean

    @property
    def _paired(self) -> int:
        return min(PAIRED, self.predictors.read)

    def _wider(self, i: int) -> str:
        """Say how much narrower the posterior of a parameter would be if all of y were read."""
        times = float(self.needless[i])
        if self.about[i].kind != LOCATION or times < WORTH_SAYING:
            return ""
        return f", and {number(times)} times as wide as they need be"

    def _reason(self, i: int) -> str:
        """Say what follows from it, where what predicts the score is part of the observation."""
        column = int(self.windows.columns[self._best(i)])
        if column >= self.predictors.read:
            return ""
        name = self.predictors.names[column]
        if name.startswith(LEARNED):
            return ": the posterior does not use all that this feature says"
        return f": the network has not read all that {name} says"


def seen_from(general: Conditional, here: Here) -> Conditional:
    """Mark the record as one of other observations, where what it objects to is not true of y."""
    if not general.misses(columns_at(here, drawn_at(here))):
        return general
    marked = copy(general)  # which, unlike `replace`, keeps what took seconds to find
    object.__setattr__(marked, "elsewhere", True)
    return marked


def check_conditional(subject: Subject) -> Conditional:
    """Look whether observations predict ranks, over the test simulations."""
    scores, about = scores_of(subject)
    return Conditional(scores, about, *predictors_of(subject))


CONDITIONAL = CheckKind(
    name="conditional ranks",
    question="Do posteriors read all that the observations say?",
    explanation="The place of a truth among its draws must not be predictable from the "
    "observation: otherwise the observation says more than the posterior.",
    run=check_conditional,
    told_at=seen_from,
)
