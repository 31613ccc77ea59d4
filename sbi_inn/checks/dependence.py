"""Check that posteriors show how parameters depend on each other (Modrak et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.kind import TWO_PARAMETERS, CheckKind
from sbi_inn.checks.phrases import wrong_width
from sbi_inn.checks.record import Finding, Limits, Record, Sight, corrected, deviation
from sbi_inn.checks.subject import Subject
from sbi_inn.diagnostics.conditional_ranks import SCORE_OF_CORRELATION, location_scores
from sbi_inn.diagnostics.uniformity import simultaneous_band, uniformity_p_value
from sbi_inn.plots.ranks import plot_ranks
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.typing import FloatArray, IntArray

# The true correlation minus that of the draws. If .1 is missed, the sum of two parameters is 5 %
# too narrow; if .3, it is 14 % too narrow.
CORRELATION = Limits("difference of correlations", caution=0.1, distrust=0.3)
# The same of distances from the middle, of parameters that go together in size and not in sign.
# Wrong widths, which have limits of their own, make a tenth of it.
SIZES = Limits("difference of correlations of sizes", caution=0.2, distrust=0.6)


# Of a linear combination of all parameters: as for the width of one.
TOGETHER = Limits(
    "log of the width ratio together", caution=float(np.log(1.1)), distrust=float(np.log(1.25))
)
FEWEST_TOGETHER = 3  # parameters, of which more than one pair goes together


@dataclass(frozen=True, repr=False)
class Dependence(Record):
    """Ranks of products of two parameters, each centred at its posterior mean.

    Attributes
    ----------
    ranks : array, shape (n, pairs)
        Rank of each true product among those of the draws, as a fraction.
    excess : array, shape (n, pairs)
        The true product, in standard deviations, minus the mean of the draws' products; of
        locations and widths that are right (`with_right_marginals`).
    pairs : tuple of (str, str)
        Names of the parameters.
    sizes, size_excess : array, shape (n, pairs)
        The same of distances from the middle, whatever their signs; of no pairs, where these are
        many.

    References
    ----------
    Modrak et al. (2023), arXiv:2211.02383: test quantities of simulation-based calibration.
    """

    ranks: FloatArray
    excess: FloatArray
    pairs: tuple[tuple[str, str], ...]
    sizes: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    size_excess: FloatArray = field(default_factory=lambda: np.empty((0, 0)))

    @cached_property
    def p_values(self) -> FloatArray:
        """How often an exact posterior shows as much, for each pair, not corrected.

        The smaller one of two tests, doubled: of the mean score, which a correlation moves most,
        and of all the ranks.
        """
        mean = location_scores(self.ranks).mean(axis=0) * np.sqrt(len(self.ranks))
        both = np.minimum(2 * stats.norm.sf(np.abs(mean)), uniformity_p_value(self.ranks))
        return np.minimum(1, 2 * both)

    @cached_property
    def correlation(self) -> tuple[FloatArray, FloatArray]:
        """True correlation minus that of the draws, and its standard error, shape (pairs,)."""
        # One draw far from all others would decide on a mean; a correlation has no such tails.
        bounded = np.clip(self.excess, -9, 9)
        return bounded.mean(axis=0), bounded.std(axis=0) / np.sqrt(len(bounded))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Of each pair, of sizes, and of the combination of parameters that is furthest off."""
        pairs = map(self._finding, range(len(self.pairs)))
        return (*pairs, *map(self._sizes, range(self.sizes.shape[1])), *self._together())

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest correlation that the mean score of its products would show."""
        n = len(self.ranks)
        smallest = deviation(2 * len(self.pairs)) / np.sqrt(n) / SCORE_OF_CORRELATION
        return (Sight(f"a correlation off by {smallest:.2g}", smallest, CORRELATION, n),)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        n = len(self.pairs)
        what = f"how {' and '.join(self.pairs[0])} go" if n == 1 else f"how {n} pairs go"
        return f"posteriors get right {what} together"

    @property
    def table(self) -> pd.DataFrame:
        """One row a pair: how much too low the draws' correlation is, its error, the p-value."""
        low, error = self.correlation
        return pd.DataFrame(
            {"correlation_too_low_by": low, "error": error, "p_value": self.p_values},
            index=pd.Index([" and ".join(pair) for pair in self.pairs], name="pair"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Ranks of the products, with the simultaneous band of an exact posterior."""
        return plot_ranks(
            self.ranks,
            [" × ".join(pair) for pair in self.pairs],
            band=simultaneous_band(len(self.ranks)),
            quantity="rank of the true product",
            above="correlation of the draws too high",
            below="correlation of the draws too low",
            width_mm=width_mm,
            fig=fig,
        )

    def _together(self) -> Iterator[Finding]:
        """Look at many small correlations at once: one half chooses the combination, one tells."""
        known = list(dict.fromkeys(name for pair in self.pairs for name in pair))
        dim, n = len(known), len(self.excess)
        if dim < FEWEST_TOGETHER or len(self.pairs) < dim * (dim - 1) / 2 or n < 10 * dim:
            return
        i, j = (np.array([known.index(pair[side]) for pair in self.pairs]) for side in (0, 1))
        bounded = np.clip(self.excess, -9, 9)
        v = _leading(bounded[::2], i, j, dim)
        more = bounded[1::2] @ (2 * v[i] * v[j])
        mean, error = float(more.mean()), float(more.std() / np.sqrt(len(more)))
        width = 1 / np.sqrt(max(1 + mean, 1e-6))
        words = (
            f"the draws miss how all {dim} parameters go together: of a linear combination of them "
            f"they are {wrong_width(width)}"
        )
        p_value = float(2 * stats.norm.sf(abs(mean) / error)) if error else 1.0
        yield Finding(abs(float(np.log(width))), error / 2, TOGETHER, p_value, words)

    def _finding(self, i: int) -> Finding:
        low, error = (float(v[i]) for v in self.correlation)
        words = (
            f"the draws miss how {' and '.join(self.pairs[i])} go together: their correlation is "
            f"too {'low' if low > 0 else 'high'} by {abs(low):.2f} +- {error:.2f}"
        )
        p_value = corrected(self.p_values[i], self._looks)
        return Finding(abs(low), error, CORRELATION, p_value, words)

    def _sizes(self, i: int) -> Finding:
        """Look whether two parameters lie far from the middle together."""
        n, mean = len(self.sizes), float(location_scores(self.sizes[:, i]).mean())
        bounded = np.clip(self.size_excess[:, i], -9, 9)
        low, error = float(bounded.mean()), float(bounded.std() / np.sqrt(n))
        words = (
            f"the draws miss how {' and '.join(self.pairs[i])} go together: that both lie far from "
            f"the middle, on any side, happens too {'seldom' if low > 0 else 'often'}"
        )
        p_value = corrected(2 * stats.norm.sf(abs(mean) * np.sqrt(n)), self._looks)
        return Finding(abs(low), error, SIZES, p_value, words)

    @property
    def _looks(self) -> int:
        return len(self.pairs) + self.sizes.shape[1]


def _leading(excess: FloatArray, i: IntArray, j: IntArray, dim: int) -> FloatArray:
    """Give the combination whose variance is furthest from what the draws claim, shape (dim,)."""
    matrix = np.zeros((dim, dim))
    matrix[i, j] = matrix[j, i] = excess.mean(axis=0)
    values, vectors = np.linalg.eigh(matrix)
    return vectors[:, np.abs(values).argmax()]


def check_dependence(subject: Subject) -> Dependence:
    """Look at pairs of parameters over the test simulations."""
    found, columns = subject.survey(), subject.sampler.prior.columns
    pairs = tuple((columns[i], columns[j]) for i, j in found.pairs)
    return Dependence(found.products, found.excess, pairs, found.sizes, found.size_excess)


DEPENDENCE = CheckKind(
    name="dependence",
    question="Do the draws show how parameters go together?",
    explanation="For example, one may rise when another falls, which marginals do not show.",
    run=check_dependence,
    needs=(TWO_PARAMETERS,),
)
