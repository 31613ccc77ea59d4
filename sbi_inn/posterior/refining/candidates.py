"""Places to simulate next in a search for likely draws: by differential evolution.

New places are the best ones and differences between others (Storn and Price 1997,
doi:10.1023/A:1008202821328).
"""

from __future__ import annotations

import numpy as np

from sbi_inn.posterior.refining.judging import Judged, Pool
from sbi_inn.typing import BoolArray, FloatArray, IntArray

PARENTS = 1 / 3
"""Draws that others are drawn around, in draws of a batch: so many likely, so many near ones."""

BEYOND = 2.0
"""A draw is beyond the likely ones if it lies outside of their box, made so many times as wide."""

NEAREST = 0.01
"""The shortest step from a draw to a new one, in differences between two draws."""

SOME = 0.5
"""Share of the new draws that differ in some latents only, and of the latents that then do."""

WITHIN = 0.5
"""Share of the new draws that are drawn among likely ones."""

STRIDE = (0.3, 1.5)
"""The shortest and the longest of these steps, in differences between two likely draws."""

SPREAD = 2
"""Likely draws for each latent, at least, whose differences may be such steps."""

CROSSED = 0.25
"""Share of the new draws beyond the likely ones that have some latents of a likely one."""


def beyond(pool: Pool, found: Judged) -> BoolArray:
    """Say which draws lie outside of a wide box around the likely ones, shape (n,)."""
    likely = pool.latents[found.likely]
    centred = likely - likely.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    low, high = np.quantile(likely @ axes, [0, 1], axis=0)
    return (abs(pool.latents @ axes - (low + high) / 2) > BEYOND * (high - low) / 2).any(axis=1)


def around(
    pool: Pool, found: Judged, among: BoolArray, n: int, rng: np.random.Generator
) -> FloatArray:
    """Draw n places around the best of some draws.

    A step goes along the difference between two draws, so that it has their spreads and their
    correlations, or along some axes of it, and is as long or much shorter. Steps between likely
    draws have their spreads. Places beyond the likely draws may share some latents with one.
    """
    latents = pool.latents
    parents = found.best(max(round(PARENTS * n), 5), among)
    start = rng.choice(parents, n)
    one, other = rng.integers(len(latents), size=(2, n))
    length = NEAREST ** rng.random((n, 1))
    some = rng.random((n, 1)) < SOME
    moved = ~some | (rng.random((n, latents.shape[1])) < SOME)
    fresh = latents[start] + length * moved * (latents[one] - latents[other])
    within, crossed = rng.random((2, n)) < [[WITHIN], [CROSSED]]
    fresh[within] = _strides(latents, _likely(latents, found, among, parents), within.sum(), rng)
    shared = found.likely & ~among
    if shared.any():
        fresh[crossed] = _crossed(pool, np.flatnonzero(shared), crossed.sum(), rng)
    return np.clip(fresh, latents.min(axis=0), latents.max(axis=0))


def _likely(latents: FloatArray, found: Judged, among: BoolArray, parents: IntArray) -> IntArray:
    """Give the likely ones of some draws, or the best where they are too few to have spreads."""
    likely = np.flatnonzero(found.likely & among)
    return likely if len(likely) >= SPREAD * latents.shape[1] else parents


def _strides(latents: FloatArray, likely: IntArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Step from likely draws by differences between two of them."""
    start, one, other = rng.choice(likely, (3, n))
    return latents[start] + rng.uniform(*STRIDE, (n, 1)) * (latents[one] - latents[other])


def _crossed(pool: Pool, likely: IntArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Give likely draws with some latents of the posterior's own draws, few of them or many."""
    swapped = rng.random((n, pool.latents.shape[1])) < rng.random((n, 1))
    own = pool.latents[rng.integers(pool.own, size=n)]
    return np.where(swapped, own, pool.latents[rng.choice(likely, n)])
