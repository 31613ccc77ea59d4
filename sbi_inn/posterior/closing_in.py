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

import emcee
import numpy as np
import torch
from torch import Tensor

from sbi_inn.flows.laplace_start import MOST_OBSERVABLES, MOST_PARAMETERS
from sbi_inn.flows.likelihood import Likelihood, learned
from sbi_inn.flows.prediction import n_products
from sbi_inn.flows.score_test import told_apart, too_sure
from sbi_inn.observation.batch import Observations, join
from sbi_inn.prior.box import THINNEST, Box
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.summary_networks import not_pixels
from sbi_inn.summary_networks.curves import places_of_curves
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.training.side_by_side import one_thread
from sbi_inn.typing import BoolArray, FloatArray, IntArray

FEWEST = 300
"""Simulations below which no likelihood is learned."""

INSIDE = 150
"""Simulations in a box that it is learned from, at least: the nearest ones where fewer are inside.

No more than are needed: what lies far outside is of another scale.
"""

INSIDE_EACH = 12
"""The same, for each term of a quadratic function of the parameters."""

INSIDE_OBSERVABLE = 10
"""The same, for each observable.

From fewer rows than that observables seem to change with parameters that they do not depend on.
What each adds to the information would make the box smaller batch by batch, at a wrong place.
"""

TIED = 0.05
"""Share of the rows with the same value, from which on an observable gets noise as large as itself.

Where nearly all rows have that value, as with censored ones, a normal law takes it for certain.
"""

MOST = 10_000
"""Simulations that it is learned from, at most."""

OUTSIDE = 1e-3
"""Share of the draws outside of a box around them, in each of its axes."""

MARGIN = 0.15
"""What is added at either end of an axis, as a share of the box's width."""

WARM = 1.5
"""The log-likelihood is divided by this, so that a place it is a little wrong about is kept."""

FORGIVEN = 1.5
"""It is divided by more where it is too sure, by simulations that it was not learned from.

By how many times it is, divided by this: they judge likelihoods of three quarters of the rows. With
1 the walk at the predator and prey of the benchmarks stopped at twice the width.
"""

WALKERS = 200
"""Walkers that draw together."""

STEPS = 300
"""Steps of each; those of the first half are not kept."""

EVERY = 10
"""Steps between two that are kept."""

SHORT = 8.0
"""Nats by which a place may fall short of the likeliest one, for walkers to begin there.

Not in proportion to what the likelihood says: a mode that it is somewhat wrong about would get
fewer walkers batch by batch, and be lost.
"""

SPREAD = 1e-2
"""What walkers begin apart, in spreads of the draws that they begin at."""

SHRINKS = 0.7
"""A box with less than this share of the smallest mass so far is a step forward."""

STALLED = 3
"""Batches in a row without one, after which the draws have settled."""

EXPLAINED = 0.99
"""An observation is explained if so many of the fresh simulations fit no worse, or more."""

Simulate = Callable[[FloatArray], tuple[Observations, BoolArray]]
"""Of latents (n, d): what was observed where it did not fail, and where that is, shape (n,)."""


@dataclass(frozen=True)
class Rows:
    """Simulations: latents of the whole prior (n, d), and what was observed."""

    latents: FloatArray
    observations: Observations

    def with_more(self, other: Rows) -> Rows:
        """Put others behind."""
        return Rows(
            np.concatenate([self.latents, other.latents]),
            join([self.observations, other.observations]),
        )


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
    readings = Readings.of(known.observations, observation, known.latents.shape[1])
    if not readings.widths:
        return Closed(None)
    box, cost, stalled, explained, fresh = _around(draws), 0, 0, True, None
    smallest = box.mass
    while True:
        rows = known if fresh is None else known.with_more(fresh)
        emulated = Emulated(rows, box, readings)
        draws = emulated.draws(observation, draws, rng)
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
        explained = emulated.explains(observation, draws, more)
        fresh = more if fresh is None else fresh.with_more(more)


@dataclass(frozen=True)
class Readings:
    """What a likelihood may be learned of.

    Of curves it reads their entries, or (True) what describes them. Where parameters say what to
    expect of each entry, the entries tell most; where they say what a noise looks like, they tell
    little.

    Attributes
    ----------
    widths : dict of bool to int
        The number of observables in each way; none if no likelihood can be learned.
    curves : dict of str to array of int, shape (length, columns)
        Places of the curves.
    """

    widths: dict[bool, int]
    curves: dict[str, IntArray]

    @classmethod
    def of(cls, observations: Observations, one: Observations, dim: int) -> Readings:
        """Look at the simulations that there are, and at the observation."""
        none = cls({}, {})
        if len(observations) < FEWEST or observations.grids:
            return none
        if np.isnan(observations.vector).any() or np.isnan(one.vector).any():
            return none
        found = cls({}, places_of_curves(observations))
        read = found.fit(observations[np.arange(FEWEST)])
        if dim + len(read.givens) > MOST_PARAMETERS:
            return none
        widths = {False: len(read.observables), True: len(read.laws)}
        affordable = {laws: k for laws, k in widths.items() if 0 < k <= MOST_OBSERVABLES}
        return cls(affordable, found.curves)

    def fit(self, observations: Observations) -> Exact:
        """Learn how they are scaled."""
        return Exact.fit(observations, not_pixels(observations), profiles=True, curves=self.curves)


@dataclass(frozen=True)
class Learned:
    """A likelihood, and what it reads.

    Attributes
    ----------
    read : Exact
    columns : tuple of int
        Of what that gives.
    likelihood : Likelihood
    warmth : float
        By which its logarithm is divided.
    told : float
        How well it tells parameters apart, in nats.
    """

    read: Exact
    columns: tuple[int, ...]
    likelihood: Likelihood
    warmth: float
    told: float

    @classmethod
    def of(
        cls,
        inside: FloatArray,
        seen: Observations,
        read: Exact,
        columns: tuple[int, ...],
        asked: int,
    ) -> Learned:
        """Learn it of rows of a cube (n, d) and what was observed; the first `asked` judge it."""
        with one_thread():
            x = torch.from_numpy(inside)
            y, given = _told(read, columns, seen)
            y = _blurred(y)
            likelihood, folds = learned(x, y, given)
            warmth = max(WARM, too_sure(folds, x, y, given) / FORGIVEN)
            told = told_apart(folds, x, y, given, warmth, asked)
        return cls(read, columns, likelihood, warmth, told)

    def __call__(self, observations: Observations) -> tuple[Tensor, Tensor]:
        """Give the observables that are read, and the givens."""
        return _told(self.read, self.columns, observations)


def _told(
    read: Exact, columns: tuple[int, ...], observations: Observations
) -> tuple[Tensor, Tensor]:
    told = torch.from_numpy(read(observations).astype(float))
    return told[:, list(columns)], told[:, read.givens]


class Emulated:
    """A posterior by a likelihood that is learned from simulations in a box.

    Parameters
    ----------
    rows : Rows
    box : Box
    readings : Readings
        It takes the one that tells parameters apart best.
    """

    def __init__(self, rows: Rows, box: Box, readings: Readings) -> None:
        self.box = box
        self.middle, self.half = (box.high + box.low) / 2, (box.high - box.low) / 2
        inside, found = self._inside(rows.latents), []
        least = [INSIDE_OBSERVABLE * width for width in readings.widths.values()]
        asked = len(_nearest(inside, min(least)))
        for laws, enough in zip(readings.widths, least, strict=True):
            near = _nearest(inside, enough)
            seen = rows.observations[near]
            read = readings.fit(seen)
            columns = read.laws if laws else read.observables
            found.append(Learned.of(inside[near], seen, read, columns, asked))
        best = max(found, key=lambda one: one.told)
        self.read, self.likelihood, self.warmth = best, best.likelihood, best.warmth

    def explains(self, observation: Observations, draws: FloatArray, fresh: Rows) -> bool:
        """Say whether an observation fits at draws (n, d) as simulations at some of them do."""
        usual = self._misfit(fresh.latents, fresh.observations)
        some = draws[:: max(1, len(draws) // len(usual))]
        here = self._misfit(some, observation[np.zeros(len(some), np.int64)])
        return bool(np.median(here) <= np.quantile(usual, EXPLAINED))

    def draws(
        self, observation: Observations, start: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Draw latents (n, d) from the posterior in the box, beginning at likely ones of others."""
        y, given = self.read(observation)

        def log_density(u: FloatArray) -> FloatArray:
            n = len(u)
            _, likely = self.likelihood.compare(
                torch.from_numpy(u), y.expand(n, -1), given.expand(n, -1)
            )
            # Turned axes leave the length of a latent as it is.
            prior = -0.5 * ((self.middle + self.half * u) ** 2).sum(axis=1)
            inside = (abs(u) <= 1).all(axis=1)
            return np.where(inside, likely.numpy() / self.warmth + prior, -np.inf)

        with one_thread():
            walkers = _likely(np.clip(self._inside(start), -1, 1), log_density, rng)
            sampler = emcee.EnsembleSampler(
                WALKERS,
                walkers.shape[1],
                log_density,
                moves=[(emcee.moves.DEMove(), 0.5), (emcee.moves.StretchMove(), 0.5)],
                vectorize=True,
            )
            state = np.random.RandomState(int(rng.integers(2**32))).get_state()
            sampler.run_mcmc(emcee.State(walkers, random_state=state), STEPS)
        found = np.asarray(sampler.get_chain(discard=STEPS // 2, thin=EVERY, flat=True))
        return (self.middle + self.half * found) @ self.box.axes.T

    def _misfit(self, latents: FloatArray, observations: Observations) -> FloatArray:
        inside = torch.from_numpy(self._inside(latents))
        return self.likelihood.compare(inside, *self.read(observations))[0].numpy()

    def _inside(self, latents: FloatArray) -> FloatArray:
        """Map the box to a cube from -1 to 1."""
        return (latents @ self.box.axes - self.middle) / self.half


def _blurred(y: Tensor) -> Tensor:
    """Add noise to observables of which many rows have the same value (rows, observables)."""
    most = [np.unique(column, return_counts=True)[1].max() for column in y.numpy().T]
    tied = torch.tensor(most) > TIED * len(y)
    generator = torch.Generator().manual_seed(0)
    return y + tied * y.std(dim=0) * torch.randn(y.shape, generator=generator, dtype=y.dtype)


def _around(draws: FloatArray) -> Box:
    """Put a box around draws (n, d), along their principal axes."""
    axes = np.linalg.svd(draws - draws.mean(axis=0), full_matrices=False)[2].T
    low, high = np.quantile(draws @ axes, [OUTSIDE / 2, 1 - OUTSIDE / 2], axis=0)
    margin = np.maximum(MARGIN * (high - low), THINNEST)
    return Box(axes, low - margin, high + margin, np.zeros(len(axes), bool))


def _nearest(inside: FloatArray, least: int) -> IntArray:
    """Choose rows in a cube from -1 to 1, or the nearest where they are few, `least` at least."""
    beyond, dim = abs(inside).max(axis=1), inside.shape[1]
    terms = 1 + dim + n_products(dim, 2)
    wanted = np.clip((beyond <= 1).sum(), max(INSIDE, INSIDE_EACH * terms, least), MOST)
    return np.argsort(beyond, kind="stable")[:wanted]


def _likely(
    places: FloatArray, log_density: Callable[[FloatArray], FloatArray], rng: np.random.Generator
) -> FloatArray:
    """Let walkers begin near the likely ones of some places (n, d)."""
    density = log_density(places)
    chosen = places[rng.choice(np.flatnonzero(density >= density.max() - SHORT), WALKERS)]
    apart = SPREAD * places.std(axis=0) * rng.normal(size=chosen.shape)
    return np.clip(chosen + apart, -1, 1)
