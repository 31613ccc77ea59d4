"""Check posteriors of fields: by numbers that summarise a field, and by its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.calibration import Calibration
from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import share
from sbi_inn.checks.record import Finding, Limits, Record, Sampler
from sbi_inn.checks.stopwatch import Stopwatch
from sbi_inn.checks.subject import Subject
from sbi_inn.checks.survey import moments_of
from sbi_inn.diagnostics.calibration import ranks
from sbi_inn.diagnostics.field_quantities import Quantities
from sbi_inn.plots.coverage_map import plot_coverage_map
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.prior import FieldPlace
from sbi_inn.typing import BoolArray, FloatArray, IntArray

DRAWS = 100  # at each test simulation
SECONDS = 30.0  # that drawing may take, if as many as these were looked at:
FEWEST = 200
PIECE = 25  # test simulations at once
LEVEL = 0.9  # of the intervals whose coverage the map shows
# Of all pixels together, beside the level: 1 % is what intervals show that are .97 wide.
COVERED = Limits("coverage of 90 % intervals of all pixels, off", caution=0.015, distrust=0.04)


@dataclass(frozen=True)
class FieldSurvey:
    """What draws of a field at n test simulations show.

    Attributes
    ----------
    ranks : array, shape (n, quantities)
        Of the truth's other parameters and derived quantities, and of what sums up its field, among
        those of the draws.
    names : tuple of str
    inside : array of bool, shape (n, pixels)
        Whether each true pixel lies in its 90 % interval.
    place : FieldPlace
    truth, mean, sd, median, low, high : array, shape (n, quantities)
        What was ranked; mean, sd, median and ends of the 68 % interval of the draws.
    """

    ranks: FloatArray
    names: tuple[str, ...]
    inside: BoolArray
    place: FieldPlace
    truth: FloatArray
    mean: FloatArray
    sd: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Summed:
    """Other parameters, derived quantities, and what sums up the field.

    Attributes
    ----------
    sampler : Sampler
        Of a prior with one field.
    """

    sampler: Sampler

    @property
    def place(self) -> FieldPlace:
        """The field."""
        return self.sampler.prior.fields[0]

    @cached_property
    def quantities(self) -> Quantities:
        """What sums it up."""
        return Quantities(self.place.name, self.place.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """One name each."""
        return (*(self.sampler.columns[i] for i in self._others), *self.quantities.names)

    def __call__(self, flat: FloatArray) -> FloatArray:
        """Compute them of flat parameters (n, dim), shape (n, quantities)."""
        fields = flat[:, self.place.columns].reshape(-1, *self.place.shape)
        return np.hstack([self.sampler.extended(flat)[:, self._others], self.quantities(fields)])

    @property
    def _others(self) -> IntArray:
        """All columns but pixels: derived quantities stand behind the parameters."""
        return np.delete(np.arange(len(self.sampler.columns)), self.place.columns)


def survey_field(
    sampler: Sampler, tests: TestSet, rng: np.random.Generator, *, seconds: float = SECONDS
) -> FieldSurvey:
    """Draw at test simulations, until the time is over.

    Parameters
    ----------
    sampler : Sampler
        Of a prior with one field.
    tests : TestSet
    rng : numpy.random.Generator
    seconds : float
        Of work of this process, after which it stops, if 200 test simulations were looked at.
    """
    summed = Summed(sampler)
    place = summed.place
    watch, parts, done = Stopwatch(), [], 0
    while done < len(tests) and (done < FEWEST or watch.seconds < seconds):
        here = slice(done, done + PIECE)
        truth = tests.truth[here]
        drawn = sampler.draw(tests.observations[here], DRAWS, rng)
        many = summed(drawn.reshape(-1, drawn.shape[2])).reshape(len(truth), DRAWS, -1)
        part: dict[str, Any] = {"truth": summed(truth), **moments_of(many)}
        part["ranks"] = ranks(part["truth"], many, rng)
        pixels = ranks(truth[:, place.columns], drawn[:, :, place.columns], rng)
        part["inside"] = np.abs(2 * pixels - 1) <= LEVEL
        parts.append(part)
        done += len(truth)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return FieldSurvey(names=summed.names, place=place, **whole)


@dataclass(frozen=True, repr=False)
class FieldCalibration(Calibration):
    """Calibration of what sums up a field; the part of the field that is worst is named."""

    @cached_property
    def worst(self) -> Finding:
        """The finding that decides, or one about a place that is as bad."""
        decides = max(self.findings, key=lambda found: (found.level, found.share))
        places = [name for name in self.columns if name.endswith(")")]
        about = [
            found
            for found in self.findings
            if found.level == decides.level > 0 and any(place in found.words for place in places)
        ]
        return max(about, key=lambda found: found.share, default=decides)


@dataclass(frozen=True, repr=False)
class CoverageMap(Record):
    """How often each pixel's 90 % interval holds the truth.

    Attributes
    ----------
    inside : array of bool, shape (n, pixels)
    place : FieldPlace
    """

    inside: BoolArray
    place: FieldPlace

    @cached_property
    def coverage(self) -> FloatArray:
        """Share of test simulations in which each pixel lies in its interval, as the field."""
        return self.inside.mean(axis=0).reshape(self.place.shape)

    @property
    def band(self) -> float:
        """Two binomial standard deviations of a pixel's share."""
        return float(2 * np.sqrt(LEVEL * (1 - LEVEL) / len(self.inside)))

    @property
    def within(self) -> float:
        """Share of the pixels that are within two binomial standard deviations: 95 % if exact."""
        return float((np.abs(self.coverage - LEVEL) <= self.band).mean())

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The coverage of all pixels together.

        Pixels go together: its error is that of the share of pixels held in one test simulation.
        """
        each = self.inside.mean(axis=1)
        gap = float(each.mean() - LEVEL)
        error = max(float(each.std(ddof=1)) / np.sqrt(len(each)), 1e-9)
        p_value = float(2 * stats.norm.sf(abs(gap) / error))
        side = "narrow" if gap < 0 else "wide"
        words = (
            f"90 % intervals of the pixels of {self.place.name} hold the truth in "
            f"{share(LEVEL + gap, error)} of cases: they are too {side}"
        )
        return (Finding(abs(gap), error, COVERED, p_value, words),)

    @property
    def well(self) -> str:
        """Say how often intervals of pixels hold the truth."""
        (found,) = self.findings
        held = float(self.inside.mean())
        return (
            f"90 % intervals of the pixels of {self.place.name} hold the truth in "
            f"{share(held, found.error)} of cases"
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row: coverage of all pixels, of the worst ones, and how many are within the band."""
        row = {
            "coverage": self.coverage.mean(),
            "lowest pixel": self.coverage.min(),
            "highest pixel": self.coverage.max(),
            "two binomial sd": self.band,
            "pixels within": self.within,
        }
        return pd.DataFrame([row], index=pd.Index([self.place.name], name="field"))

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the map, in colours that change at the band."""
        return plot_coverage_map(self.coverage, LEVEL, self.band, width_mm=width_mm, fig=fig)


def field_survey(subject: Subject) -> FieldSurvey:
    """Draw at the test simulations, once."""
    return subject.once(
        "field survey", lambda: survey_field(subject.sampler, subject.tests, subject.rng())
    )


def check_quantities(subject: Subject) -> FieldCalibration:
    """Look at the calibration of what sums up a field, and of other parameters."""
    found = field_survey(subject)
    return FieldCalibration(found.ranks, found.names)


def check_pixels(subject: Subject) -> CoverageMap:
    """Look at the intervals of the pixels."""
    found = field_survey(subject)
    return CoverageMap(found.inside, found.place)


FIELD_CALIBRATION = CheckKind(
    name="calibration",
    question="Are means of blocks, power and random projections of the field calibrated?",
    explanation="These summarise a field, and show whether its pixels are correlated as they "
    "should be. This is counted over many simulations whose true field is known.",
    run=check_quantities,
)

COVERAGE_MAP = CheckKind(
    name="coverage of pixels",
    question="Do the intervals of pixels hold the truth as often as they say?",
    explanation="This is counted pixel by pixel, over many simulations whose true field is known.",
    run=check_pixels,
)
