"""A smooth density of ranks in [0, 1], with few coefficients: how uneven ranks are, and mended."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import legendre
from scipy import special, stats

from sbi_inn.prior.curve import Curve
from sbi_inn.typing import FloatArray

DEGREE = 6  # of the polynomial; with more, a thousand ranks tell nothing of the last coefficients
STEPS = 30  # of Newton
LONGEST = 0.7  # change of a coefficient in one of them
CLOSE = 1e-8
CELLS = 400  # that the density is summed over
TESTED = (2, 4, DEGREE)  # coefficients that are tested together
KNOTS = np.linspace(-5.0, 5.0, 81)  # normal scores
FINE = np.linspace(-6.0, 6.0, 2_401)  # normal scores that the density is summed over


@dataclass(frozen=True, eq=False)
class RankDensity:
    """A density on [0, 1] whose logarithm is a polynomial, but for a constant.

    Attributes
    ----------
    coefficients : array, shape (k,)
        Of Legendre polynomials of degree 1 to k, orthonormal on [0, 1].

    Examples
    --------
    Ranks of a posterior that is too narrow lie near 0 and 1:

    >>> ranks = np.random.default_rng(1).beta(0.7, 0.7, size=5_000)
    >>> found = RankDensity.fit(ranks, penalty=4.0)
    >>> np.exp(found.log_density(np.array([0.05, 0.5]))).round(1)
    array([1.4, 0.8])
    """

    coefficients: FloatArray

    @classmethod
    def fit(cls, ranks: FloatArray, penalty: float) -> RankDensity:
        """Maximise the likelihood of ranks (n,), less a penalty on what bends.

        Parameters
        ----------
        ranks : array, shape (n,)
        penalty : float
            On half the square of the first coefficient; on that of degree k, k^2 times as much.
        """
        n, grid = len(ranks), _on_grid()
        wanted = _polynomials(ranks).mean(axis=0)
        cost = penalty * np.arange(1, DEGREE + 1.0) ** 2 / n
        a = np.zeros(DEGREE)
        for _ in range(STEPS):
            share = special.softmax(grid @ a)
            mean = share @ grid
            curvature = (grid * share[:, None]).T @ grid - np.outer(mean, mean)
            step = np.linalg.solve(curvature + np.diag(cost), wanted - mean - cost * a)
            largest = np.abs(step).max()
            a = a + step * min(1.0, LONGEST / max(largest, CLOSE))
            if largest < CLOSE:
                break
        return cls(a)

    def log_density(self, ranks: FloatArray) -> FloatArray:
        """Evaluate at ranks (n,)."""
        total = special.logsumexp(_on_grid() @ self.coefficients) - np.log(CELLS)
        return _polynomials(ranks) @ self.coefficients - total

    def curve(self) -> Curve:
        """Give the map that makes normal scores of such ranks N(0, 1)."""
        density = np.exp(self.log_density(special.ndtr(FINE)) - 0.5 * FINE**2)
        pieces = (density[1:] + density[:-1]) / 2
        # Summed from both ends: near 1 float64 would not tell shares apart.
        below, above = np.cumsum(pieces), np.cumsum(pieces[::-1])[::-1]
        total = below[-1]
        low, high = special.ndtri(below[:-1] / total), -special.ndtri(above[1:] / total)
        middle = np.where(below[:-1] < total / 2, low, high)
        return Curve.through(KNOTS, np.interp(KNOTS, FINE[1:-1], middle))


def p_value(ranks: FloatArray) -> float:
    """Say how probable it is that uniform ranks (n,) are as uneven, by smooth tests.

    The smallest p-value of tests of 2, 4 and 6 polynomials (Neyman 1937), times their number.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> bool(p_value(rng.random(2_000)) > 0.05), bool(p_value(rng.beta(2, 2, 2_000)) < 1e-9)
    (True, True)
    """
    squares = unevenness(ranks)
    each = [float(stats.chi2.sf(squares[:k].sum(), k)) for k in TESTED]
    return min(1.0, len(TESTED) * min(each))


def unevenness(ranks: FloatArray) -> FloatArray:
    """Give squares of the mean polynomials over their noise, shape (6,): of uniform ranks about 1.

    Examples
    --------
    >>> unevenness(np.random.default_rng(1).beta(2, 2, 2_000)).argmax()  # too wide: the second
    np.int64(1)
    """
    return len(ranks) * _polynomials(ranks).mean(axis=0) ** 2


def _polynomials(ranks: FloatArray) -> FloatArray:
    """Evaluate polynomials of degree 1 and more at ranks (n,), shape (n, k)."""
    values = legendre.legvander(2 * ranks - 1, DEGREE)[:, 1:]
    return np.asarray(values * np.sqrt(2 * np.arange(1, DEGREE + 1) + 1), np.float64)


@cache
def _on_grid() -> FloatArray:
    return _polynomials((np.arange(CELLS) + 0.5) / CELLS)
