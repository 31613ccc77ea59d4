"""Which draws of a posterior an observation speaks for: each of them is simulated twice.

A network that has seen few simulations may read a parameter badly: it gives some of its mass to
every period of a planet, say, so that no region is small that holds nearly all of it. Two
simulations at a draw say what is expected there, and how large the noise is. Over all draws that
makes a likelihood of the observation (a synthetic one: Wood 2010, doi:10.1038/nature09319), rough,
but enough to tell right periods from wrong ones by many nats. By how much a right draw may fall
short of the best one is seen at the simulations themselves, each made at a draw that is known.

Where few draws are likely, others are tried around the best: by differential evolution (Storn and
Price 1997, doi:10.1023/A:1008202821328).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import filled, statistics
from sbi_inn.posterior.core import Core
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream
from sbi_inn.typing import BoolArray, FloatArray, IntArray

FEWEST = 100
"""Draws, below which noise cannot be told from what a draw expects."""

ENOUGH = 0.25
"""Share of likely draws, from which on a posterior needs no help."""

BATCHES = 6
"""Batches of draws around the best ones, at most, each half as large as the first batch."""

PARENTS = 20
"""Draws that others are drawn around: so many of the likeliest, and so many of the nearest."""

WANTED = 50
"""Likely draws, with which the search may end."""

SETTLED = 3.0
"""Nats: the search goes on while a batch has found a draw that is likelier by more."""

KEPT = 20
"""The likeliest draws are kept in any case, so that a region has some width."""

NEAREST = 0.01
"""The shortest step from a draw to a new one, in differences between two draws."""

SOME = 0.5
"""Share of the new draws that differ in some latents only, and of the latents that then do."""


@dataclass(frozen=True)
class Probe:
    """What was found at one observation.

    Attributes
    ----------
    latents : array, shape (k, d)
        Of the likely draws, where the method was trained.
    share : float
        How many of the posterior's own draws are likely.
    n_simulations : int
        What it cost.
    """

    latents: FloatArray
    share: float
    n_simulations: int


def probe(
    core: Core,
    problem: Problem,
    observation: Observations,
    n: int,
    rng: np.random.Generator,
    n_jobs: int,
) -> Probe | None:
    """Find the likely ones of n draws at an observation, or others where these are few.

    None where too many simulations fail, or the simulator has no noise that a likelihood needs.
    """

    def twice(latents: FloatArray) -> Twice:
        return _simulated(core, problem, observation, latents, rng, n_jobs)

    pool = twice(np.asarray(core.fitted.sample(observation, n, rng)[0], float))
    if len(pool.latents) < FEWEST or not pool.noisy.any():
        return None
    one = filled(statistics(observation, core.schema), pool.first)[0]
    found = judged(pool, one, len(pool.latents))
    share = float(found.likely.mean())
    if share < ENOUGH:
        pool, found, batches = _searched(pool, found, one, n // 2, twice, rng)
        n += batches * (n // 2)
    kept = found.likely.copy()
    kept[np.argsort(-found.log_likelihood)[:KEPT]] = True
    return Probe(pool.latents[kept], share, 2 * n)


def dearest(n: int) -> int:
    """How many simulations n draws may cost, with the search."""
    return 2 * (n + BATCHES * (n // 2))


@dataclass(frozen=True)
class Twice:
    """Draws, and the statistics of two simulations at each.

    Attributes
    ----------
    latents : array, shape (n, d)
    first, second : array, shape (n, k)
    """

    latents: FloatArray
    first: FloatArray
    second: FloatArray

    @property
    def noisy(self) -> BoolArray:
        """Which statistics differ between two simulations at the same draw, shape (k,)."""
        both = np.concatenate([self.first, self.second])
        return ((self.first - self.second) ** 2).mean(axis=0) / 2 > QUIETEST * both.var(axis=0)

    def and_those(self, other: Twice) -> Twice:
        """Put others behind them."""
        names = ("latents", "first", "second")
        return Twice(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))


def _simulated(
    core: Core,
    problem: Problem,
    observation: Observations,
    latents: FloatArray,
    rng: np.random.Generator,
    n_jobs: int,
) -> Twice:
    """Simulate twice at latents (n, d); those where a simulation failed are left out."""
    flat = core.prior.flatten(core.prior.from_latent(latents))
    n = len(latents)
    _, again, ok = observe_again(
        problem,
        core.schema,
        np.tile(flat, (2, 1)),
        observation[np.zeros(2 * n, np.int64)],
        seed=int(rng.integers(2**63)),
        stream=Stream.PROBED,
        n_jobs=n_jobs,
    )
    described = statistics(again, core.schema)
    rows = np.empty((2 * n, described.shape[1]))
    rows[ok] = filled(described, described)
    both = ok[:n] & ok[n:]
    return Twice(latents[both], rows[:n][both], rows[n:][both])


def _searched(
    pool: Twice,
    found: Judged,
    one: FloatArray,
    n: int,
    twice: Callable[[FloatArray], Twice],
    rng: np.random.Generator,
) -> tuple[Twice, Judged, int]:
    """Add batches of n draws around the best; give all, what is said of them, and how many."""
    own, best = len(pool.latents), -np.inf
    for batch in range(BATCHES):
        if found.likely.sum() >= WANTED and found.log_likelihood.max() < best + SETTLED:
            return pool, found, batch
        best = found.log_likelihood.max()
        pool = pool.and_those(twice(_around(pool.latents, found.best, n, rng)))
        found = judged(pool, one, own)
    return pool, found, BATCHES


def _around(latents: FloatArray, parents: IntArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Draw n places around some of the draws (m, d).

    A step goes along the difference between two draws, so that it has their spreads and their
    correlations, or along some axes of it, and is as long or much shorter.
    """
    start = rng.choice(parents, n)
    one, other = rng.integers(len(latents), size=(2, n))
    length = NEAREST ** rng.random((n, 1))
    some = rng.random((n, 1)) < SOME
    moved = ~some | (rng.random((n, latents.shape[1])) < SOME)
    fresh = latents[start] + length * moved * (latents[one] - latents[other])
    return np.clip(fresh, latents.min(axis=0), latents.max(axis=0))


# -- the likelihood --------------------------------------------------------------------------------

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
"""Standard deviations of the posterior's draws, up to which variances follow a latent."""

RARE = 0.02
"""Share of the posterior's draws that have smaller variances than are used, and share of larger."""

QUIETEST = 1e-6
"""Variance of noise, in that of the statistic, up to which a statistic counts as without noise."""


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
    """

    log_likelihood: FloatArray
    distance: FloatArray
    likely: BoolArray

    @property
    def best(self) -> IntArray:
        """The likeliest draws, and the nearest."""
        orders = np.argsort(-self.log_likelihood), np.argsort(self.distance)
        return np.concatenate([order[:PARENTS] for order in orders])


def judged(pool: Twice, one: FloatArray, own: int) -> Judged:
    """Judge draws, of which the first `own` are the posterior's, by one row (k,) of statistics.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> place = rng.uniform(-10, 10, (400, 1))
    >>> first, second = place + rng.normal(0, 0.5, (2, 400, 1))
    >>> found = judged(Twice(place, first, second), np.array([3.0]), 400)
    >>> place[found.likely].mean().round(), (abs(place[found.likely] - 3) < 3).all()
    (np.float64(3.0), np.True_)
    """
    first, second, one = _turned(pool, one)
    log_variance = _log_variances(pool.latents, first, second, own)
    # Two simulations are known a mean by, or one: its own variance adds to that of the noise.
    here = _log_likelihood((first + second) / 2, log_variance, one, 1.5)
    short = [chi2.ppf(SURE, pool.latents.shape[1]) / 2]
    for row in np.argsort(-here)[:ALIKE]:
        there = _log_likelihood(first, log_variance, second[row], 2.0)
        short.append(there.max() - there[row])
    distance = (one - (first + second) / 2) ** 2 / np.exp(log_variance).mean(axis=0)
    return Judged(here, distance.sum(axis=1), here >= here.max() - max(short))


def _turned(pool: Twice, one: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Turn noisy statistics to axes along which their noises are uncorrelated over all draws."""
    noisy = pool.noisy
    scale = np.concatenate([pool.first, pool.second])[:, noisy].std(axis=0)
    first, second, one = (rows[..., noisy] / scale for rows in (pool.first, pool.second, one))
    axes = np.linalg.eigh((first - second).T @ (first - second))[1]
    return first @ axes, second @ axes, one @ axes


def _log_variances(
    latents: FloatArray, first: FloatArray, second: FloatArray, own: int
) -> FloatArray:
    """Fit the log variance of each noise as a quadratic of the latents, shape (n, k).

    Halves of squared differences are a variance times chi-square of one degree of freedom: a gamma
    regression with a logarithmic link. Beyond what the posterior's own draws show it is level.
    """
    squares = (first - second) ** 2 / 2
    usual = latents[:own]
    spread = np.maximum(usual.std(axis=0), np.finfo(float).tiny)
    score = np.clip((latents - usual.mean(axis=0)) / spread, -FARTHEST, FARTHEST)
    upper = np.triu_indices(score.shape[1])
    bent = (score[:, :, None] * score[:, None, :])[:, *upper]
    design = np.column_stack([np.ones(len(score)), score, bent])
    penalty = RIDGE * np.diag((np.arange(design.shape[1]) > 0).astype(float))
    solve = np.linalg.solve(design.T @ design + penalty, design.T)
    found = np.broadcast_to(np.log(squares.mean(axis=0)), squares.shape)
    for _ in range(PASSES):
        step = np.clip(squares * np.exp(-found) - 1, -1, np.exp(STEEPEST))
        fitted = design @ (solve @ (found + step))
        found = np.clip(fitted, found - STEEPEST, found + STEEPEST)
    return np.clip(found, *np.quantile(found[:own], [RARE, 1 - RARE], axis=0))


def _log_likelihood(
    expected: FloatArray, log_variance: FloatArray, row: FloatArray, times: float
) -> FloatArray:
    """Give the normal log-likelihood of a row (k,) at each draw, shape (n,)."""
    squares = (row - expected) ** 2 * np.exp(-log_variance) / times
    return -0.5 * (squares + log_variance).sum(axis=1)
