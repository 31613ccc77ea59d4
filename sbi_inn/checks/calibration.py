"""Check that posteriors lie where they should, and are as wide as they should be (sec. 4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.phrases import number, percent, share, wrong_width
from sbi_inn.checks.record import Finding, Limits, Record, Sight, corrected, deviation
from sbi_inn.checks.subject import Subject
from sbi_inn.checks.thirds_of_givens import thirds
from sbi_inn.diagnostics.calibration import (
    CalibrationError,
    CalibrationFloor,
    calibration_error,
    calibration_floor,
    coverage,
)
from sbi_inn.diagnostics.conditional_ranks import location_scores
from sbi_inn.diagnostics.uniformity import ShiftWidth, shift_and_width, uniformity_p_value
from sbi_inn.observation.statistics import given_numbers
from sbi_inn.plots.calibration import plot_calibration
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import BoolArray, FloatArray

# Fractions, beyond what an exact posterior shows at as many test simulations: 1 % and 3 % are what
# posteriors show that are all .97 and .92 wide.
POOLED = Limits("pooled calibration error", caution=0.01, distrust=0.03)
# The same of the worst parameter, which noise makes twice as large.
WORST = Limits("calibration error of one parameter", caution=0.02, distrust=0.05)
# At .15 a 95 % interval still holds the truth in 94.7 % of cases, at .4 in 93 %, while the halves
# of the posterior are 56:44 and 66:34.
SHIFT = Limits("shift, in sd", caution=0.15, distrust=0.4)
# Of a combination; where there is as much to object to a single parameter, that one is named.
TOGETHER = replace(SHIFT)
# Outside .91 to 1.1, and .8 to 1.25: as far below 1 as above in logarithms.
WIDTH = Limits("log of the width ratio", caution=float(np.log(1.1)), distrust=float(np.log(1.25)))

# Truths outside the 95 or 99 % interval, over as many as there should be: of widths of .91 and .8
# there are 1.9 and 3.9 times as many outside the 99 % interval.
TAIL = Limits("log of the share outside", caution=float(np.log(2)), distrust=float(np.log(4)))
# Too few truths out there make intervals longer than they need to be, and no claim wrong: no reason
# for distrust. A width that is off all over has its own limits.
EMPTY_TAIL = replace(TAIL, distrust=np.inf)
TAILS = ((0.95, "outside"), (0.99, "outside"), (0.99, "below"), (0.99, "above"))
FEWEST_TOGETHER = 3  # parameters, of which a combination can be off and each of them hardly

REPETITIONS = 4_000  # test sets that tell what chance does, at most
COUNTED = 40_000  # of these times parameters at most: half a second

FURTHER = r" over \d| \(|; |: "  # with these begin details of a finding, which a title leaves out
LEVELS_SAID = np.array([0.5, 0.68, 0.95])  # probabilities of the intervals that sentences speak of


@dataclass(frozen=True, repr=False)
class Calibration(Record):
    """How often central intervals hold the truth, and on which side of them it lies.

    Attributes
    ----------
    ranks : array, shape (n, dim)
        Rank of each true parameter among its posterior draws, as a fraction.
    columns : tuple of str
        Names of the parameters.
    groups : mapping of str to mask, shape (n,)
        Parts of the test simulations that are also checked one by one, such as a third of the
        range of a given.
    """

    ranks: FloatArray
    columns: tuple[str, ...]
    groups: Mapping[str, BoolArray] = field(default_factory=dict)

    @cached_property
    def found(self) -> CalibrationError:
        """Calibration error, pooled and of each parameter, as fractions."""
        return calibration_error(self.ranks)

    @cached_property
    def floor(self) -> CalibrationFloor:
        """What an exact posterior shows at this many test rows: median and 95th percentile."""
        return _floor(*self.ranks.shape)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Error, location and width, over all test simulations and in each group."""
        return tuple(
            found
            for name, mask in self._parts.items()
            for found in self._look(name, mask, self._looks)
        )

    @cached_property
    def worst(self) -> Finding:
        """The finding that decides."""

        def order(found: Finding) -> tuple[int, bool, float]:
            return found.level, bool(found.level and found.limits is not TOGETHER), found.share

        return max(self.findings, key=order)

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest shift and width of one parameter, over all test simulations."""
        n = len(self.ranks)
        shift = deviation(2 * self._looks) / np.sqrt(n)
        width = shift / np.sqrt(2)
        # The median over levels of what a factor e^w of the width does to the coverage: .33 w.
        return (
            Sight(f"a shift below {shift:.2g} sd", shift, SHIFT, n),
            Sight(f"a width off by {percent(np.expm1(width))}", width, WIDTH, n),
            Sight(f"an error below {percent(0.33 * width, 1)}", 0.33 * width, POOLED, n, False),
        )

    @property
    def _looks(self) -> int:
        return 2 * len(self.columns) * len(self._parts)

    @property
    def measure(self) -> str:
        """What `value` is: the pooled error, unless another effect decides."""
        return super().measure if self._other else POOLED.measure

    @property
    def value(self) -> float:
        """The pooled calibration error, unless another effect decides."""
        return super().value if self._other else self.found.pooled

    @property
    def error(self) -> float:
        """How far chance alone takes it: the floor's 95th percentile minus its median."""
        pooled = float(self.floor.pooled[1] - self.floor.pooled[0])
        return super().error if self._other else pooled

    @property
    def threshold(self) -> float:
        """Above this, caution."""
        return super().threshold if self._other else self._limit

    @property
    def _limit(self) -> float:
        """Of the pooled error."""
        return float(self.floor.pooled[0] + POOLED.caution)

    @property
    def _other(self) -> bool:
        """Whether there is an objection, and to something else than the pooled error."""
        return bool(self.worst.level) and self.worst.limits is not POOLED

    @property
    def well(self) -> str:
        """What to say where all is well, and what would not have been seen."""
        n = len(self.ranks)
        said = (
            f"over {n:,} test simulations the intervals hold the truth as often as they say: "
            f"calibration error {percent(self.value, 1)} (an exact posterior shows "
            f"{percent(self.floor.pooled[0], 1)} by chance)"
        )
        shift, width = self.sights[:2]
        if width.smallest <= WIDTH.caution:
            return said
        return f"{said}, but with so few {shift.what} or {width.what} may not show"

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter, and a parameter and group: error, intervals, location, width."""
        parts = [self._table(name, mask) for name, mask in self._parts.items()]
        return pd.concat(parts).rename_axis("parameter")

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Coverage and ranks against nominal, with the band of an exact posterior."""
        return plot_calibration(
            self.ranks,
            self.columns,
            floor=self.floor,
            limit=self._limit,
            objection=self._objection,
            width_mm=width_mm,
            fig=fig,
        )

    @property
    def _objection(self) -> str:
        """Say in a line what is wrong, for the title of the figure; empty if nothing is."""
        said = re.split(FURTHER, self.worst.words)[0]
        return f"{self.verdict}: {said}" if self.worst.level else ""

    @property
    def _parts(self) -> dict[str, BoolArray]:
        """All test simulations, under an empty name, and the groups."""
        return {"": np.ones(len(self.ranks), bool), **self.groups}

    def _table(self, group: str, mask: BoolArray) -> pd.DataFrame:
        ranks = self.ranks[mask]
        held, placed = coverage(ranks, [0.68, 0.95]), shift_and_width(ranks)
        return pd.DataFrame(
            {
                "calibration_error": calibration_error(ranks).per_parameter,
                "held68": held[0],
                "held95": held[1],
                "too_high_by_sd": placed.shift,
                "relative_width": placed.width,
            },
            index=[f"{column} | {group}" if group else column for column in self.columns],
        )

    def _look(self, group: str, mask: BoolArray, tests: int) -> Iterator[Finding]:
        """Look at one part of the test simulations; p-values are for `tests` looks in all."""
        ranks, where = self.ranks[mask], f"where {group}, " if group else ""
        placed = shift_and_width(ranks)
        how = []
        for i, column in enumerate(self.columns):
            p_value = corrected(placed.p_value[i], tests)
            pair = [
                kind(ranks[:, i], where, column, placed, i, p_value)
                for kind in (_location, _spread)
            ]
            how.append(_explained(pair, where))
            yield from pair
        if not group:
            yield from self._tails()
            yield from self._together()
        # The band of ranks tells a shift best. What central intervals hold is told by how far ranks
        # lie from the middle, whose mean a few large ones do not decide.
        far = np.abs(2 * ranks - 1).mean(axis=0)
        held = 2 * stats.norm.sf(np.abs(far - 0.5) * np.sqrt(12 * len(ranks)))
        both = np.minimum(uniformity_p_value(ranks), held)
        p_values = [corrected(p_value, 2 * tests) for p_value in both]
        yield from self._errors(ranks, where, p_values, how, pooled=not group)

    def _tails(self) -> Iterator[Finding]:
        """Count the truths outside the 95 and 99 % intervals of each parameter."""
        n, tests = len(self.ranks), len(TAILS) * self._looks
        for i, column in enumerate(self.columns):
            sides = {"below": 1 - 2 * self.ranks[:, i], "above": 2 * self.ranks[:, i] - 1}
            sides["outside"] = np.abs(sides["above"])
            for level, side in TAILS:
                part = (1 - level) / (1 if side == "outside" else 2)
                count = int((sides[side] > level).sum())
                times = (count + 0.5) / (n * part + 0.5)
                words = (
                    f"truths lie {side} the {100 * level:.0f} % intervals of {column} "
                    f"{number(times)} times as often as they should: in "
                    f"{share(count / n, np.sqrt(max(count, 1)) / n)} of cases"
                )
                p_value = corrected(stats.binomtest(count, n, part).pvalue, tests)
                limits = TAIL if times > 1 else EMPTY_TAIL
                yield Finding(abs(float(np.log(times))), (n * part) ** -0.5, limits, p_value, words)

    def _together(self) -> Iterator[Finding]:
        """Look for the linear combination of parameters that is furthest off (Hotelling 1931)."""
        n, dim = self.ranks.shape
        if dim < FEWEST_TOGETHER or n < 5 * dim:
            return
        scores = location_scores(self.ranks)
        mean = scores.mean(axis=0)
        square = float(mean @ np.linalg.pinv(np.cov(scores.T)) @ mean)
        p_value = stats.f.sf(n * square * (n - dim) / (dim * (n - 1)), dim, n - dim)
        effect, error = float(np.sqrt(max(0.0, square - dim / n))), float(1 / np.sqrt(n))
        words = (
            f"all {dim} parameters together lie off: a linear combination of them by {effect:.2f} "
            f"+- {error:.2f} of its standard deviation"
        )
        yield Finding(effect, error, TOGETHER, corrected(p_value, self._looks), words)

    def _errors(
        self, ranks: FloatArray, where: str, p_values: list[float], how: list[str], *, pooled: bool
    ) -> Iterator[Finding]:
        """Compare the calibration error with that of an exact posterior."""
        found, floor = calibration_error(ranks), _floor(*ranks.shape)
        exact = (
            f"over {len(ranks):,} test simulations "
            f"(an exact posterior: {percent(floor.pooled[0], 1)})"
        )
        if pooled:
            worst = int(found.per_parameter.argmax())
            words = f"the calibration error is {percent(found.pooled, 1)} {exact}{how[worst]}"
            beyond, noise = found.pooled - floor.pooled[0], floor.pooled[1] - floor.pooled[0]
            yield Finding(float(beyond), float(noise), POOLED, min(p_values), words)
        for i, column in enumerate(self.columns):
            error = float(found.per_parameter[i])
            words = (
                f"{where}the calibration error of {column} is {percent(error, 1)} {exact}{how[i]}"
            )
            noise = float(floor.worst[1] - floor.worst[0])
            yield Finding(error - float(floor.worst[1]), noise, WORST, p_values[i], words)


def _explained(pair: list[Finding], where: str) -> str:
    """Say whether it is the location or the width that makes the error; empty if neither."""
    larger = max(pair, key=lambda found: found.share)
    return "" if larger.share < 0.5 else f"; {larger.words.removeprefix(where)}"


@lru_cache(maxsize=64)
def _floor(n: int, dim: int) -> CalibrationFloor:
    few = min(REPETITIONS, COUNTED // dim)
    rng = np.random.default_rng(0)
    return calibration_floor(n, dim, (0.5, 0.95), rng=rng, repetitions=few)


def _location(
    ranks: FloatArray, where: str, column: str, placed: ShiftWidth, i: int, p_value: float
) -> Finding:
    shift, error = float(placed.shift[i]), float(placed.shift_error[i])
    below, noise = float((ranks < 0.5).mean()), np.sqrt(0.25 / len(ranks))
    side = "high" if shift > 0 else "low"
    words = (
        f"{where}posteriors of {column} lie too {side} by {abs(shift):.2f} +- {error:.2f} of "
        f"their standard deviation (the truth is below their median in {share(below, noise)} "
        "of cases, not in 50 %)"
    )
    return Finding(abs(shift), error, SHIFT, p_value, words)


def _spread(
    ranks: FloatArray, where: str, column: str, placed: ShiftWidth, i: int, p_value: float
) -> Finding:
    width, error = float(placed.width[i]), float(placed.width_error[i])
    # The interval that shows it best: shoulders and tails need not be off by as much.
    held = coverage(ranks[:, None], LEVELS_SAID)[:, 0]
    noise = np.sqrt(LEVELS_SAID * (1 - LEVELS_SAID) / len(ranks))
    best = int((np.sign(width - 1) * (held - LEVELS_SAID) / noise).argmax())
    inside, level = float(held[best]), float(LEVELS_SAID[best])
    error_held = max(float(noise[best]), np.sqrt(inside * (1 - inside) / len(ranks)))
    normal = stats.norm.ppf((1 + np.array([inside, level])) / 2)
    said = width if inside == 1 else float(normal[0] / normal[1])
    words = (
        f"{where}{100 * level:.0f} % intervals of {column} hold the truth in "
        f"{share(inside, error_held)} of cases: they are {wrong_width(said)}"
    )
    return Finding(abs(float(np.log(width))), error / width, WIDTH, p_value, words)


def check_calibration(subject: Subject) -> Calibration:
    """Look at the calibration over the test simulations, and over thirds of each given."""
    found, schema = subject.survey(), subject.sampler.schema
    seen = found.tests.observations
    givens = given_numbers(seen, schema)
    givens |= {name: padded.sizes.astype(np.float64) for name, padded in seen.sets.items()}
    return Calibration(found.ranks, subject.sampler.columns, thirds(givens))


CALIBRATION = CheckKind(
    name="calibration",
    question="Do intervals hold the truth as often as they say, and do draws lie around it?",
    explanation="This is counted over many simulations whose true parameters are known.",
    run=check_calibration,
)
