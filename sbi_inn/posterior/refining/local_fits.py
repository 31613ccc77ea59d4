"""Fits to one observation from many places, as a least-squares program would make them.

Each fit takes steps by Levenberg and Marquardt's rule (Marquardt 1963, doi:10.1137/0111030), with
derivatives from small changes of each latent. A step repeats the random numbers of the simulator,
so that differences show the change and not the noise. Each step has other random numbers, so that
fits to the same mode end apart by about as much as the posterior is wide (randomised maximum
likelihood: Oliver, He & Reynolds 1996).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from sbi_inn.posterior.refining.judging import Judged, Pool, Turned
from sbi_inn.typing import FloatArray, IntArray

CHANGES = (1e-4, 0.1)
"""Changes of a latent that may show its derivative, in standard deviations of the draws.

A smooth simulator shows it by the smallest. Where random numbers cannot be repeated, as with counts
that are drawn by rejection, a change must be seen through the noise.
"""

TRIED = 12
"""Starts that say by which change, if by any, steps lead nearer."""

NEARER = 0.95
"""A step must bring half of them nearer: to this share of the squared distance."""

STEADY = 0.3
"""Median correlation of two slopes, from which on a latent changes what is expected."""

STEPS = 6
"""Steps of a fit, at most."""

STALLED = 0.95
"""Fits end where half of them come no nearer than to this share."""

GOES_ON = 2 / 3
"""Share of the fits that take the next step: the most promising ones."""

AS_NEAR = 2.0
"""Fits are as near as the nearest up to so many times its squared distance.

Noise alone makes this vary by a quarter or so.
"""

WIDER = 1.5
"""Places around fits are scattered so many times as widely as slopes say."""

DAMPINGS = (0.25, 4.0)
"""Factors to the last damping; of each two steps that are tried the better one is taken."""

GIVES_WAY = 8.0
"""Factor to the damping where neither brought a fit nearer."""

FARTHEST = 2.0
"""A step changes a latent by so many standard deviations of all places, at most."""

FLAT = 1e-9
"""Strength of a direction, in that of the strongest, below which a step does not follow it."""

MOST = 120
"""Fits, at most."""

FEWEST = 16
"""Fits, at least."""


@dataclass(frozen=True)
class Fits:
    """Fits, as they go on.

    Attributes
    ----------
    places : array, shape (m, d)
        Latents.
    distance : array, shape (m,)
        Squared, between the observation and a simulation there, in units of the mean noise.
    before : array, shape (m,)
        The same before the last step, with the same random numbers.
    damping : array, shape (m,)
    """

    places: FloatArray
    distance: FloatArray
    before: FloatArray
    damping: FloatArray

    @classmethod
    def begun(cls, places: FloatArray) -> Fits:
        """Begin at places (m, d)."""
        far = np.full(len(places), np.inf)
        return cls(places, far, far, np.ones(len(places)))

    def __getitem__(self, rows: IntArray | slice) -> Fits:
        return Fits(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, *others: Fits) -> Fits:
        """Put others behind them."""
        every, names = (self, *others), (field.name for field in fields(self))
        return Fits(*(np.concatenate([getattr(fits, name) for fits in every]) for name in names))

    def nearest_first(self) -> Fits:
        """Put them in order."""
        return self[np.argsort(self.distance)]

    @property
    def near(self) -> Fits:
        """Give those that are as near as the nearest, but for noise."""
        return self[np.flatnonzero(self.distance <= AS_NEAR * self.distance.min(initial=np.inf))]

    @property
    def ratio(self) -> FloatArray:
        """By how much the last step has brought each nearer, shape (m,): 1 if by nothing."""
        known = np.isfinite(self.before) & (self.before > 0)
        return np.divide(self.distance, self.before, out=np.ones(len(known)), where=known)

    def most_promising_first(self) -> Fits:
        """Put them in the order of how near they would be after another step like the last.

        A fit to the right mode may begin farther off than others end.
        """
        return self[np.argsort(self.distance * self.ratio)]


class Fitter:
    """Takes steps, and counts what they cost.

    Parameters
    ----------
    simulate : callable
        Of latents (n, d) and a seed: statistics (n, k), one simulation each. Calls with as many
        rows and the same seed have the same random numbers, row by row.
    pool : Pool
    one : array, shape (k,)
        Statistics of the observation.
    rng : numpy.random.Generator

    Attributes
    ----------
    cost : int
        Simulations so far.
    change : float
        Change of a latent that shows its derivative, in standard deviations of the draws.
    moves : array of bool, shape (d,)
        Which latents change what is expected: these are fitted.
    noises : array of bool, shape (d,)
        Which latents change the noise alone.
    """

    def __init__(
        self,
        simulate: Callable[[FloatArray, int], FloatArray],
        pool: Pool,
        one: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        self.simulate, self.rng, self.cost = simulate, rng, 0
        self.turned = Turned.of(pool)
        self.target = self.turned.in_noise(one)
        own = pool.latents[: pool.own]
        self.spread = np.maximum(own.std(axis=0), np.finfo(float).tiny)
        self.low, self.high = pool.latents.min(axis=0), pool.latents.max(axis=0)
        self.farthest = FARTHEST * pool.latents.std(axis=0)
        self.change = CHANGES[0]
        self.moves, self.noises = np.ones((2, len(self.spread)), bool)

    def finds_a_way(self, places: FloatArray) -> bool:
        """Find by which change steps lead nearer from places (m, d), and along which latents."""
        for change in CHANGES:
            self.change = change
            self._look(places)
            if np.median(self._step(Fits.begun(places)).ratio) < NEARER:
                return True
        return False

    def fit(self, places: FloatArray, steps: int, most: int) -> Fits:
        """Fit from places (m, d), until they come no nearer; give the ends, the nearest first.

        So many steps at most, for `most` simulations in all.
        """
        going, done = Fits.begun(places), []
        for _ in range(steps):
            if not len(going.places) or self.cost + len(going.places) * self.price > most:
                break
            fits = self._step(going).most_promising_first()
            n = 0 if np.median(fits.ratio) > STALLED else round(GOES_ON * len(fits.places))
            going = fits[:n]
            done.append(fits[n:])
        return self._with_any_noise(going.joined(*done).nearest_first())

    def scattered(self, ends: FloatArray, n: int) -> FloatArray:
        """Draw n places around ends (m, d), from a normal distribution as wide as slopes say.

        Directions that no observable shows are as wide as the posterior's own draws.
        """
        slopes = self._slopes(ends, self._seed())[1] * (self.moves * self.spread)[:, None]
        precision = slopes @ slopes.transpose(0, 2, 1) + np.eye(len(self.spread))
        strength, axes = np.linalg.eigh(precision)
        one = self.rng.integers(len(ends), size=n)
        along = WIDER * self.rng.normal(size=(n, len(self.spread))) / np.sqrt(strength[one])
        by = (axes[one] @ along[:, :, None])[:, :, 0] * self.spread
        return np.clip(ends[one] + by, self.low, self.high)

    def _with_any_noise(self, ends: Fits) -> Fits:
        """Give every other fit latents of the prior, where these change the noise alone."""
        anywhere = np.clip(self.rng.normal(size=ends.places.shape), self.low, self.high)
        every_other = np.arange(len(anywhere))[:, None] % 2 == 1
        return replace(ends, places=np.where(every_other & self.noises, anywhere, ends.places))

    def affords(self, most: int) -> int:
        """Say from how many places it can fit by `most` simulations."""
        return min(MOST, round(most * (1 - GOES_ON) / self.price))

    @property
    def price(self) -> int:
        """Simulations of one step."""
        return 1 + len(self.spread) + len(DAMPINGS)

    def _step(self, fits: Fits) -> Fits:
        """Take a step, with the same random numbers before and after it."""
        seed = self._seed()
        here, slopes = self._slopes(fits.places, seed)
        slopes = slopes * self.moves[:, None]
        left = np.where(np.isfinite(here), self.target - here, 0.0)
        before = self._distance(here)
        found = Fits(fits.places, before, before, fits.damping * GIVES_WAY)
        for factor in DAMPINGS:
            damping = fits.damping * factor
            places = self._moved(fits.places, slopes, left, damping)
            distance = self._distance(self._seen(places, seed))
            found = _better(found, Fits(places, distance, before, damping))
        return found

    def _look(self, places: FloatArray) -> None:
        """Find which latents change what is expected, and which change the noise alone.

        The slopes of two simulations at a place are alike, or they are not.
        """
        one, other = (self._slopes(places, self._seed())[1] for _ in range(2))
        size = np.linalg.norm(one, axis=2) * np.linalg.norm(other, axis=2)
        alike = (one * other).sum(axis=2) / np.maximum(size, np.finfo(float).tiny)
        self.moves = np.median(alike, axis=0) > STEADY
        self.noises = ~self.moves & (np.median(size, axis=0) > 0)

    def _slopes(self, places: FloatArray, seed: int) -> tuple[FloatArray, FloatArray]:
        """Simulate at places (m, d), and give slopes (m, d, k) by each latent."""
        here = self._seen(places, seed)
        steps = self.change * self.spread
        there = np.stack([self._seen(places + by, seed) for by in np.diag(steps)], axis=1)
        slopes = (there - here[:, None]) / steps[:, None]
        return here, np.where(np.isfinite(slopes), slopes, 0.0)

    def _seed(self) -> int:
        return int(self.rng.integers(2**63))

    def _seen(self, places: FloatArray, seed: int) -> FloatArray:
        self.cost += len(places)
        return self.turned.in_noise(self.simulate(places, seed))

    def _distance(self, seen: FloatArray) -> FloatArray:
        distance = ((self.target - seen) ** 2).sum(axis=1)
        return np.where(np.isfinite(distance), distance, np.inf)

    def _moved(
        self, places: FloatArray, slopes: FloatArray, left: FloatArray, damping: FloatArray
    ) -> FloatArray:
        """Move places (m, d), by slopes (m, d, k) and what is left to explain (m, k)."""
        scaled = slopes * self.spread[:, None]
        curvature = scaled @ scaled.transpose(0, 2, 1)
        axes = np.arange(len(self.spread))
        strength = curvature[:, axes, axes]
        # Flat directions, which no observable shows, stay where they are.
        least = FLAT * np.maximum(strength.max(axis=1, keepdims=True), 1)
        curvature[:, axes, axes] += damping[:, None] * strength + least
        by = np.linalg.solve(curvature, scaled @ left[:, :, None])[:, :, 0]
        by = np.clip(by * self.spread, -self.farthest, self.farthest)
        return np.clip(places + by, self.low, self.high)


def starts(
    pool: Pool, found: Judged, one: FloatArray, n: int, rng: np.random.Generator
) -> FloatArray:
    """Choose n places to fit from, of those that were simulated, in random order.

    A quarter each of the nearest, of the likeliest, and of those whose simulation goes up and down
    as the observation does (whatever its level and strength); the rest are the posterior's own.
    """
    quarter = n // 4
    alike = _correlation(pool, one)
    best = [
        np.argsort(-score)[:quarter] for score in (found.log_likelihood, -found.distance, alike)
    ]
    own = rng.permutation(pool.own)
    chosen = np.unique(np.concatenate(best))
    own = own[~np.isin(own, chosen)][: n - len(chosen)]
    return pool.latents[rng.permutation(np.concatenate([chosen, own]))]


def _correlation(pool: Pool, one: FloatArray) -> FloatArray:
    """Correlate the observation with each first simulation, in units of the noise."""
    noisy, own = pool.noisy, slice(pool.own)
    apart = (pool.first[own] - pool.second[own])[:, noisy]
    noise = np.sqrt((apart**2).mean(axis=0))
    rows, one = pool.first[:, noisy] / noise, one[noisy] / noise
    rows = rows - rows.mean(axis=1, keepdims=True)
    one = one - one.mean()
    size = np.linalg.norm(rows, axis=1) * np.linalg.norm(one)
    return rows @ one / np.maximum(size, np.finfo(float).tiny)


def _better(one: Fits, other: Fits) -> Fits:
    """Give the nearer of two of each fit."""
    both, nearer = one.joined(other), other.distance < one.distance
    return both[np.arange(len(nearer)) + len(nearer) * nearer]
