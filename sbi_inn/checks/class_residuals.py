"""Check that the probabilities of models use all of the observation.

Given the observation, the indicator of a model minus its exact probability p has mean 0 and
variance p (1 - p), whatever was observed: no feature of the observation may predict it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.candidates import Candidates
from sbi_inn.checks.goodness import described_with_givens, names
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import percent
from sbi_inn.checks.record import SIGNIFICANCE, Finding, Limits, Record, Sight, corrected
from sbi_inn.diagnostics.conditional_ranks import (
    Design,
    column_scores,
    explained,
    smallest_explained,
)
from sbi_inn.observation.statistics import filled
from sbi_inn.plots.classification import plot_residuals
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

# Probability below which a model is as good as excluded: its indicator is hardly ever 1, and the
# law of sums of such indicators is not yet normal.
DECIDED = 0.05
FEWEST = 100  # tests that are not decided, below which there is little to be read
UNREAD = Limits("error of undecided probabilities that was not read", caution=0.05, distrust=0.12)


@dataclass(frozen=True, repr=False)
class Unread(Record):
    """What features of the observation still say about the model, given its probability.

    Attributes
    ----------
    names : tuple of str
        Of the models.
    statistics : tuple of str, length p
        Of the observation and its givens.
    rows : dict of str to (rms, p_value, rows, features)
        By model and family of features; `rms` is in units of probability.
    slopes : array, shape (models, p)
        Correlation of each residual with each statistic.
    """

    names: tuple[str, ...]
    statistics: tuple[str, ...]
    rows: dict[tuple[str, str], tuple[float, float, int, int]]
    slopes: FloatArray

    @classmethod
    def of(cls, candidates: Candidates) -> Unread | str:
        """Look at the tests that are not decided."""
        schema, tests = candidates.schema, candidates.tests
        stated = described_with_givens(tests.observations, schema)
        columns = filled(stated, stated)
        found, slopes = {}, np.zeros((len(candidates.names), columns.shape[1]))
        for k, name in enumerate(candidates.names):
            p = candidates.probabilities[:, k]
            open_ = np.flatnonzero((p > DECIDED) & (p < 1 - DECIDED))
            if len(open_) < FEWEST:
                continue
            spread = np.sqrt(p * (1 - p))[open_]
            residual = ((tests.labels == k)[open_] - p[open_]) / spread
            scores = column_scores(columns[open_], columns[open_])
            slopes[k] = scores.T @ residual / len(open_)
            for family, features in Design.of(scores, candidates.rng(3 + k)).features.items():
                rms, _ = explained(residual[:, None], features)
                size = float(rms[0] * spread.mean())
                chance = p_value(residual, p[open_], features.basis)
                found[name, family] = size, chance, *features.basis.shape
        if not found:
            return "the model of nearly every test simulation is certain: nothing is left to test"
        return cls(candidates.names, names(schema), found, slopes)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One for each model and family of features."""
        looks, found = len(self.rows), []
        for (name, family), (size, chance, n, _) in self.rows.items():
            words = (
                f"probabilities of {name} are off by {percent(size)} (rms) in a way that the "
                f"observation tells ({family} features): {self._by(name)}"
            )
            noise = 0.5 / np.sqrt(n)
            found.append(Finding(size, noise, UNREAD, corrected(chance, looks), words))
        return tuple(found)

    def _by(self, name: str) -> str:
        slopes = self.slopes[self.names.index(name)]
        worst = int(np.abs(slopes).argmax())
        way = "low" if slopes[worst] > 0 else "high"
        return f"they are too {way} above all where {self.statistics[worst]} is large"

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest error that linear features would have shown."""
        _, _, n, k = min(self.rows.values(), key=lambda row: row[3])
        level = SIGNIFICANCE / len(self.rows)
        smallest = smallest_explained(n, k, level) * 0.35  # a usual root of p (1 - p)
        return (Sight("what was not read", smallest, UNREAD, n),)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return "nothing in the observation predicts the model beyond its probability"

    @property
    def table(self) -> pd.DataFrame:
        """One row a model and family of features."""
        index = pd.Index([f"{name}, {family}" for name, family in self.rows], name="features")
        columns = ["error", "p_value", "tests", "number_of_features"]
        return pd.DataFrame(list(self.rows.values()), index=index, columns=columns)

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the correlation of each statistic with what is left of each model."""
        return plot_residuals(self.slopes, self.names, self.statistics, width_mm=width_mm, fig=fig)


def p_value(residual: FloatArray, p: FloatArray, basis: FloatArray) -> float:
    """Give the p-value of the squared length of residuals projected onto a basis.

    Residuals are an indicator's, with two values each: their fourth moments are known, and those of
    the squared length follow. It is taken as a multiple of a chi-squared number that has the same
    mean and variance (Satterthwaite 1946).

    Parameters
    ----------
    residual : array, shape (n,)
        Of mean 0 and variance 1, if `p` is exact.
    p : array, shape (n,)
    basis : array, shape (n, k)
        Orthonormal.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> p = rng.uniform(0.05, 0.95, 2_000)
    >>> residual = ((rng.random(2_000) < p) - p) / np.sqrt(p * (1 - p))
    >>> basis = np.linalg.qr(rng.normal(size=(2_000, 50)))[0]
    >>> bool(0.01 < p_value(residual, p, basis) < 0.99)
    True
    """
    k = basis.shape[1]
    leverage = (basis**2).sum(axis=1)
    fourth = (1 - 3 * p * (1 - p)) / (p * (1 - p))
    variance = 2 * k + (leverage**2 * (fourth - 3)).sum()
    scale = variance / (2 * k)
    length = ((basis.T @ residual) ** 2).sum()
    return float(stats.chi2.sf(length / scale, k / scale))


UNREAD_CHECK = CheckKind(
    name="what was read",
    question="Have the probabilities read all of the observation?",
    explanation=(
        "The difference between truth (0 or 1) and probability should be noise, which nothing in "
        "the observation predicts. Probabilities that are always 1/2 are calibrated, but fail here."
    ),
    run=Unread.of,
)
