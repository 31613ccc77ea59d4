"""Find the draws of a posterior that an observation makes likely, and search for more of them.

A network that has seen few simulations may give some probability to every possible value of a
parameter, such as every period of a planet. Then no small region holds nearly all of it. So draws
are simulated again and judged by a rough likelihood (judging.py). If few of them are likely, others
are searched for (search.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbi_inn.methods.latents import latents as latents_of
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import filled
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.refining.judging import Pool, judged
from sbi_inn.posterior.refining.reading import Reading
from sbi_inn.posterior.refining.search import Search
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream
from sbi_inn.typing import FloatArray

FEWEST = 100
"""Draws, below which noise cannot be told from what a draw expects."""

ENOUGH = 0.75
"""Share of likely draws, from which on a posterior needs no help."""

KNOWN = 20_000
"""Simulations that the posterior was trained on and that are judged too, at most."""


@dataclass(frozen=True)
class Probe:
    """What was found at one observation.

    Attributes
    ----------
    latents : array, shape (k, d), or None
        Of the likely draws, where the method was trained. None where there was nothing to judge by,
        no search was made, or it has found no region that they fill.
    share : float
        How many of the posterior's own draws are likely.
    n_simulations : int
        What it cost.
    """

    latents: FloatArray | None
    share: float
    n_simulations: int

    @property
    def few(self) -> bool:
        """Whether so few draws are likely that a region around all would be too wide."""
        return self.share < ENOUGH


def probe(
    core: Core,
    problem: Problem,
    observation: Observations,
    n: int,
    most: int,
    rng: np.random.Generator,
    n_jobs: int,
) -> Probe:
    """Find the likely ones of n draws at an observation, or others where these are few.

    The n draws are simulated twice; with a search it takes `most` simulations at most, and none is
    made where `most` leaves nothing for it. Where too many simulations fail, or the simulator has
    no noise that a likelihood needs, all draws count as likely.
    """
    reading = Reading.of(core)

    def simulate(latents: FloatArray, times: int, seed: int | None = None) -> list[FloatArray]:
        seed = int(rng.integers(2**63)) if seed is None else seed
        return _simulated(core, problem, observation, reading, latents, times, seed, n_jobs)

    own = np.asarray(core.fitted.sample(observation, n, rng)[0], float)
    first, second = simulate(own, 2)
    ok = np.isfinite(first[:, 0]) & np.isfinite(second[:, 0])
    reading = reading.judged_by(first[ok], second[ok])
    if reading.kept is not None:
        first, second = first[:, reading.kept], second[:, reading.kept]
    pool = Pool(own[ok], first[ok], second[ok], int(ok.sum()))
    if pool.own < FEWEST or not pool.noisy.any():
        return Probe(None, 1.0, 2 * n)
    one = filled(reading(observation), pool.first)[0]
    found = judged(pool, one)
    share = float(found.likely.mean())
    if share >= ENOUGH:
        return Probe(pool.latents[found.likely], share, 2 * n)
    if most <= 2 * n:
        return Probe(None, share, 2 * n)
    search = Search(simulate, _with_table(core, reading, pool), one, most - 2 * n, rng)
    settled = search.run()
    latents = search.pool.latents[search.found.likely] if settled else None
    return Probe(latents, share, 2 * n + search.cost)


def _simulated(
    core: Core,
    problem: Problem,
    observation: Observations,
    reading: Reading,
    latents: FloatArray,
    times: int,
    seed: int,
    n_jobs: int,
) -> list[FloatArray]:
    """Simulate so many times at latents (n, d), and give statistics (n, k); NaN where it failed."""
    n = len(latents)
    _, again, ok = observe_again(
        problem,
        core.schema,
        np.tile(core.prior.flatten(core.prior.from_latent(latents)), (times, 1)),
        observation[np.zeros(times * n, np.int64)],
        seed=seed,
        stream=Stream.PROBED,
        n_jobs=n_jobs,
    )
    told = reading(again)
    rows = np.full((times * n, told.shape[1]), np.nan)
    rows[ok] = filled(told, told)
    return np.split(rows, times)


def _with_table(core: Core, reading: Reading, pool: Pool) -> Pool:
    """Add simulations that were made already, where givens and sizes are always the same."""
    schema = core.schema
    if schema.givens or set(schema.sets) - set(schema.lengths):
        return pool
    rows = core.simulations.ok[:KNOWN]
    told = reading(core.simulations.observations(rows))
    latents = latents_of(core.simulations, rows, seed=core.seed)
    return pool.with_more(latents, filled(told, told))
