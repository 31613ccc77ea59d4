"""Fit how a score grows with the number of simulations n: score(n) = a - b n^-c, with uncertainty.

Four fits cannot tell a, b and c apart: a fast growth that has levelled off and a slow one that
continues fit about as well. So every power c and every noise between trainings is tried, and
weighted by how well it fits the measured scores (a and b are integrated out, with flat priors).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray

# Log densities of trained networks follow powers between a slow one and, at most, that of a
# parametric model whose error is squared.
POWERS = np.geomspace(0.1, 2, 25)
# What another part of the same size, and another training, change in the score at `last`, in nats.
# With fewer simulations it is more: the variance goes like 1 / n.
NOISES = np.geomspace(0.002, 0.2, 15)


@dataclass(frozen=True)
class PowerLaws:
    """Laws that agree with what was measured, as draws of equal weight.

    Attributes
    ----------
    first, last : float
        The smallest and the largest number of simulations that was measured.
    now : array, shape (m,)
        Score at `last`.
    gain : array, shape (m,)
        Score at `last` less that at `first`, never below zero.
    power : array, shape (m,)
        The exponent c.
    noise : array, shape (m,)
        Standard deviation from one training to the next, at `last`.
    """

    first: float
    last: float
    now: FloatArray
    gain: FloatArray
    power: FloatArray
    noise: FloatArray

    def at(self, n: npt.ArrayLike) -> FloatArray:
        """Score at k numbers of simulations by each law, shape (m, k)."""
        fall = _fall(np.asarray(n, np.float64), self.first, self.last, self.power[:, None])
        return self.now[:, None] - self.gain[:, None] * fall


def fit_power_laws(
    n: npt.ArrayLike,
    score: npt.ArrayLike,
    covariance: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 4_000,
) -> PowerLaws:
    """Draw the laws that agree with scores measured at increasing numbers of simulations.

    Parameters
    ----------
    n : array, shape (k,)
        Increasing; at least three.
    score : array, shape (k,)
    covariance : array, shape (k, k)
        Of the scores, as the test rows that they all share leave it.
    rng : numpy.random.Generator
    draws : int

    Raises
    ------
    ShapeError
        If the shapes do not fit, or `n` does not increase.

    Examples
    --------
    >>> n = np.array([100, 200, 400, 800])
    >>> laws = fit_power_laws(n, 3 - 320 / n, 1e-6 * np.eye(4), np.random.default_rng(1))
    >>> laws.at([1600, 3200]).mean(axis=0).round(1)
    array([2.8, 2.9])
    """
    n, score, covariance = (np.asarray(v, np.float64) for v in (n, score, covariance))
    k = len(n)
    if k < 3 or score.shape != (k,) or covariance.shape != (k, k) or (np.diff(n) <= 0).any():
        raise ShapeError(
            "expected at least three increasing numbers of simulations n (k,), score (k,) and "
            f"covariance (k, k); got n = {n}, {score.shape} and {covariance.shape}"
        )
    power, noise = (grid.ravel() for grid in np.meshgrid(POWERS, NOISES, indexing="ij"))
    fall = _fall(n, n[0], n[-1], power[:, None])
    scatter = noise[:, None, None] ** 2 * np.diag(n[-1] / n)
    solved = _least_squares(fall, score, covariance + scatter)
    chosen = rng.choice(len(power), size=draws, p=solved.weight)
    jitter = solved.root[chosen] @ rng.standard_normal((draws, 2, 1))
    now, gain = (solved.estimate[chosen] + jitter[:, :, 0]).T
    return PowerLaws(n[0], n[-1], now, np.maximum(gain, 0), power[chosen], noise[chosen])


@dataclass(frozen=True)
class _Solved:
    """Score at the end and gain, (g, 2); a root of their covariance, (g, 2, 2); weights (g,)."""

    estimate: FloatArray
    root: FloatArray
    weight: FloatArray


def _least_squares(fall: FloatArray, score: FloatArray, covariance: FloatArray) -> _Solved:
    """Fit score = now - gain * fall for every fall (g, k) under its own covariance (g, k, k)."""
    design = np.stack([np.ones_like(fall), -fall], axis=2)
    weighted = np.linalg.solve(covariance, design)
    precision = design.transpose(0, 2, 1) @ weighted
    shape = np.linalg.inv(precision)
    estimate = (shape @ (weighted.transpose(0, 2, 1) @ score)[:, :, None])[:, :, 0]
    rest = score - (design @ estimate[:, :, None])[:, :, 0]
    misfit = (rest * np.linalg.solve(covariance, rest[:, :, None])[:, :, 0]).sum(axis=1)
    evidence = -0.5 * (misfit + np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(precision)[1])
    weight = np.exp(evidence - evidence.max())
    return _Solved(estimate, np.linalg.cholesky(shape).astype(np.float64), weight / weight.sum())


def _fall(n: FloatArray, first: float, last: float, power: FloatArray) -> FloatArray:
    """n^-c, moved and scaled to be 1 at `first` and 0 at `last`, so that c leaves both alone."""
    return ((n / last) ** -power - 1) / ((first / last) ** -power - 1)
