"""How noisy each observable is, and how that depends on the givens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import not_pixels
from sbi_inn.typing import FloatArray, IntArray

STEPS = 30
"""Steps of Newton's method at most."""

SETTLED = 1e-8

LARGEST = 4.0
"""Largest step of a log variance."""

SMALLEST = 1e-10
"""Variance that is left, in units of an observable's own: below it, rounding decides."""


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """log variance = base of each observable + rates @ features of the givens.

    The features are each given that is no image, its square, and its logarithm where it is always
    positive, so that a stated error bar is followed exactly. A generalised linear model of the
    squared residuals, gamma with a logarithmic link, which is the likelihood of Gaussian noise.

    Attributes
    ----------
    base : array, shape (m,)
    rates : array, shape (features,)
    givens : array of int
        Which features of `Observations.vector` are read, as they are and squared.
    positive : array of int
        Those whose logarithm is.
    centre, scale : array, shape (features,)
    """

    base: FloatArray
    rates: FloatArray
    givens: IntArray
    positive: IntArray
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def none(cls) -> NoiseLevel:
        """Give one of no observables."""
        empty, nothing = np.empty(0), np.empty(0, np.int64)
        return cls(empty, empty, nothing, nothing, empty, empty)

    @classmethod
    def fit(
        cls,
        left: FloatArray,
        observations: Observations,
        folds: tuple[IntArray, IntArray],
    ) -> NoiseLevel:
        """Fit residuals (n, m), NaN where an observable is missing.

        The level of the training rows, from which slopes were learned, is raised to that of the
        validation rows.
        """
        train, validation = folds
        k, total = observations.givens, observations.vector.shape[1]
        numbers = observations.vector[train, total - k :]
        fine = np.isfinite(numbers).all(axis=0) & (np.ptp(numbers, axis=0) > 0)
        fine &= np.isin(np.arange(total - k, total), not_pixels(observations))
        givens = total - k + np.flatnonzero(fine)
        positive = total - k + np.flatnonzero(fine & (numbers > 0).all(axis=0))
        raw = _features(observations.vector[train], givens, positive)
        centre, scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-12)
        squares = np.square(left)
        rates, base = _regressed((raw - centre) / scale, squares[train])
        found = cls(base, rates, givens, positive, centre, scale)
        ratio = squares[validation] / np.exp(found(observations[validation]))
        return cls(base + np.log(np.nanmean(ratio)), rates, givens, positive, centre, scale)

    def __call__(self, observations: Observations) -> FloatArray:
        """Give log variances, shape (batch, m)."""
        raw = _features(observations.vector, self.givens, self.positive)
        return self.base + (((raw - self.centre) / self.scale) @ self.rates)[:, None]


def _features(vector: FloatArray, givens: IntArray, positive: IntArray) -> FloatArray:
    plain = vector[:, givens]
    return np.hstack([plain, np.square(plain), np.log(np.maximum(vector[:, positive], 1e-300))])


def _regressed(features: FloatArray, squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit rates (k,) and bases (m,) to squared residuals (n, m): Newton, then the bases."""
    there = ~np.isnan(squares)
    usual = np.nanmean(squares, axis=0)
    floor = SMALLEST * np.maximum(usual.max(), 1e-300)
    base = np.log(np.maximum(usual, floor))
    rates = np.zeros(features.shape[1])
    if not features.shape[1]:
        return rates, base
    count = there.sum(axis=1)
    design = np.hstack([np.ones((len(features), 1)), features])
    for _ in range(STEPS):
        ratio = np.nansum(squares / np.exp(base), axis=1) * np.exp(-features @ rates)
        gradient = design.T @ (ratio - count)
        curvature = (design * (ratio + 1e-3 * count)[:, None]).T @ design
        ridge = 1e-6 * np.trace(curvature) / len(curvature) * np.eye(len(curvature))
        step = np.linalg.solve(curvature + ridge, gradient)
        step *= min(1.0, LARGEST / np.abs(design @ step).max())
        rates = rates + step[1:]
        weighed = squares * np.exp(-features @ rates)[:, None]
        base = np.log(
            np.maximum(np.nanmean(weighed, axis=0), floor * np.exp(-(features @ rates).max()))
        )
        if np.abs(step).max() < SETTLED:
            break
    return rates, base
