"""Check that the probabilities of models are calibrated: of those of 70 %, 70 % are true."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.candidates import Candidates
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import percent
from sbi_inn.checks.record import Finding, Limits, Record, Sight, corrected, deviation
from sbi_inn.diagnostics.classification import (
    ClassCalibration,
    ClassCalibrationFloor,
    class_calibration,
    class_calibration_floor,
    class_calibration_p_value,
    class_shares,
    confusion_matrix,
    log_score,
)
from sbi_inn.diagnostics.reliability import Reliability, reliability
from sbi_inn.diagnostics.temperature import Temperature, fitted_temperature, tempered
from sbi_inn.plots.classification import plot_confusion, plot_reliability
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray, IntArray

# A temperature of 1.1 turns 90 % into 88 %, one of 1.35 into 84 %.
TEMPERATURE = Limits("|log temperature| of the probabilities", caution=0.1, distrust=0.3)
SHARE = Limits("share of a model less its mean probability", caution=0.02, distrust=0.05)
ERROR = Limits("expected calibration error less that of exact ones", caution=0.02, distrust=0.05)
# Mean change of the probabilities that a temperature makes, below which it does not matter.
NO_MATTER = 0.07
LOOKS = 3
ERRORS = ("expected", "maximum", "integrated", "geometric_mean", "overconfidence")
WORDS = ("ECE", "MCE", "ICE", "geometric mean", "overconfidence error")
LEVEL = 0.99


@dataclass(frozen=True, repr=False)
class ModelCalibration(Record):
    """Probabilities of models beside how often these are true (sec. 5.3.2, eqs. 5.24 to 5.27).

    Attributes
    ----------
    names : tuple of str
    probabilities : array, shape (n, models)
    truth : array of int, shape (n,)
    found : ClassCalibration
        The calibration errors; `p_values`, of an exact classifier; and `floor`, what it shows.
    temperature : Temperature
    curve : Reliability
    """

    names: tuple[str, ...]
    probabilities: FloatArray
    truth: IntArray
    found: ClassCalibration
    p_values: ClassCalibration
    floor: ClassCalibrationFloor
    temperature: Temperature
    curve: Reliability

    @classmethod
    def of(cls, candidates: Candidates) -> ModelCalibration:
        """Look at the tests."""
        p, truth = candidates.probabilities, candidates.tests.labels
        return cls(
            candidates.names,
            p,
            truth,
            class_calibration(p, truth),
            class_calibration_p_value(p, truth, rng=candidates.rng(0)),
            class_calibration_floor(p, rng=candidates.rng(1)),
            fitted_temperature(p, truth, LEVEL),
            reliability(p, truth, rng=candidates.rng(2)),
        )

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Temperature, the share of each model, and the expected calibration error."""
        return (self._temperature, *self._shares, self._error)

    @property
    def _temperature(self) -> Finding:
        value = self.temperature.value
        p = 2 * stats.norm.sf(abs(log_score(self.probabilities, self.truth).z))
        sure = "too sure of themselves" if value > 1 else "too timid"
        words = (
            f"probabilities are {sure}: they suit the truth best at a temperature of {value:.2f}"
        )
        effect = abs(float(np.log(value)))
        return Finding(effect, self._noise, TEMPERATURE, corrected(p, LOOKS), words)

    @property
    def _shares(self) -> list[Finding]:
        shares, found = class_shares(self.probabilities, self.truth), []
        looks = LOOKS * len(self.names)
        gaps = shares.frequency - shares.probability
        for name, gap, z, said in zip(self.names, gaps, shares.z, shares.probability, strict=True):
            words = (
                f"the mean probability of {name} is {percent(said, 1)}, but it is true in "
                f"{percent(said + gap, 1)} of the cases"
            )
            p = corrected(2 * stats.norm.sf(abs(z)), looks)
            error = abs(gap / z) if z else 0.0
            found.append(Finding(abs(float(gap)), float(error), SHARE, p, words))
        return found

    @property
    def _error(self) -> Finding:
        exact = float(self.floor.expected[0])
        excess = max(0.0, self.found.expected - exact)
        words = (
            f"the expected calibration error is {percent(self.found.expected, 1)}, where exact "
            f"probabilities show {percent(exact, 1)}"
        )
        # By simulation, which never gives less than one in a thousand: the temperature may.
        p = corrected(self.p_values.expected, 1)
        noise = float(self.floor.expected[1] - exact)
        return Finding(excess, noise, ERROR, p, words)

    @property
    def _noise(self) -> float:
        """Standard error of the log temperature."""
        width = np.log(self.temperature.high / self.temperature.low)
        return float(width / 2 / stats.norm.ppf((1 + self.temperature.level) / 2))

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest temperature that would have shown, if it changes probabilities at all."""
        smallest = deviation(LOOKS) * self._noise
        changed = tempered(self.probabilities, float(np.exp(min(smallest, 3.0))))
        matters = float(np.abs(changed - self.probabilities).mean()) > NO_MATTER
        what = f"a temperature of up to {np.exp(min(smallest, 9.0)):.2f}"
        return (Sight(what, smallest, TEMPERATURE, len(self.truth), decides=matters),)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return (
            f"probabilities are calibrated (expected calibration error "
            f"{percent(self.found.expected, 1)}, as exact ones show {percent(self._exact, 1)}; "
            f"temperature {self.temperature.value:.2f})"
        )

    @property
    def _exact(self) -> float:
        return float(self.floor.expected[0])

    @property
    def table(self) -> pd.DataFrame:
        """One row a calibration error: found, what exact probabilities show, and the p-value."""
        rows = {
            word: (
                getattr(self.found, name),
                *getattr(self.floor, name),
                getattr(self.p_values, name),
            )
            for name, word in zip(ERRORS, WORDS, strict=True)
        }
        columns = ["found", "exact", "exact_95_%_quantile", "p_value"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("error")

    @property
    def confusion(self) -> pd.DataFrame:
        """How often each model, in rows, is taken for each: by the largest probability."""
        counts = confusion_matrix(self.probabilities, self.truth)
        index = pd.Index(self.names, name="true model")
        return pd.DataFrame(counts, index=index, columns=pd.Index(self.names, name="chosen"))

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the reliability curve with the band of an exact classifier."""
        return plot_reliability(self.curve, width_mm=width_mm, fig=fig)

    def more_figures(self, width_mm: float = DOUBLE_COLUMN_MM) -> dict[str, Figure]:
        """Show the confusion matrix."""
        return {"which model is taken for which": plot_confusion(self.confusion, width_mm=width_mm)}


MODEL_CALIBRATION = CheckKind(
    name="calibration",
    question="Are the probabilities of the models calibrated?",
    explanation=(
        "Of the simulations to which a model is given 70 %, seven in ten are to be its own. The "
        "band is where the curve of an exact classifier stays in 19 of 20 cases."
    ),
    run=ModelCalibration.of,
)
