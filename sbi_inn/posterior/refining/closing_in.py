"""Draws from a posterior, with a likelihood that is learned where the posterior lies.

A network that serves all observations is not precise at a single one. For one observation, the
distribution of the simulator's output is needed only at likely parameters. It is learned from
simulations there; MCMC draws from the posterior that it gives; some of these draws are simulated,
and it is learned again, until the region of the draws stops shrinking (sequential neural
likelihood: Papamakarios, Sterratt & Murray 2019, arXiv:1805.07226; the distribution is a normal one
here, for which few simulations are enough).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sbi_inn.observation.batch import Observations
from sbi_inn.posterior.refining.local_likelihood import Local, Readings, Rows
from sbi_inn.prior.box import THINNEST, Box
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.typing import BoolArray, FloatArray

OUTSIDE = 1e-3
"""Share of the draws outside of a box around them, in each of its axes."""

MARGIN = 0.15
"""What is added at either end of an axis, as a share of the box's width."""

SHRINKS = 0.7
"""A box with less than this share of the smallest mass so far is a step forward."""

STALLED = 3
"""Batches in a row without one, after which the draws have settled."""

Simulate = Callable[[FloatArray], tuple[Observations, BoolArray]]
"""Of latents (n, d): what was observed where it did not fail, and where that is, shape (n,)."""


@dataclass(frozen=True)
class Closed:
    """Where it ended.

    Attributes
    ----------
    latents : array, shape (k, d), or None
        Draws by the likelihood, in latents of the whole prior; None where it does not explain the
        observation, or cannot be learned.
    rows : Rows or None
        The fresh simulations.
    n_simulations : int
        How many there were, those that failed too.
    """

    latents: FloatArray | None
    rows: Rows | None = None
    n_simulations: int = 0


def close_in(
    known: Rows,
    observation: Observations,
    draws: FloatArray,
    simulate: Simulate,
    batch: int,
    most: int,
    rng: np.random.Generator,
) -> Closed:
    """Draw from a posterior that is learned around draws of another one, (n, d).

    Parameters
    ----------
    known : Rows
        Simulations that exist already.
    observation : Observations
        A batch of one.
    draws : array, shape (n, d)
        In latents of the whole prior, as all latents here.
    simulate : callable
    batch, most : int
        Fresh simulations at a time, and in all.
    rng : numpy.random.Generator
    """
    readings = Readings.of(known, observation)
    if not readings.widths:
        return Closed(None)
    box, cost, stalled, explained, fresh = _around(draws), 0, 0, True, None
    smallest = box.mass
    while True:
        rows = known if fresh is None else known.with_more(fresh)
        local = Local(rows, box, readings)
        draws = local.draws(observation, draws, rng)
        box = _around(draws)
        stalled = stalled + 1 if box.mass > SHRINKS * smallest else 0
        smallest = min(smallest, box.mass)
        if stalled >= STALLED or cost + batch > most:
            return Closed(draws if explained else None, fresh, cost)
        chosen = draws[rng.choice(len(draws), batch, replace=False)]
        cost += batch
        try:
            again, ok = simulate(chosen)
        except SimulationError:  # every one failed: nothing to learn from there
            return Closed(None, fresh, cost)
        more = Rows(chosen[ok], again)
        explained = local.explains(observation, draws, more)
        fresh = more if fresh is None else fresh.with_more(more)


def _around(draws: FloatArray) -> Box:
    """Put a box around draws (n, d), along their principal axes."""
    axes = np.linalg.svd(draws - draws.mean(axis=0), full_matrices=False)[2].T
    low, high = np.quantile(draws @ axes, [OUTSIDE / 2, 1 - OUTSIDE / 2], axis=0)
    margin = np.maximum(MARGIN * (high - low), THINNEST)
    return Box(axes, low - margin, high + margin, np.zeros(len(axes), bool))
