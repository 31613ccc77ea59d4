"""Check that the posterior at one observation uses all that the observation says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import number
from sbi_inn.checks.predictors import (
    DEPENDENCE,
    LOCATION,
    WIDTH,
    Score,
    drawn_at,
    predictors_of,
    row_of,
    scores_of,
    weights_by_givens,
)
from sbi_inn.checks.record import Finding, Limits, Record, Sight, corrected, deviation
from sbi_inn.checks.subject import Here
from sbi_inn.diagnostics.conditional_ranks import beyond_nearest, width_of_score
from sbi_inn.plots.conditional import plot_around
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray

# At one observation, where fewer simulations tell.
SHIFT_AT = Limits("shift, in sd", caution=0.25, distrust=0.6)
WIDTH_AT = Limits(
    "log of the width ratio", caution=float(np.log(1.25)), distrust=float(np.log(1.7))
)
CORRELATION_AT = Limits("difference of correlations", caution=0.25, distrust=0.6)

LIMITS = {LOCATION: SHIFT_AT, WIDTH: WIDTH_AT, DEPENDENCE: CORRELATION_AT}


@dataclass(frozen=True, repr=False)
class ConditionalAt(Record):
    """Scores of ranks, as the test simulations predict them at one observation.

    Attributes
    ----------
    scores : array, shape (n, s)
        N(0, 1) whatever the observation, if the posterior is exact.
    about : tuple of Score, length s
    weights : dict of str to array, shape (n,)
        Of the test simulations in each prediction; the sum of each is 1.
    off : dict of str to array, shape (n,)
        Of the test simulations in what each prediction is off by over the nearest.
    left : array, shape (n, s)
        Scores without what the observations predict of them.
    """

    scores: FloatArray
    about: tuple[Score, ...]
    weights: dict[str, FloatArray]
    off: dict[str, FloatArray]
    left: FloatArray

    remedy = (
        "Simulate more where the observation lies: posterior.refine(y), or a narrower prior that "
        "still covers this posterior, then fit again."
    )

    @cached_property
    def predicted(self) -> dict[str, FloatArray]:
        """Predicted scores, shape (s,), of each prediction: N(0, |weights|^2) if all is well."""
        return {name: weights @ self.scores for name, weights in self.weights.items()}

    @cached_property
    def noise(self) -> dict[str, float]:
        """Standard error of each prediction."""
        return {name: float(np.linalg.norm(weights)) for name, weights in self.weights.items()}

    @cached_property
    def believed(self) -> dict[str, FloatArray]:
        """Predicted scores, shape (s,), drawn back where they are wrong near y.

        A fit to all simulations may be wrong at one place, and a mean over many reach too far. Over
        the nearest simulations a prediction is off by so much on average. That, less its standard
        error, is taken from what it says of y, if both have the same sign.
        """
        found = dict(self.predicted)
        for name, weights in self.off.items():
            off, noise = weights @ self.scores, float(np.linalg.norm(weights))
            back = np.where(off * found[name] > 0, np.maximum(np.abs(off) - noise, 0), 0)
            found[name] = np.sign(found[name]) * np.maximum(np.abs(found[name]) - back, 0)
        return found

    @cached_property
    def needless(self) -> FloatArray:
        """How many times as wide as need be near y, where what y predicts is read too, (s,)."""
        nearest = next(w for name, w in self.weights.items() if "nearest" in name)
        return 1 / np.sqrt(np.maximum(nearest @ self.left**2, 1e-18))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One for each score and prediction."""
        return tuple(self._look(name, i) for name in self.weights for i in range(len(self.about)))

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest shift that the best of the predictions would show."""
        smallest = deviation(self._looks) * min(self.noise.values())
        what = f"a shift below {smallest:.2g} sd near the observation"
        return (Sight(what, smallest, SHIFT_AT, len(self.scores)),)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return "near this observation nothing predicts where the truth lies among the draws"

    @property
    def table(self) -> pd.DataFrame:
        """One row a score: what each prediction says, as a mean of standard normal scores."""
        found = {f"by {name}": values for name, values in self.predicted.items()}
        found["times_too_wide"] = self.needless
        rows = [f"{score.kind} of {score.of}" for score in self.about]
        return pd.DataFrame(found, index=pd.Index(rows, name="score"))

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Predicted scores with their errors."""
        return plot_around(
            self.predicted,
            self.noise,
            [f"{score.kind} of {score.of}" for score in self.about],
            width_mm=width_mm,
            fig=fig,
        )

    @property
    def _looks(self) -> int:
        return len(self.about) * len(self.weights)

    def _look(self, name: str, i: int) -> Finding:
        score, noise, fitted = self.about[i], self.noise[name], float(self.predicted[name][i])
        p_value = corrected(2 * stats.norm.sf(abs(fitted) / noise), self._looks)
        mean = float(self.believed[name][i])
        words = f"near this observation {score.words(mean, noise)}, {_by(name)}"
        if score.kind == WIDTH and mean < 0:
            location = self.about.index(Score(LOCATION, score.of))
            words += _read_better(float(self.needless[location]), width_of_score(mean))
        size = score.size(mean)
        error = noise * size / abs(mean) if mean else noise
        return Finding(size, float(error), LIMITS[score.kind], p_value, words)


def _by(name: str) -> str:
    """Say in words what a prediction comes from."""
    if name in ("linear", "quadratic"):
        return f"as a {name} fit to all test simulations predicts"
    return f"over the {name} test simulations"


def _read_better(needless: float, width: float) -> str:
    """Say how wide posteriors need be, where that is much less than their ranks alone show."""
    if needless < 1.15 * width:
        return ""
    return f"; with all that it says, they could be {number(needless)} times as narrow"


def check_conditional_at(here: Here) -> ConditionalAt:
    """Look whether an observation predicts where the truth lies among its draws."""
    subject = here.subject
    scores, about = scores_of(subject)
    drawn = drawn_at(here)
    _, design = predictors_of(subject)
    row = row_of(here, drawn)
    by_givens = weights_by_givens(here, drawn)
    weights, off = design.weights(row) | by_givens, design.off(row)
    if by_givens:
        off |= beyond_nearest(by_givens)
    return ConditionalAt(scores, about, weights, off, design.residuals(scores))


CONDITIONAL_AT_Y = CheckKind(
    name="conditional ranks at y",
    question="Does the posterior at your observation read all that it says?",
    explanation="It is tested with similar simulations, whose true parameters are known.",
    run=check_conditional_at,
    at_observation=True,
)
