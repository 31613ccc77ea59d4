"""Draws of a posterior whose likelihood is known: ensembles of walkers, and a tempered start.

A target takes points (n, k) to log densities (n,). Several ensembles of walkers move side by side,
an array (groups, walkers, k), so that one call of the target serves all of them. A walker steps
along the difference of two others (ter Braak 2006, Statistics and Computing 16, 239) or along the
line to another (Goodman and Weare 2010, CAMCoS 5, 65); half of an ensemble moves while the other
half stands still (Foreman-Mackey et al. 2013, PASP 125, 306), which leaves the target invariant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Target = Callable[[np.ndarray], np.ndarray]
STRETCH = 0.3  # share of the steps; the others go along a difference
JUMP = 0.1  # share of the latter that go the whole way, from one mode to another
WIDEST = 2.0  # of the factors by which a stretch moves
JITTER = 1e-5  # of a step along a difference, so that walkers never share a plane


class Walk(NamedTuple):
    """Where walkers have been.

    Attributes
    ----------
    points : array, shape (steps, groups, walkers, k)
    accepted : float
        Share of the proposals.
    """

    points: np.ndarray
    accepted: float


def walk(target: Target, start, steps: int, rng, *, keep: int = 1) -> Walk:
    """Move ensembles of walkers.

    Parameters
    ----------
    target : callable
    start : array, shape (groups, walkers, k)
        An even number of walkers, more than 2 k, all of finite density.
    steps : int
    rng : numpy.random.Generator
    keep : int
        Keep where they are after every so many steps.
    """
    here = np.array(start, dtype=float)
    density = target(here.reshape(-1, here.shape[-1])).reshape(here.shape[:2])
    kept, accepted = [], 0.0
    for step in range(1, steps + 1):
        accepted += _step(target, here, density, rng) / steps
        if step % keep == 0:
            kept.append(here.copy())
    return Walk(np.array(kept), accepted)


def _step(target, here, density, rng):
    """Move all walkers once, in place; gives the share that moved."""
    groups, walkers, k = here.shape
    order, moved = rng.permutation(walkers), 0
    for mine, others in (np.split(order, 2), np.split(order, 2)[::-1]):
        propose = _stretched if rng.random() < STRETCH else _differed
        new, log_volume = propose(here[:, mine], here[:, others], rng)
        value = target(new.reshape(-1, k)).reshape(new.shape[:2])
        value = np.where(np.isnan(value), -np.inf, value)
        gain = value - density[:, mine] + log_volume
        taken = np.log(rng.random(gain.shape)) < gain
        here[:, mine] = np.where(taken[..., None], new, here[:, mine])
        density[:, mine] = np.where(taken, value, density[:, mine])
        moved += taken.sum()
    return moved / (groups * walkers)


def _stretched(mine, others, rng):
    factor = ((WIDEST - 1) * rng.random(mine.shape[:2]) + 1) ** 2 / WIDEST
    pivot = _picked(others, rng.permuted(_indices(others), axis=1))
    return pivot + factor[..., None] * (mine - pivot), (mine.shape[-1] - 1) * np.log(factor)


def _differed(mine, others, rng):
    k = mine.shape[-1]
    first = rng.permuted(_indices(others), axis=1)
    second = np.roll(first, 1, axis=1)
    factor = 2.38 / np.sqrt(2 * k) * rng.lognormal(0, 0.3)
    factor = 1.0 if rng.random() < JUMP else factor
    step = _picked(others, first) - _picked(others, second)
    return mine + factor * step + JITTER * rng.normal(size=mine.shape), 0.0


def _indices(others):
    return np.broadcast_to(np.arange(others.shape[1]), others.shape[:2])


def _picked(others, indices):
    return np.take_along_axis(others, indices[..., None], axis=1)


def tempered(
    log_likelihood: Target, log_prior: Target, start, rng, *, moves=10, share=0.6, most=200
):
    """Take draws of the prior to the posterior, through powers of the likelihood.

    Each power is as large as leaves an effective share of the draws (adaptive sequential Monte
    Carlo: Del Moral et al. 2006, JRSS B 68, 411); then the draws move as walkers do.

    Parameters
    ----------
    log_likelihood, log_prior : callable
    start : array, shape (n, k)
        Draws of the prior.
    rng : numpy.random.Generator
    moves : int
        Steps of the walkers at each power.
    share : float
        Effective share of the draws.
    most : int
        Powers at most.

    Returns
    -------
    array, shape (n, k)

    Raises
    ------
    RuntimeError
        If the posterior is not reached.
    """
    points, power = np.array(start, dtype=float), 0.0
    for _ in range(most):
        value = log_likelihood(points)
        value = np.where(np.isnan(value), -np.inf, value)
        rise = _rise(value, share, 1 - power)
        weight = np.exp(rise * (value - value.max()))
        power += rise
        chosen = _resampled(weight / weight.sum(), rng)

        def target(z, power=power):
            return log_prior(z) + power * log_likelihood(z)

        points = walk(target, points[None, chosen], moves, rng, keep=moves).points[-1, 0]
        if power >= 1:
            return points
    raise RuntimeError(f"expected a power of 1 after {most} rises; got {power:.3g}")


def _rise(value, share, largest):
    """Find the rise of the power that leaves an effective share of the draws, by bisection."""

    def effective(rise):
        weight = np.exp(rise * (value - value.max()))
        return weight.sum() ** 2 / (weight**2).sum() / len(value)

    if effective(largest) >= share:
        return largest
    low, high = 1e-12, largest
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if effective(middle) >= share else (low, middle)
    return low


def _resampled(weight, rng):
    """Draw indices by systematic resampling."""
    places = (np.arange(len(weight)) + rng.random()) / len(weight)
    return np.minimum(np.searchsorted(np.cumsum(weight), places), len(weight) - 1)
