"""Search for draws that an observation makes likely, batch by batch.

Where next to none is likely, parameters are fitted from many places first (local_fits.py). Then
others are tried around the best (candidates.py), until the likely ones fill a region. Then places
outside that region are tried in the same way, so that another mode is found.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sbi_inn.posterior.refining.candidates import around, beyond
from sbi_inn.posterior.refining.judging import ALIKE, Pool, judged
from sbi_inn.posterior.refining.local_fits import FEWEST as FEWEST_FITS
from sbi_inn.posterior.refining.local_fits import STEPS, TRIED, Fitter, starts
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.typing import BoolArray, FloatArray

RARELY = 0.1
"""Share of likely draws, below which fits are made from many places."""

FITTED = 0.25
"""Share of the simulations of a search that fits from many places may take.

Those from the nearest ends may take as many.
"""

STEPS_AGAIN = 3
"""Steps of a fit from such an end, at most."""

BATCH = 0.5
"""New draws in a batch of the search, in draws of the posterior."""

WANTED = 50
"""Likely draws, with which the search may end."""

GROWN = 1.1
"""The likely draws fill their region, once a batch widens none of their spreads by more."""

FITTING = 0.25
"""Share of the likely draws that must fit: at a wrong place next to none does."""

SETTLED = 3.0
"""Nats: a batch has found something if one of its draws is likelier than all before by more."""

NEARER = 0.1
"""A batch has also found something if the smallest distance shrinks by more than this share."""

STALLED = 2
"""The search around the best draws ends after so many batches in a row that found nothing."""

STALLED_BEYOND = 3
"""The search beyond the likely draws ends after so many."""


class Simulate(Protocol):
    """Simulate at latents."""

    def __call__(
        self, latents: FloatArray, times: int, seed: int | None = None
    ) -> list[FloatArray]:
        """Give statistics (n, k) of latents (n, d), so many times; the same for the same seed."""
        ...


class Search:
    """Draws that are tried around the best ones, batch by batch.

    Parameters
    ----------
    simulate : Simulate
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
        simulate: Simulate,
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
        if self.found.likely[: self.pool.own].mean() < RARELY:
            self._fit()
        while self._filled():
            if not self._found_beyond():
                return self._pays
        return False

    def _fit(self) -> None:
        """Fit from many places, then again from the nearest ends, and simulate where fits end."""
        most = round(FITTED * self.most)
        fitter = Fitter(self._simulated, self.pool, self.one, self.rng)
        n = min(fitter.affords(most), self.pool.own)
        if n < FEWEST_FITS:
            return
        places = starts(self.pool, self.found, self.one, n, self.rng)
        if fitter.finds_a_way(places[:TRIED]):
            ends = fitter.fit(places, STEPS, most)
            self._add(ends.places[:ALIKE], times=2)
            near = ends.near.places
            if 0 < len(near) < WANTED:
                again = fitter.scattered(near, WANTED)
                self._add(fitter.fit(again, STEPS_AGAIN, 2 * most).places, times=2)
        self.cost += fitter.cost

    def _simulated(self, latents: FloatArray, seed: int) -> FloatArray:
        """Simulate once; NaN where all simulations fail, as steps may lead to such places."""
        try:
            return self.simulate(latents, 1, seed)[0]
        except SimulationError:
            return np.full((len(latents), len(self.one)), np.nan)

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
            if finds.stalled >= STALLED and self.found.fits[likely].mean() > FITTING:
                return True
        return False

    def _found_beyond(self) -> bool:
        """Search beyond the likely draws, until one there is likely or the search is stuck.

        Where none lies beyond, likely draws are everywhere, and there is nowhere to start from.
        """
        finds, outer = _Finds(), beyond(self.pool, self.found)
        while self._pays and finds.stalled < STALLED_BEYOND and outer.any():
            self._try(outer)
            outer = beyond(self.pool, self.found)
            finds.see(
                self.found.log_likelihood[outer].max(initial=-np.inf),
                self.found.distance[outer].min(initial=np.inf),
            )
            if (self.found.likely & outer).any():
                return True
        return False

    def _try(self, among: BoolArray) -> None:
        """Simulate new draws around the best of some."""
        self._add(around(self.pool, self.found, among, self.n, self.rng))

    def _add(self, fresh: FloatArray, times: int = 1) -> None:
        """Simulate draws once or twice, and the likeliest of all a second time."""
        seen = np.stack(self.simulate(fresh, times))
        ok = np.isfinite(seen[..., 0]).all(axis=0)
        self.pool = self.pool.with_more(fresh[ok], *seen[:, ok])
        self.found = judged(self.pool, self.one)
        top = np.argsort(-self.found.log_likelihood)[:ALIKE]
        top = top[~self.pool.paired[top]]
        self.cost += times * len(fresh) + len(top)
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
