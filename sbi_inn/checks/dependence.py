"""Whether posteriors get right how parameters go together (Modrak et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.record import Finding, Record
from sbi_inn.diagnostics.uniformity import simultaneous_band, uniformity_p_value
from sbi_inn.observation.statistics import spread
from sbi_inn.plots.ranks import plot_ranks
from sbi_inn.plots.style import DOUBLE_COLUMN_MM
from sbi_inn.typing import FloatArray, IntArray

# Of the difference between the true correlation and that of the draws.
CORRELATION = (0.1, 0.3)


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

    References
    ----------
    Modrak et al. (2023), arXiv:2211.02383: test quantities of simulation-based calibration.
    """

    ranks: FloatArray
    excess: FloatArray
    pairs: tuple[tuple[str, str], ...]

    @cached_property
    def p_values(self) -> FloatArray:
        """How often an exact posterior shows as much, for each pair, not corrected."""
        return uniformity_p_value(self.ranks)

    @cached_property
    def correlation(self) -> tuple[FloatArray, FloatArray]:
        """True correlation minus that of the draws, and its standard error, shape (pairs,)."""
        # One draw far from all others would decide on a mean; a correlation has no such tails.
        bounded = np.clip(self.excess, -9, 9)
        return bounded.mean(axis=0), bounded.std(axis=0) / np.sqrt(len(bounded))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """One for each pair."""
        return tuple(map(self._finding, range(len(self.pairs))))

    @property
    def measure(self) -> str:
        """What `value` is."""
        return "difference of correlations"

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

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM) -> Figure:
        """Ranks of the products, with the simultaneous band of an exact posterior."""
        return plot_ranks(
            self.ranks,
            [" × ".join(pair) for pair in self.pairs],
            band=simultaneous_band(len(self.ranks)),
            quantity="rank of the true product",
            above="correlation of the draws too high",
            below="correlation of the draws too low",
            width_mm=width_mm,
        )

    def _finding(self, i: int) -> Finding:
        low, error = (float(v[i]) for v in self.correlation)
        words = (
            f"the draws miss how {' and '.join(self.pairs[i])} go together: their correlation is "
            f"too {'low' if low > 0 else 'high'} by {abs(low):.2f} +- {error:.2f}"
        )
        p_value = min(1.0, len(self.pairs) * float(self.p_values[i]))
        return Finding(abs(low), error, CORRELATION, p_value, words)


def with_right_marginals(excess: FloatArray, standard: FloatArray, pairs: IntArray) -> FloatArray:
    """Take out of the excess what a wrong location or width makes of it.

    A shift of both parameters makes their true product larger, as a correlation would. Truths that
    are standardised over all test simulations have the true correlation whatever the posteriors'
    location and width.

    Parameters
    ----------
    excess : array, shape (n, p)
        From `product_ranks`.
    standard : array, shape (n, dim)
        Truths minus the mean of the draws, over their standard deviation.
    pairs : int array, shape (p, 2)
    """
    i, j = pairs.T
    # One truth far from all others would decide on the standard deviation of all.
    middle, most = np.median(standard, axis=0), 9 * spread(standard)
    bounded = np.clip(standard, middle - most, middle + most)
    sd = bounded.std(axis=0)
    right = (bounded - bounded.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    return excess - standard[:, i] * standard[:, j] + right[:, i] * right[:, j]


def named(pairs: IntArray, columns: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Name the pairs of an index array (pairs, 2)."""
    return tuple((columns[i], columns[j]) for i, j in pairs)
