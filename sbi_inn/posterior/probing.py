"""Find the draws of a posterior that an observation makes likely, and search for more of them.

A network that has seen few simulations may give some probability to every possible value of a
parameter, such as every period of a planet. Then no small region holds nearly all of it. So draws
are simulated again and judged by a rough likelihood (judging.py). If few of them are likely, others
are tried around the best, by differential evolution (Storn and Price 1997,
doi:10.1023/A:1008202821328), until the likely ones fill a region. Then draws outside that region
are tried in the same way, so that another mode is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sbi_inn.methods.latents import latents as latents_of
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import filled
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.judging import ALIKE, Judged, Pool, judged
from sbi_inn.posterior.reading import Reading
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream
from sbi_inn.typing import BoolArray, FloatArray, IntArray

FEWEST = 100
"""Draws, below which noise cannot be told from what a draw expects."""

ENOUGH = 0.75
"""Share of likely draws, from which on a posterior needs no help."""

BATCH = 0.5
"""New draws in a batch of the search, in draws of the posterior."""

PARENTS = 1 / 3
"""Draws that others are drawn around, in draws of a batch: so many likely, so many near ones."""

WANTED = 50
"""Likely draws, with which the search may end."""

GROWN = 1.1
"""The likely draws fill their region, once a batch widens none of their spreads by more."""

SETTLED = 3.0
"""Nats: a batch has found something if one of its draws is likelier than all before by more."""

NEARER = 0.1
"""A batch has also found something if the smallest distance shrinks by more than this share."""

STALLED = 2
"""The search around the best draws ends after so many batches in a row that found nothing."""

STALLED_BEYOND = 3
"""The search beyond the likely draws ends after so many."""

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

    def simulate(latents: FloatArray, times: int) -> list[FloatArray]:
        return _simulated(core, problem, observation, reading, latents, times, rng, n_jobs)

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
    rng: np.random.Generator,
    n_jobs: int,
) -> list[FloatArray]:
    """Simulate so many times at latents (n, d), and give statistics (n, k); NaN where it failed."""
    n = len(latents)
    _, again, ok = observe_again(
        problem,
        core.schema,
        np.tile(core.prior.flatten(core.prior.from_latent(latents)), (times, 1)),
        observation[np.zeros(times * n, np.int64)],
        seed=int(rng.integers(2**63)),
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


class Search:
    """Draws that are tried around the best ones, batch by batch.

    Parameters
    ----------
    simulate : callable
        Of latents (n, d) and a number of times: statistics (n, k), so many times.
    pool : Pool
        The posterior's own draws first.
    one : array, shape (k,)
        Statistics of the observation.
    most : int
        Simulations at most.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        simulate: Callable[[FloatArray, int], list[FloatArray]],
        pool: Pool,
        one: FloatArray,
        most: int,
        rng: np.random.Generator,
    ) -> None:
        self.simulate, self.one, self.most, self.rng = simulate, one, most, rng
        self.pool, self.found, self.cost = pool, judged(pool, one), 0
        self.n = round(BATCH * pool.own)

    def run(self) -> bool:
        """Search until the likely draws fill a region, and none is found beyond it.

        False where simulations did not last so long.
        """
        while self._filled():
            if not self._found_beyond():
                return self._pays
        return False

    @property
    def _pays(self) -> bool:
        """Whether another batch can be paid for."""
        return self.cost + self.n + ALIKE <= self.most

    def _filled(self) -> bool:
        """Search around the best, until the likely draws fit and get no wider."""
        finds, spread = _Finds(), None
        while self._pays:
            self._try(np.ones(len(self.pool.latents), bool))
            finds.see(self.found.log_likelihood.max(), self.found.distance.min())
            likely = self.found.likely
            before = spread
            spread = self.pool.latents[likely].std(axis=0) if likely.sum() >= WANTED else None
            if before is None or spread is None or (spread > GROWN * before).any():
                continue
            if finds.stalled >= STALLED and self.found.fits[likely].mean() > 0.5:
                return True
        return False

    def _found_beyond(self) -> bool:
        """Search beyond the likely draws, until one there is likely or the search is stuck.

        Where none lies beyond, likely draws are everywhere, and there is nowhere to start from.
        """
        finds, beyond = _Finds(), _beyond(self.pool, self.found)
        while self._pays and finds.stalled < STALLED_BEYOND and beyond.any():
            self._try(beyond)
            beyond = _beyond(self.pool, self.found)
            finds.see(
                self.found.log_likelihood[beyond].max(initial=-np.inf),
                self.found.distance[beyond].min(initial=np.inf),
            )
            if (self.found.likely & beyond).any():
                return True
        return False

    def _try(self, among: BoolArray) -> None:
        """Simulate new draws once, and the likeliest of all a second time."""
        fresh = _around(self.pool, self.found, among, self.n, self.rng)
        (first,) = self.simulate(fresh, 1)
        ok = np.isfinite(first[:, 0])
        self.pool = self.pool.with_more(fresh[ok], first[ok])
        self.found = judged(self.pool, self.one)
        top = np.argsort(-self.found.log_likelihood)[:ALIKE]
        top = top[~self.pool.paired[top]]
        self.cost += self.n + len(top)
        if len(top):
            (second,) = self.simulate(self.pool.latents[top], 1)
            self.pool = self.pool.with_second(top, second)
            self.found = judged(self.pool, self.one)


class _Finds:
    """For how many batches in a row nothing has been found."""

    def __init__(self) -> None:
        self.likeliest, self.nearest, self.stalled = -np.inf, np.inf, 0

    def see(self, likeliest: float, nearest: float) -> None:
        """Take in the best of a batch."""
        found = likeliest > self.likeliest + SETTLED or nearest < (1 - NEARER) * self.nearest
        self.stalled = 0 if found else self.stalled + 1
        self.likeliest = max(self.likeliest, likeliest)
        self.nearest = min(self.nearest, nearest)


def _beyond(pool: Pool, found: Judged) -> BoolArray:
    """Say which draws lie outside of a wide box around the likely ones, shape (n,)."""
    likely = pool.latents[found.likely]
    centred = likely - likely.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1]
    low, high = np.quantile(likely @ axes, [0, 1], axis=0)
    return (abs(pool.latents @ axes - (low + high) / 2) > BEYOND * (high - low) / 2).any(axis=1)


def _around(
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
