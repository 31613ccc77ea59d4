"""A rough likelihood of an observation at draws that were simulated.

Two simulations at a draw show the expected data and the size of the noise. Over many draws this
gives a likelihood of the observation (a synthetic one: Wood 2010, doi:10.1038/nature09319). It is
rough, but enough to tell right periods of a planet from wrong ones by many nats. The simulations
themselves, which were made at known draws, show by how much a right draw may fall short of the best
one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from sbi_inn.typing import BoolArray, FloatArray, IntArray

ALIKE = 50
"""The likeliest draws, whose own simulations say by how much a right draw falls short."""

SURE = 0.999
"""Share of right draws that are likely where noise is normal and its variance is known."""

RIDGE = 10.0
"""Weight of the penalty on slopes of log variances, in draws."""

PASSES = 20
"""Steps of Fisher scoring for the log variances."""

STEEPEST = 3.0
"""A step changes a log variance by so much at most."""

FARTHEST = 2.5
"""Standard deviations of the draws simulated twice, up to which variances follow a latent."""

RARE = 0.02
"""Share of the draws simulated twice whose variances are smaller than are used, or larger."""

FAR_OFF = 1e9
"""Spreads: statistics beyond stand here, so that their squares are numbers."""

QUIETEST = 1e-6
"""Variance of noise, in that of the statistic, up to which a statistic counts as without noise."""


@dataclass(frozen=True)
class Pool:
    """Draws, and the statistics of one or two simulations at each.

    Attributes
    ----------
    latents : array, shape (n, d)
    first : array, shape (n, k)
    second : array, shape (n, k)
        NaN where a draw was simulated once.
    own : int
        So many draws, the first ones, are the posterior's, each simulated twice.
    """

    latents: FloatArray
    first: FloatArray
    second: FloatArray
    own: int

    @property
    def paired(self) -> BoolArray:
        """Which draws were simulated twice, shape (n,)."""
        return np.isfinite(self.second[:, 0])

    @property
    def noisy(self) -> BoolArray:
        """Which statistics differ between two simulations at the same draw, shape (k,)."""
        pairs = np.stack([self.first[: self.own], self.second[: self.own]])
        within = (pairs[0] - pairs[1]) ** 2
        return within.mean(axis=0) / 2 > QUIETEST * pairs.var(axis=(0, 1))

    def with_more(
        self, latents: FloatArray, first: FloatArray, second: FloatArray | None = None
    ) -> Pool:
        """Put draws behind the others that were simulated once or twice."""
        second = np.full_like(first, np.nan) if second is None else second
        return Pool(
            np.concatenate([self.latents, latents]),
            np.concatenate([self.first, first]),
            np.concatenate([self.second, second]),
            self.own,
        )

    def with_second(self, rows: IntArray, second: FloatArray) -> Pool:
        """Put a second simulation (m, k) beside the first of some draws."""
        whole = self.second.copy()
        whole[rows] = second
        return replace(self, second=whole)


@dataclass(frozen=True)
class Turned:
    """Axes along which the noises of statistics are uncorrelated, over the posterior's draws.

    Attributes
    ----------
    noisy : array of bool, shape (k,)
    scale : array, shape (number of noisy ones,)
    axes : array, shape (number of noisy ones, m)
    noise : array, shape (m,)
        Standard deviation along each axis.
    """

    noisy: BoolArray
    scale: FloatArray
    axes: FloatArray
    noise: FloatArray

    @classmethod
    def of(cls, pool: Pool) -> Turned:
        """Find them."""
        noisy, own = pool.noisy, pool.own
        scale = np.concatenate([pool.first[:own], pool.second[:own]])[:, noisy].std(axis=0)
        found = cls(noisy, scale, np.eye(len(scale)), np.ones(len(scale)))
        apart = found(pool.first[:own]) - found(pool.second[:own])
        strength, axes = np.linalg.eigh(apart.T @ apart)
        # A statistic that follows from others has no noise of its own, and says nothing.
        known = strength > QUIETEST * strength.max()
        return replace(found, axes=axes[:, known], noise=np.sqrt(strength[known] / (2 * own)))

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Turn statistics (..., k) to them."""
        return np.clip(rows[..., self.noisy] / self.scale, -FAR_OFF, FAR_OFF) @ self.axes

    def in_noise(self, rows: FloatArray) -> FloatArray:
        """Turn statistics (..., k) to them, each in units of its mean noise."""
        return self(rows) / self.noise


@dataclass(frozen=True)
class Judged:
    """What an observation says of draws.

    Attributes
    ----------
    log_likelihood : array, shape (n,)
    distance : array, shape (n,)
        Squared, between the observation and what is expected, in units of the mean noise. While no
        draw is right, large noises are likeliest, whatever is expected; by distance they are not.
    likely : array of bool, shape (n,)
    fits : array of bool, shape (n,)
        Whether the observation is no farther from what is expected, in units of the noise there,
        than other simulations are from what is expected at their draws.
    """

    log_likelihood: FloatArray
    distance: FloatArray
    likely: BoolArray
    fits: BoolArray

    def best(self, n: int, among: BoolArray) -> IntArray:
        """Give the n likeliest of some draws, and the n nearest."""
        rows = np.flatnonzero(among)
        likeliest = np.argsort(-self.log_likelihood[rows])[:n]
        return rows[np.concatenate([likeliest, np.argsort(self.distance[rows])[:n]])]


def judged(pool: Pool, one: FloatArray) -> Judged:
    """Judge draws by one row (k,) of statistics.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> place = rng.uniform(-10, 10, (400, 1))
    >>> first, second = place + rng.normal(0, 0.5, (2, 400, 1))
    >>> found = judged(Pool(place, first, second, 400), np.array([3.0]))
    >>> place[found.likely].mean().round(), (abs(place[found.likely] - 3) < 3).all()
    (np.float64(3.0), np.True_)
    """
    turned = Turned.of(pool)
    first, second, one = turned(pool.first), turned(pool.second), turned(one)
    pairs = pool.paired
    log_variance = _log_variances(pool, first, second)
    expected = np.where(pairs[:, None], (first + second) / 2, first)
    # A mean is known by one simulation or two: its own variance adds to that of the noise.
    squares = (one - expected) ** 2
    scaled = squares * np.exp(-log_variance) / np.where(pairs, 1.5, 2.0)[:, None]
    here = -0.5 * (scaled + log_variance).sum(axis=1)
    apart = ((first - second)[pairs] ** 2 * np.exp(-log_variance[pairs]) / 2).sum(axis=1)
    distance = squares / np.exp(log_variance[: pool.own]).mean(axis=0)
    return Judged(
        here,
        distance.sum(axis=1),
        here >= here.max() - _allowed(pool, here, first, second, log_variance),
        scaled.sum(axis=1) <= np.quantile(apart, SURE),
    )


def _allowed(
    pool: Pool, here: FloatArray, first: FloatArray, second: FloatArray, log_variance: FloatArray
) -> float:
    """Give the nats that a right draw may fall short of the best one.

    The second simulations of draws stand in for the observation, the first ones for what is
    expected.
    """
    rows = np.flatnonzero(pool.paired)
    rows = rows[np.argsort(-here[rows])[:ALIKE]]
    precision = np.exp(-log_variance)
    # The squares are multiplied out, around the first row so that they do not cancel.
    seen, expected = second[rows] - second[rows[0]], first - second[rows[0]]
    squares = (
        precision @ (seen**2).T
        - 2 * (expected * precision) @ seen.T
        + (expected**2 * precision).sum(axis=1, keepdims=True)
    )
    there = -0.5 * (squares / 2 + log_variance.sum(axis=1, keepdims=True))
    short = there.max(axis=0) - there[rows, np.arange(len(rows))]
    return float(max(chi2.ppf(SURE, pool.latents.shape[1]) / 2, short.max()))


def _log_variances(pool: Pool, first: FloatArray, second: FloatArray) -> FloatArray:
    """Fit the log variance of each noise as a quadratic of the latents, shape (n, k).

    Halves of squared differences are a variance times chi-square of one degree of freedom: a gamma
    regression with a logarithmic link. Beyond what draws simulated twice show it is level.
    """
    pairs = pool.paired
    squares = (first - second)[pairs] ** 2 / 2
    design = _quadratic(pool.latents, pool.latents[pairs])
    shown = design[pairs]
    penalty = RIDGE * np.diag((np.arange(design.shape[1]) > 0).astype(float))
    solve = np.linalg.solve(shown.T @ shown + penalty, shown.T)
    found = np.broadcast_to(np.log(squares.mean(axis=0)), squares.shape)
    slopes = np.zeros((design.shape[1], squares.shape[1]))
    for _ in range(PASSES):
        step = np.clip(squares * np.exp(-found) - 1, -1, np.exp(STEEPEST))
        slopes = solve @ (found + step)
        found = np.clip(shown @ slopes, found - STEEPEST, found + STEEPEST)
    usual = np.quantile(found, [RARE, 1 - RARE], axis=0)
    return np.clip(design @ slopes, *usual)


def _quadratic(latents: FloatArray, usual: FloatArray) -> FloatArray:
    """Write 1, the latents (n, d) in standard deviations of usual ones, and their products."""
    spread = np.maximum(usual.std(axis=0), np.finfo(float).tiny)
    score = np.clip((latents - usual.mean(axis=0)) / spread, -FARTHEST, FARTHEST)
    upper = np.triu_indices(score.shape[1])
    bent = (score[:, :, None] * score[:, None, :])[:, *upper]
    return np.column_stack([np.ones(len(score)), score, bent])
