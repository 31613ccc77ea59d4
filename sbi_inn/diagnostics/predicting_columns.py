"""What may predict the error of a posterior: a few smooth features of columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from sbi_inn.typing import AnyArray, FloatArray

QUANTILES = 201  # that a column is kept by
BENDS = np.arange(-1.5, 2.0, 0.5)  # normal scores at which a spline of one column may bend
SPLINED = 24  # columns that get splines and waves, at the most
WAVES = 90
SCALES = (0.5, 1.5)  # of the frequencies of waves
FAMILIES = ("linear", "splines", "waves")  # from simple to flexible


@dataclass(frozen=True)
class PredictingColumns:
    """Columns by their normal scores, and the families of features that are made of them.

    Attributes
    ----------
    quantiles : array, shape (201, p)
        Of each column where it was learned.
    leading : array of int, shape (k,)
        Columns that get splines and waves.
    frequencies : array, shape (k, w)
    phases : array, shape (w,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> known = PredictingColumns.of(rng.lognormal(size=(500, 1)), rng)
    >>> known.scores(np.array([[1.0], [np.nan], [1e9]])).round(1)
    array([[0.1],
           [0. ],
           [2.8]])
    """

    quantiles: FloatArray
    leading: AnyArray
    frequencies: FloatArray
    phases: FloatArray

    @classmethod
    def of(
        cls, columns: FloatArray, rng: np.random.Generator, *, first: FloatArray | None = None
    ) -> PredictingColumns:
        """Learn from columns (n, p).

        Parameters
        ----------
        columns : array, shape (n, p)
            NaN where one is missing.
        rng : numpy.random.Generator
            Chooses the waves (random Fourier features; Rahimi and Recht 2007).
        first : array, shape (p,), optional
            How much each column deserves splines, where there are too many; by default in order.
        """
        p = columns.shape[1]
        levels = np.linspace(0, 1, QUANTILES)
        quantiles = np.zeros((QUANTILES, p))
        for i, column in enumerate(columns.T):
            known = column[np.isfinite(column)]
            if len(known):
                quantiles[:, i] = np.quantile(known, levels)
        varies = np.flatnonzero(quantiles[-1] > quantiles[0])
        order = varies if first is None else varies[np.argsort(-first[varies], kind="stable")]
        leading = np.sort(order[:SPLINED])
        k = len(leading)
        taken = np.resize([min(2, k), k], WAVES) if k else np.zeros(WAVES, int)
        chosen = (
            np.stack([rng.permutation(k) < some for some in taken]).T if k else np.empty((0, WAVES))
        )
        scales = np.resize(np.repeat(SCALES, 2), WAVES) / np.sqrt(np.maximum(taken, 1))
        frequencies = chosen * rng.standard_normal((k, WAVES)) * scales
        return cls(quantiles, leading, frequencies, rng.uniform(0, 2 * np.pi, WAVES))

    def scores(self, columns: FloatArray) -> FloatArray:
        """Give the normal scores of columns (m, p) among those learned from; NaN gets 0."""
        found = np.zeros(columns.shape)
        for i, values in enumerate(columns.T):
            known = self.quantiles[:, i]
            if known[-1] > known[0]:
                found[:, i] = _score(known, values)
        return np.where(np.isnan(columns), 0.0, found)

    def families(self, columns: FloatArray) -> dict[str, FloatArray]:
        """Make the features of columns (m, p), by family, each of shape (m, k)."""
        scores = self.scores(columns)
        some = scores[:, self.leading]
        bent = np.maximum(some[:, :, None] - BENDS, 0)
        bent = bent.reshape(len(some), some.shape[1] * len(BENDS))
        waves = np.cos(some @ self.frequencies + self.phases)
        splines = np.concatenate([scores, bent], axis=1)
        return {
            "linear": scores,
            "splines": splines,
            "waves": np.concatenate([splines, waves], axis=1),
        }

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as arrays."""
        return {
            "quantiles": self.quantiles,
            "leading": self.leading,
            "frequencies": self.frequencies,
            "phases": self.phases,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> PredictingColumns:
        """Read back what `to_arrays` gave."""
        names = ("quantiles", "leading", "frequencies", "phases")
        return cls(*(np.asarray(arrays[name]) for name in names))


def _score(known: FloatArray, values: FloatArray) -> FloatArray:
    """Give normal scores among rising quantiles; of equal ones, from the middle of their level."""
    levels = np.linspace(0, 1, len(known))
    distinct, first, counts = np.unique(known, return_index=True, return_counts=True)
    middle = levels[first] + (counts - 1) / 2 / (len(known) - 1)
    level = np.interp(values, distinct, middle)
    half = 0.5 / len(known)
    return special.ndtri(np.clip(level, half, 1 - half))


@dataclass(frozen=True, eq=False)
class Standardised:
    """Features of mean 0 and variance 1, and their principal components.

    Attributes
    ----------
    middle, spread : array, shape (k,)
    vectors : array, shape (k, c)
    variances : array, shape (c,)
    """

    middle: FloatArray
    spread: FloatArray
    vectors: FloatArray
    variances: FloatArray

    @classmethod
    def of(cls, features: FloatArray) -> Standardised:
        """Learn from features (n, k)."""
        middle, spread = features.mean(axis=0), features.std(axis=0)
        spread = np.where(spread > 1e-9, spread, np.inf)
        scaled = (features - middle) / spread
        variances, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
        kept = variances > 1e-6 * max(variances.max(initial=0.0), 1e-300)
        return cls(middle, spread, vectors[:, kept], variances[kept])

    def components(self, features: FloatArray) -> FloatArray:
        """Give principal components of features (n, k), shape (n, c)."""
        return ((features - self.middle) / self.spread) @ self.vectors

    @cached_property
    def total(self) -> float:
        """Variance of all components together."""
        return float(max(self.variances.sum(), 1e-300))

    def coefficients(self, of_components: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Turn coefficients of components (c, d) into those of features (k, d), and a constant."""
        slopes = (self.vectors @ of_components) / self.spread[:, None]
        return slopes, -self.middle @ slopes
