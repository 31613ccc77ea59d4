"""Whether the posteriors lie where they should and are as wide as they should be (sec. 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.phrases import percent, share, wrong_width
from sbi_inn.checks.record import SIGNIFICANCE, Finding, Record
from sbi_inn.diagnostics.calibration import (
    CalibrationError,
    CalibrationFloor,
    calibration_error,
    calibration_floor,
    coverage,
)
from sbi_inn.diagnostics.uniformity import ShiftWidth, shift_and_width, uniformity_p_value
from sbi_inn.plots.calibration import plot_calibration
from sbi_inn.plots.style import DOUBLE_COLUMN_MM
from sbi_inn.typing import BoolArray, FloatArray

# Effects worth a word, if they are significant. Of the pooled error beyond what an exact posterior
# shows at as many test simulations, and of the worst parameter, which noise makes twice as large:
POOLED = (0.01, 0.03)
WORST = (0.02, 0.05)
# Of the location, in posterior standard deviations. At .15 a 95 % interval still holds the truth
# in 94.7 % of cases, at .4 in 93 %, while the halves of the posterior are 56:44 and 66:34.
SHIFT = (0.15, 0.4)
# Of the width: outside .91 to 1.1, and .8 to 1.25, as far below 1 as above in logarithms.
WIDTH = (float(np.log(1.1)), float(np.log(1.25)))

SHOWN = (0.5, 0.68, 0.95)  # levels of the intervals that sentences speak of

Masks = Mapping[str, BoolArray]


@dataclass(frozen=True, repr=False)
class Calibration(Record):
    """How often central intervals hold the truth, and on which side it lies.

    Attributes
    ----------
    ranks : array, shape (n, dim)
        Rank of each true parameter among its posterior draws, as a fraction.
    columns : tuple of str
        Names of the parameters.
    groups : mapping of str to mask, shape (n,)
        Parts of the test simulations that have to be calibrated by themselves, such as a third of
        the range of a given.
    """

    ranks: FloatArray
    columns: tuple[str, ...]
    groups: Masks = field(default_factory=dict)

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
        parts = {"": np.ones(len(self.ranks), bool), **self.groups}
        tests = 2 * len(self.columns) * len(parts)
        return tuple(
            found for name, mask in parts.items() for found in self._findings(name, mask, tests)
        )

    @property
    def value(self) -> float:
        """The pooled calibration error."""
        return self.found.pooled

    @property
    def error(self) -> float:
        """How far chance alone takes it: the floor's 95th percentile minus its median."""
        return float(self.floor.pooled[1] - self.floor.pooled[0])

    @property
    def threshold(self) -> float:
        """Above this, caution; so is a wrong location or width of a single parameter."""
        return float(self.floor.pooled[0] + POOLED[0])

    @property
    def measure(self) -> str:
        """What `value` is."""
        return "pooled calibration error"

    @property
    def well(self) -> str:
        """What to say where all is well, and what would not have been seen."""
        n = len(self.ranks)
        said = (
            f"over {n:,} test simulations the intervals hold the truth as often as they say: "
            f"calibration error {percent(self.value, 1)} (an exact posterior shows "
            f"{percent(self.floor.pooled[0], 1)} by chance)"
        )
        blind = stats.norm.isf(SIGNIFICANCE / (4 * len(self.columns))) / np.sqrt(2 * n)
        if blind < 2 * WIDTH[0]:
            return said
        return f"{said}, but with so few a width that is off by {percent(blind)} may not show"

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter, and a parameter and group: error, intervals, location, width."""
        rows = dict(zip(self.columns, self._rows(), strict=True))
        for name, mask in self.groups.items():
            for column, row in zip(self.columns, self._rows(mask), strict=True):
                rows[f"{column} | {name}"] = row
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("parameter")

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM) -> Figure:
        """Coverage and ranks against nominal, with the band of an exact posterior."""
        return plot_calibration(self.ranks, self.columns, floor=self.floor, width_mm=width_mm)

    def _rows(self, mask: BoolArray | slice = slice(None)) -> list[dict[str, float]]:
        ranks = self.ranks[mask]
        held, error = coverage(ranks, [0.68, 0.95]), calibration_error(ranks).per_parameter
        placed = shift_and_width(ranks)
        columns = {
            "calibration_error": error,
            "held68": held[0],
            "held95": held[1],
            "too_high_by_sd": placed.shift,
            "relative_width": placed.width,
        }
        return [{n: float(v[i]) for n, v in columns.items()} for i in range(ranks.shape[1])]

    def _findings(self, group: str, mask: BoolArray, tests: int) -> Iterator[Finding]:
        """Look at one part of the test simulations; p-values are for `tests` looks in all."""
        ranks, where = self.ranks[mask], f"where {group}, " if group else ""
        placed = shift_and_width(ranks)
        p_values = np.minimum(1.0, tests * placed.p_value)
        by_parameter = []
        for i, column in enumerate(self.columns):
            p_value = float(p_values[i])
            location = _location(ranks[:, i], where, column, placed, i, p_value)
            by_parameter.append((location, _spread(ranks[:, i], where, column, placed, i, p_value)))
            yield from by_parameter[-1]
        uniform = np.minimum(1.0, tests * uniformity_p_value(ranks))
        how = [_explained(pair, where) for pair in by_parameter]
        yield from self._errors(ranks, where, uniform, how, pooled=not group)

    def _errors(
        self, ranks: FloatArray, where: str, p_values: FloatArray, how: list[str], *, pooled: bool
    ) -> Iterator[Finding]:
        """Compare the calibration error with that of an exact posterior."""
        n, dim = ranks.shape
        found, floor = calibration_error(ranks), _floor(n, dim)
        exact = f"over {n:,} test simulations (an exact posterior: {percent(floor.pooled[0], 1)})"
        if pooled:
            worst = int(found.per_parameter.argmax())
            words = f"the calibration error is {percent(found.pooled, 1)} {exact}{how[worst]}"
            beyond = found.pooled - floor.pooled[0]
            noise = floor.pooled[1] - floor.pooled[0]
            yield Finding(float(beyond), float(noise), POOLED, float(p_values.min()), words)
        for i, column in enumerate(self.columns):
            error = float(found.per_parameter[i])
            words = (
                f"{where}the calibration error of {column} is {percent(error, 1)} {exact}{how[i]}"
            )
            noise = float(floor.worst[1] - floor.worst[0])
            yield Finding(error - float(floor.worst[1]), noise, WORST, float(p_values[i]), words)


def _explained(pair: tuple[Finding, Finding], where: str) -> str:
    """Say whether it is the location or the width that makes the error; empty if neither."""
    larger = max(pair, key=lambda found: found.effect / found.limits[0])
    small = larger.effect < larger.limits[0] / 2
    return "" if small else f"; {larger.words.removeprefix(where)}"


@lru_cache(maxsize=64)
def _floor(n: int, dim: int) -> CalibrationFloor:
    return calibration_floor(n, dim, (0.5, 0.95), rng=np.random.default_rng(0))


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
    held, levels = coverage(ranks[:, None], SHOWN)[:, 0], np.array(SHOWN)
    noise = np.sqrt(levels * (1 - levels) / len(ranks))
    best = int((np.sign(width - 1) * (held - levels) / noise).argmax())
    error_held = max(noise[best], np.sqrt(held[best] * (1 - held[best]) / len(ranks)))
    normal = stats.norm.ppf((1 + np.array([held[best], levels[best]])) / 2)
    said = width if held[best] == 1 else float(normal[0] / normal[1])
    words = (
        f"{where}{100 * levels[best]:.0f} % intervals of {column} hold the truth in "
        f"{share(float(held[best]), float(error_held))} of cases: they are {wrong_width(said)}"
    )
    return Finding(abs(float(np.log(width))), error / width, WIDTH, p_value, words)
