"""Measure what one observation tells about each parameter: evidence, without a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.goodness import GOODNESS_OF_FIT
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import number, probability
from sbi_inn.checks.record import Finding, Record
from sbi_inn.checks.recovery import NONE
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.diagnostics.attainable import attainable
from sbi_inn.diagnostics.whole_numbers import Likeliest, likeliest, narrower
from sbi_inn.draws import INTERVAL_68, columns_of, flat
from sbi_inn.errors import NoDensityError
from sbi_inn.plots.axes import dress_log_axis
from sbi_inn.plots.panels import figure_of, single_panel
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.typing import BoolArray, FloatArray

DRAWS = 1_000
FEWEST = 200  # draws that are simulated again, at least
WORTHWHILE = 1.3  # times that a posterior could be narrower, from which on it is said
FAR_TOO_WIDE = 2.0  # the same, from which on an objection begins with it
VAGUE = (
    30.0  # times that a prior is as wide as the posterior, from which on it says next to nothing
)
MOST_SHOWN = 20  # parameters of a figure: of more, those that are known best


@dataclass(frozen=True, repr=False)
class Information(Record):
    """How much narrower the posterior at an observation is than the prior.

    Attributes
    ----------
    narrower : array, shape (dim,)
        Width of the prior divided by that of the posterior, for 68 % intervals. Each value of a
        discrete parameter stands for the numbers around it, so that no width is zero.
    contraction : array, shape (dim,)
        1 - posterior variance / prior variance.
    nats : float
        Information gained over the prior: the mean over draws of log posterior minus log prior
        density; NaN without a density.
    nats_error : float
        Standard error of that.
    columns : tuple of str
    attainable : array, shape (dim,), or None
        How many times narrower, at least, the posterior could be, judged by simulations from its
        draws; None if there are none.
    covered : bool
        Whether the simulations cover the observation. If not, only another model helps, and how
        sharp the posterior could be is not reported.
    likeliest : mapping of str to Likeliest
        The likeliest value of each discrete parameter that has few, its probability, and its
        probability before.
    """

    narrower: FloatArray
    contraction: FloatArray
    nats: float
    nats_error: float
    columns: tuple[str, ...]
    attainable: FloatArray | None = None
    covered: bool = True
    likeliest: Mapping[str, Likeliest] = field(default_factory=dict)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One that is never objected to: an exact posterior may well know little."""
        left = float(1 - self.contraction.max())
        return (Finding(left, 0.0, NONE, 1.0, self.well),)

    @property
    def well(self) -> str:
        """Say how much more is known of the parameters than before."""
        best, least = int(self.narrower.argmax()), int(self.narrower.argmin())
        gained = "" if np.isnan(self.nats) else f"{number(max(self.nats, 0.01))} nats: "
        said = f"y taught {gained}{self._known(best)}"
        said = said if best == least else f"{said}, {self._known(least)}"
        return f"{said}; {self._sharper}" if self._sharper else said

    @property
    def hint(self) -> str:
        """Say how to learn more from y; empty if there is little more to learn."""
        if not self._sharper:
            return ""
        vague = ", or narrow the prior and fit again" if self.narrower.max() > VAGUE else ""
        return f"For this observation, {self._sharper}{vague}."

    @property
    def first(self) -> str:
        """Say of which parameter the posterior is far too wide at y, if of any."""
        if not self._sharper or self.attainable is None or self.attainable.max() < FAR_TOO_WIDE:
            return ""
        most = int(self.attainable.argmax())
        return (
            f"at this observation the posterior of {self.columns[most]} is at least "
            f"{number(float(self.attainable[most]))} times as wide as it need be"
        )

    @property
    def _sharper(self) -> str:
        """Say of which parameter more could be known, if of any."""
        if self.attainable is None or not self.covered or self.attainable.max() < WORTHWHILE:
            return ""
        most = int(self.attainable.argmax())
        times = number(float(self.attainable[most]))
        return f"posterior.refine(y) would make {self.columns[most]} at least {times} times sharper"

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: times narrower than the prior, contraction, and what could be.

        Where discrete parameters have few values, also the likeliest value, its probability and its
        probability before.
        """
        found = pd.DataFrame(
            {"times_narrower": self.narrower, "contraction": self.contraction}
            | ({} if self.attainable is None else {"attainable": self.attainable}),
            index=pd.Index(self.columns, name="parameter"),
        )
        if self.likeliest:
            none = Likeliest(np.nan, np.nan, np.nan)
            rows = [self.likeliest.get(column, none) for column in self.columns]
            found[["likeliest", "probability", "probability_before"]] = np.array(rows)
        return found

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show how many times narrower than the prior the posterior of each parameter is."""
        shown = np.sort(np.argsort(-self.narrower, kind="stable")[:MOST_SHOWN])
        with single_panel(None, fig, width_mm, (0.6, 0.35)) as (ax, _):
            times = self.narrower[shown]
            # Bars begin where nothing was learned: a posterior wider than the prior points left.
            ax.barh(range(len(shown)), times - 1, left=1, color=COLOURS[0], height=0.6)
            ax.axvline(1, color=GREY, linewidth=0.6)
            ax.set_yticks(range(len(shown)), labels=[self.columns[i] for i in shown])
            ax.invert_yaxis()
            low, high = min(1.0, float(times.min())), max(1.0, float(times.max()))
            margin = max((high / low) ** 0.06, 1.05)
            dress_log_axis(ax.xaxis, (low / margin, high * margin))
            ax.set_xlabel("width of the prior / width of the posterior")
        return figure_of(ax)

    def _known(self, i: int) -> str:
        times, one = float(self.narrower[i]), self.likeliest.get(self.columns[i])
        if one is not None:
            return (
                f"{self.columns[i]} is {one.value:.0f} with probability "
                f"{probability(one.probability)} (before: {probability(one.before)})"
            )
        if times < 1.05:
            return f"{self.columns[i]} is known no better than before"
        return f"{self.columns[i]} is known {number(times)} times as well as before"


def check_information(here: Here) -> Information:
    """Compare the posterior at an observation with the prior."""
    sampler = here.subject.sampler
    fits = GOODNESS_OF_FIT.at(here)
    drawn = sampler.draw(here.observation, DRAWS, here.subject.rng())[0]
    shown = sampler.extended(drawn)
    table = here.subject.simulations.prior_draws
    prior = flat(table)[1]
    whole = np.array([column.discrete for column in columns_of(table)])
    try:
        gained = sampler.log_ratio(drawn[None], here.observation, normalised=True)[0]
    except NoDensityError:
        gained = np.full(DRAWS, np.nan)
    said = {i: likeliest(shown[:, i], prior[:, i]) for i in np.flatnonzero(whole)}
    return Information(
        _narrower(shown, prior, whole),
        1 - shown.var(axis=0) / prior.var(axis=0),
        float(gained.mean()),
        float(stats.sem(gained)),
        sampler.columns,
        _attainable(here, prior, whole) if _simulates(here.subject) else None,
        isinstance(fits, str) or fits.passed,
        {sampler.columns[i]: one for i, one in said.items() if one is not None},
    )


def _narrower(shown: FloatArray, prior: FloatArray, whole: BoolArray) -> FloatArray:
    """Give how many times as well as before each parameter is known, shape (dim,)."""
    widths = [np.subtract(*np.quantile(x, INTERVAL_68[::-1], axis=0)) for x in (prior, shown)]
    before, after = (np.maximum(w, 1e-3 * prior.std(axis=0)) for w in widths)
    times = before / after
    for i in np.flatnonzero(whole):
        times[i] = narrower(shown[:, i], prior[:, i])
    return times


def _attainable(here: Here, prior: FloatArray, whole: BoolArray) -> FloatArray:
    """Give how many times narrower each posterior could be; 1 where a width says nothing.

    A parameter of few values has a variance that depends on what was observed: it may be wide here,
    and right.
    """
    shown = here.subject.sampler.extended(here.drawn)
    low, high = np.quantile(shown, INTERVAL_68, axis=0)
    wide = [
        i
        for i in range(shown.shape[1])
        if not whole[i] or (low[i] < high[i] and likeliest(shown[:, i], prior[:, i]) is None)
    ]
    found = np.ones(shown.shape[1])
    if wide:
        found[wide] = attainable(shown[:, wide], here.again, prior[:, wide])
    return found


def _simulates(subject: Subject) -> bool:
    """Whether draws at an observation can be simulated again, in the time a check may take."""
    return not subject.not_again and subject.affordable >= FEWEST


INFORMATION_AT_Y = CheckKind(
    name="information at y",
    question="What does your observation say about each parameter at all?",
    explanation="A posterior may be calibrated and know little: how much narrower than the prior "
    "it is, how much information was gained, and how much narrower it could be, by what its own "
    "draws give when they are simulated again.",
    run=check_information,
    at_observation=True,
)
