"""Test whether the simulations could have produced an observation (sec. 5.4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.record import Finding, Limits, Record, Sampler, corrected
from sbi_inn.checks.resimulation import EXPLAIN
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.diagnostics.normal_scores import normal_scores
from sbi_inn.diagnostics.novelty import Novelty
from sbi_inn.diagnostics.residuals import Residuals
from sbi_inn.diagnostics.tails import tail_p_value, two_tailed
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import (
    described_names,
    described_with_givens,
    filled,
    given_names,
    spread,
)
from sbi_inn.plots.novelty import plot_novelty
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.typing import FloatArray

# A p-value is its own effect size, the share of simulated observations that are as strange: one
# in a hundred is odd, and for one in a thousand something else is the better explanation.
STRANGE = Limits("-log10 of the p-value", caution=-np.log10(0.01), distrust=-np.log10(0.001))

FAMILIAR = 5_000
"""Simulations that an observation is compared with."""

OBSERVED = "the observation"
LEARNED = "its learned summary"
SINGLE = "a single statistic"
GIVEN_OTHERS = "a statistic given the others"
RANKED = "the observation by ranks"
DECADES = 50.0  # spreads that a statistic spans, from which on distances hide its lower end
ONE_TAILED = (SINGLE, GIVEN_OTHERS)
USUAL = 0.1  # p-value of the statistic that sticks out most, above which it does not
MANY = 5  # statistics, from which on one that is off can hide among the others
AGAIN = 500  # draws that are simulated again, where an observation is close to the middle
FEWEST_AGAIN = 100  # of them that have to succeed, for a rank among them to mean something


@dataclass(frozen=True)
class Familiar:
    """What simulated observations look like, and how strange others are beside them.

    Attributes
    ----------
    observed : Novelty
        Of the scaled statistics and givens.
    others : Residuals
        Of each statistic and given, less what the others predict of it.
    ranked : Novelty or None
        Of their normal scores, where some span decades: of these a distance sees the upper end.
    learned : Novelty or None
        Of the summaries that the network has learned. They need not be injective, so that
        either may see what the other misses.
    names : tuple of str
        Of the statistics and givens.
    observables : int
        How many of the names are statistics; the rest are givens.
    usual : array, shape (n, k)
        Statistics and givens of the held-out simulations. Their medians stand for what is missing,
        in these as in an observation: a rank among what went the same way stays one.
    """

    observed: Novelty
    others: Residuals
    ranked: Novelty | None
    learned: Novelty | None
    names: tuple[str, ...]
    observables: int
    usual: FloatArray

    @classmethod
    def of(cls, sampler: Sampler, observations: Observations) -> Familiar:
        """Learn from held-out simulations."""
        rows = described_with_givens(observations, sampler.schema)
        return cls.told(sampler.schema, rows, sampler.features(observations))

    @classmethod
    def told(cls, schema: Schema, rows: FloatArray, features: FloatArray) -> Familiar:
        """Learn from statistics and givens of held-out simulations, and their learned summaries."""
        observables = len(described_names(schema))
        known = filled(rows, rows)
        decades = bool((np.ptp(known, axis=0) > DECADES * spread(known))[:observables].any())
        return cls(
            Novelty.fit(known, suspects=observables),
            Residuals.fit(known, observables),
            Novelty.fit(normal_scores(known, known)) if decades else None,
            Novelty.fit(features) if features.shape[1] else None,
            names(schema),
            observables,
            rows,
        )

    def scores(self, sampler: Sampler, observations: Observations) -> dict[str, FloatArray]:
        """Give the scores of observations by each look, shape (n,) each."""
        rows = filled(described_with_givens(observations, sampler.schema), self.usual)
        return self._scores_of(rows, sampler, observations)

    def _scores_of(
        self, rows: FloatArray, sampler: Sampler, observations: Observations
    ) -> dict[str, FloatArray]:
        """Do the same, with their statistics and givens (n, k), where nothing is missing."""
        found = {OBSERVED: self.observed.score(rows)}
        if self.observables >= MANY:
            found[SINGLE] = self.observed.largest(rows)
            found[GIVEN_OTHERS] = self.others.largest(rows)
        if self.ranked is not None:
            known = filled(self.usual, self.usual)
            found[RANKED] = self.ranked.score(normal_scores(known, rows))
        if self.learned is not None:
            found[LEARNED] = self.learned.score(sampler.features(observations))
        return found

    @property
    def _usual_scores(self) -> dict[str, FloatArray]:
        """Give the scores of held-out simulations by each look."""
        found = {OBSERVED: self.observed.own}
        if self.observables >= MANY:
            found[SINGLE], found[GIVEN_OTHERS] = self.observed.own_largest, self.others.own
        if self.ranked is not None:
            found[RANKED] = self.ranked.own
        if self.learned is not None:
            found[LEARNED] = self.learned.own
        return found

    def compare(self, sampler: Sampler, observations: Observations) -> list[GoodnessOfFit]:
        """Say for each observation how strange it is."""
        stated = described_with_givens(observations, sampler.schema)
        rows = filled(stated, self.usual)
        out = np.where(np.isnan(stated), 0.0, self.observed.sticking_out(rows))
        scores, usual = self._scores_of(rows, sampler, observations), self._usual_scores
        p_values = {
            name: (tail_p_value if name in ONE_TAILED else two_tailed)(score, usual[name])
            for name, score in scores.items()
        }
        if GIVEN_OTHERS in p_values:
            alone = p_values[GIVEN_OTHERS] < p_values[SINGLE]
            out[alone] = np.where(np.isnan(stated), 0.0, self.others.of(rows))[alone]
        return [
            GoodnessOfFit(
                usual,
                {name: float(score[i]) for name, score in scores.items()},
                {name: float(p_value[i]) for name, p_value in p_values.items()},
                self.names,
                stated[i],
                out[i],
                self.observables,
            )
            for i in range(len(rows))
        ]


@dataclass(frozen=True, repr=False)
class GoodnessOfFit(Record):
    """How strange an observation is, compared with simulated ones.

    The distance to the nearest simulations is compared with that of held-out simulations. Its rank
    gives a two-tailed p-value (beyond the largest one, by a generalised Pareto tail). There is one
    p-value for all scaled statistics and givens, one for the single statistic that sticks out
    most, if there are many, and one for the learned summaries.

    An observation may lie closer to the middle than simulations do because its own parameters are
    usual ones, or its own noise is small, in a prior that says little. Then draws of its posterior,
    simulated again, lie as close, and its p-value is the one among these. Data that were averaged,
    or have no noise, lie closer than those, too.

    Attributes
    ----------
    usual : dict of str to array, shape (n,)
        Log distances of held-out simulations.
    here : dict of str to float
        Log distances of the observation.
    p_values : dict of str to float
    names : tuple of str, length k
    row : array, shape (k,)
        Statistics and givens of the observation.
    sticking_out : array, shape (k,)
        How far each is from the nearest simulations, or from what the other statistics predict, in
        units of the usual difference.
    observables : int
        The first of the k are statistics: this is their number. The others are givens, which are
        chosen by the experimenter and not called strange.
    again : dict of str to array, shape (draws,)
        Log distances of draws at the observation that were simulated again, where it lies closer
        to the middle than simulations do; the p-value is one among these.
    """

    usual: dict[str, FloatArray]
    here: dict[str, float]
    p_values: dict[str, float]
    names: tuple[str, ...]
    row: FloatArray
    sticking_out: FloatArray
    observables: int
    again: Mapping[str, FloatArray] = field(default_factory=dict)

    remedy = EXPLAIN

    @property
    def p_value(self) -> float:
        """Of all together: the smallest, corrected for as many looks."""
        return corrected(min(self.p_values.values()), len(self.p_values))

    @property
    def too_close(self) -> tuple[str, ...]:
        """Looks by which it lies closer to the middle than the limit for caution."""
        limit = self.threshold / len(self.p_values)
        return tuple(n for n, p in self.p_values.items() if p < limit and self._by_lower_tail(n))

    def beside(self, again: Mapping[str, FloatArray]) -> GoodnessOfFit:
        """Compare it with draws at it that were simulated again, by looks in which it is close.

        Parameters
        ----------
        again : dict of str to array, shape (draws,)
            Their log distances.
        """
        close = {name: again[name] for name in self.too_close}
        among = {n: float(two_tailed(np.array([self.here[n]]), a)[0]) for n, a in close.items()}
        explained = {n: max(self.p_values[n], p) for n, p in among.items()}
        return replace(self, p_values=self.p_values | explained, again=close)

    @property
    def sticks_out(self) -> str:
        """Name of the statistic that is furthest from what the nearest simulations have."""
        return self.names[self._furthest]

    @property
    def sticks_out_by(self) -> float:
        """How far that is, in units of what is usual."""
        return float(self.sticking_out[self._furthest])

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The p-value, whose limits are those of `STRANGE`."""
        count = _count(self.p_value)
        words = f"of 1,000 simulated observations {count} would be as strange as this one"
        by = f"{LEARNED} gives it away; " if self._strangest == LEARNED else ""
        if self._too_ordinary:
            words += (
                f": {by}it lies closer to their middle than noise lets them lie, as if it had been "
                "averaged or had no noise"
            )
        else:
            words += f" ({by}{self._what_sticks_out}): the simulations hardly cover it"
        effect, odd = -np.log10(self.p_value), float(10**-STRANGE.caution)
        return (Finding(effect, 0.0, STRANGE, self.p_value, words, odd),)

    @property
    def measure(self) -> str:
        """What `value` is."""
        return "p-value"

    @property
    def value(self) -> float:
        """The p-value."""
        return self.p_value

    @property
    def threshold(self) -> float:
        """Below this, caution."""
        return float(10**-STRANGE.caution)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        as_strange = 100 * self.p_value
        if self.again:
            return (
                "the observation lies closer to the middle than most simulated ones, and so do "
                f"draws at it, simulated again ({as_strange:.0f} % are as strange)"
            )
        return f"the observation looks like a simulated one ({as_strange:.0f} % are as strange)"

    @property
    def table(self) -> pd.DataFrame:
        """One row a statistic: its value and how far it sticks out."""
        return pd.DataFrame(
            {"observed": self.row, "sticks_out_by": self.sticking_out},
            index=pd.Index(self.names, name="statistic"),
        ).sort_values("sticks_out_by", ascending=False)

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Show the observation among held-out simulations."""
        strangest = self._strangest
        draws = "draws at this observation, simulated again"
        return plot_novelty(
            self.again.get(strangest, self.usual[strangest]),
            np.array([self.here[strangest]]),
            np.array([self.p_values[strangest]]),
            label="square of the residual of a statistic given the others"
            if strangest == GIVEN_OTHERS
            else f"log distance of {strangest} to the nearest simulations",
            two_tailed=strangest not in ONE_TAILED,
            usual_name=draws if strangest in self.again else "held-out simulations",
            width_mm=width_mm,
            fig=fig,
        )

    @property
    def _strangest(self) -> str:
        """Which of the looks has the smallest p-value."""
        return min(self.p_values, key=lambda name: self.p_values[name])

    @property
    def _too_ordinary(self) -> bool:
        """Whether it is strange by the lower tail, where nothing sticks out."""
        return self._by_lower_tail(self._strangest)

    def _by_lower_tail(self, name: str) -> bool:
        return self.here[name] < float(np.median(self.usual[name]))

    @property
    def _what_sticks_out(self) -> str:
        if min(self.p_values.get(name, 0.0) for name in ONE_TAILED) > USUAL:
            return "no single statistic sticks out, it is how they go together"
        return f"{self.sticks_out} = {self.row[self._furthest]:.3g} sticks out most"

    @property
    def _furthest(self) -> int:
        return int(self.sticking_out[: self.observables].argmax())


def names(schema: Schema) -> tuple[str, ...]:
    """Name the columns of `described_with_givens`."""
    return (*described_names(schema), *given_names(schema), *schema.sets)


def _count(p_value: float) -> str:
    """Say how many of 1,000."""
    return "fewer than 1" if p_value < 1e-3 else f"{1000 * p_value:.0f}"


def goodness_of_fit(subject: Subject, observations: Observations) -> list[GoodnessOfFit]:
    """Say for each of many observations whether the simulations could have produced it."""
    return _familiar(subject).compare(subject.sampler, observations)


def goodness_here(here: Here) -> GoodnessOfFit:
    """Say it of one observation; where this is close to the middle, beside draws at it."""
    found = goodness_of_fit(here.subject, here.observation)[0]
    again = _again(here) if found.too_close else {}
    return found.beside(again) if again else found


def _again(here: Here) -> dict[str, FloatArray]:
    """Simulate draws at an observation again, and score them; nothing where that fails."""
    subject = here.subject
    if subject.not_again or subject.affordable < FEWEST_AGAIN:
        return {}
    drawn = here.drawn[:AGAIN]
    try:
        seen, _ = subject.observe(drawn, here.repeated(len(drawn)), stream=Stream.CHECK_SIMULATIONS)
    except SimulationError:
        return {}
    if len(seen) < FEWEST_AGAIN:
        return {}
    return _familiar(subject).scores(subject.sampler, seen)


def _familiar(subject: Subject) -> Familiar:
    schema = subject.sampler.schema
    return subject.once("familiar", lambda: Familiar.told(schema, *subject.read))


GOODNESS_OF_FIT = CheckKind(
    name="goodness of fit",
    question="Is your observation one that the simulations could have produced?",
    explanation="It should be as close to simulated observations as they are to each other.",
    run=goodness_here,
    at_observation=True,
)
