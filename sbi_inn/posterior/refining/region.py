"""The region of a posterior at one observation: a box in the latent space of the prior."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from sbi_inn.checks.region_edges import EDGE
from sbi_inn.diagnostics.novelty import Whitening
from sbi_inn.methods.latents import latents
from sbi_inn.methods.protocols import declared
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import described_with_givens, filled
from sbi_inn.posterior.core import Core
from sbi_inn.prior.box import THINNEST, Box
from sbi_inn.prior.component import LATENT_MAX
from sbi_inn.typing import BoolArray, FloatArray, IntArray

DRAWS = 10_000
"""Draws of the posterior that a box is put around."""

OUTSIDE = 1e-3
"""Share of the posterior's mass that may lie outside."""

MARGIN = 0.08
"""What is added at either end, as a share of the box's width."""

UNSURE = 0.4
"""What is added to that, over the root of the number of simulations behind the posterior."""

FEW = 1.0
"""What is added besides, over the root of the number of likely draws, where only these count."""

NEIGHBOURS = 50
"""Simulations like the observation, at which the posterior is compared with the truth."""

DRAWS_EACH = 200
"""Draws at each of these."""

FULL = 0.015
"""Share of the draws in an edge from which on the box is taken to have cut some off."""

OPENED = 0.5
"""How far beyond such an edge the next box reaches, in widths of the box."""


@dataclass(frozen=True)
class Region:
    """A box around a posterior, and what made it wider than the draws alone.

    Attributes
    ----------
    box : Box
        In latents of the whole prior, of the parameters that are inferred.
    missed : int
        Of the `NEIGHBOURS` simulations most like the observation, how many have parameters that
        such a box around the posterior of theirs would not hold.
    cut : bool
        Whether draws have piled up at the edge of an earlier box.
    """

    box: Box
    missed: int
    cut: bool


def region(
    core: Core,
    observation: Observations,
    rng: np.random.Generator,
    likely: FloatArray | None = None,
) -> Region:
    """Put a box around the posterior at an observation, or around likely draws alone.

    These, (n, d), are in latents of the whole prior.

    It holds all but `OUTSIDE` of the draws, in each of its axes, which are their principal ones. It
    also holds the parameters of simulations like the observation, moved as the posterior moves from
    them to the observation (in units of its own spread): a mode that the network does not know, and
    a spread that it takes for smaller than it is, show there. And where draws have piled up at the
    edge of an earlier box it is opened.
    """
    rows = likely
    if rows is None:
        rows = to_whole(core, core.fitted.sample(observation, DRAWS, rng)[0])
    turned = ~core.prior.discrete_latents
    flat = turned & (not declared(core.fitted.settings, "uses_prior"))
    axes = _axes(rows, turned)
    along = rows @ axes
    few = FEW / math.sqrt(len(rows)) if likely is not None else 0.0
    margin = MARGIN + UNSURE / math.sqrt(core.n_simulations) + few
    low, high = np.quantile(along, _tails(axes), axis=0)
    low, high = _with_margin(low, high, margin)
    beside = _moved(core, observation, axes, along, rng)
    missed = ((beside < low) | (beside > high)).any(axis=1)
    beyond = _beyond_edges(core, rows) @ axes
    wider = np.concatenate([beside[missed], beyond])
    low = np.minimum(low, wider.min(axis=0, initial=np.inf))
    high = np.maximum(high, wider.max(axis=0, initial=-np.inf))
    box = _to_whole_values(core, Box(axes, low, high, flat))
    return Region(box, int(missed.sum()), cut=len(beyond) > 0)


def to_whole(core: Core, latents: FloatArray) -> FloatArray:
    """Map latents (n, d) where a method was trained to those of the prior without truncation."""
    box = core.prior.box
    return np.asarray(latents, float) if box is None else box.from_latent(latents)


def _axes(rows: FloatArray, turned: BoolArray) -> FloatArray:
    """Principal axes of rows (n, d), as columns; latents that are not to be turned keep theirs."""
    axes = np.eye(rows.shape[1])
    if turned.any():
        covariance = np.atleast_2d(np.cov(rows[:, turned], rowvar=False))
        axes[np.ix_(turned, turned)] = np.linalg.eigh(covariance)[1]
    return axes


def _tails(axes: FloatArray) -> tuple[float, float]:
    """Shares of the draws below the two ends of each axis, with `OUTSIDE` beyond all of them."""
    tail = OUTSIDE / (2 * len(axes))
    return tail, 1 - tail


def _with_margin(low: FloatArray, high: FloatArray, share: float) -> tuple[FloatArray, FloatArray]:
    margin = np.maximum(share * (high - low), THINNEST)
    return low - margin, high + margin


def _moved(
    core: Core,
    observation: Observations,
    axes: FloatArray,
    along: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Move parameters of simulations like the observation to where they would be at it, (k, d).

    If the posterior is right at these simulations, that gives draws of the posterior.
    """
    near = nearest(core, observation, NEIGHBOURS)
    truth = latents(core.simulations, near, seed=core.seed)
    drawn = core.fitted.sample(core.simulations.observations(near), DRAWS_EACH, rng)
    drawn = np.stack([to_whole(core, rows) @ axes for rows in drawn])
    score = (to_whole(core, truth) @ axes - drawn.mean(axis=1)) / drawn.std(axis=1)
    return along.mean(axis=0) + along.std(axis=0) * score


def nearest(core: Core, observation: Observations, k: int) -> IntArray:
    """Find the rows of the simulations that are most like an observation, the nearest first.

    By the summaries that the network has learned, or where there are none by statistics.
    """
    rows = core.simulations.ok
    usual, here = core.simulations.observations(rows), observation
    if core.features(here).shape[1]:
        known, one = core.features(usual), core.features(here)
    else:
        known = described_with_givens(usual, core.schema)
        one = filled(described_with_givens(here, core.schema), known)
        known = filled(known, known)
    whitening = Whitening.fit(known)
    k = min(k, len(rows))
    _, found = KDTree(whitening.apply(known)).query(whitening.apply(one), k=np.arange(1, k + 1))
    return rows[np.ravel(found)]


def _beyond_edges(core: Core, rows: FloatArray) -> FloatArray:
    """Give places beyond the edges of an earlier box that draws (n, d) have piled up at, (m, d)."""
    box = core.prior.box
    if box is None:
        return rows[:0]
    low, high = np.clip([box.low, box.high], -LATENT_MAX, LATENT_MAX)
    found = [rows[:0]]
    for out, at_edge in zip((-1.0, 1.0), box.at_ends(rows, EDGE), strict=True):
        for axis in np.flatnonzero(at_edge.mean(axis=0) > FULL):
            step = out * OPENED * (high - low)[axis] * box.axes[:, axis]
            found.append(rows[at_edge[:, axis]] + step)
    return np.concatenate(found)


def _to_whole_values(core: Core, box: Box) -> Box:
    """Move the ends of a box between values, where a latent is that of a discrete parameter."""
    low, high = box.low.copy(), box.high.copy()
    for axis, edges in core.prior.cells.items():
        low[axis] = edges[max(np.searchsorted(edges, low[axis]) - 1, 0)]
        high[axis] = edges[min(np.searchsorted(edges, high[axis]), len(edges) - 1)]
    return Box(box.axes, low, high, box.flat)
