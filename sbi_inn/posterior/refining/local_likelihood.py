"""A posterior by a likelihood that is learned from simulations in a box.

The distribution of the observables is a normal one, for which few simulations are enough. Their
means, variances and correlations change with the parameters. MCMC draws from the posterior that it
gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import emcee
import numpy as np
import torch
from torch import Tensor

from sbi_inn.flows.laplace_start import MOST_PARAMETERS
from sbi_inn.likelihoods.counts import counted
from sbi_inn.likelihoods.score_test import Judged, judged
from sbi_inn.observation.batch import Observations, join
from sbi_inn.prior.box import Box
from sbi_inn.regressions.prediction import n_products
from sbi_inn.summary_networks import not_pixels
from sbi_inn.summary_networks.curves import places_of_curves
from sbi_inn.summary_networks.exact import Exact, Way
from sbi_inn.training.side_by_side import one_thread
from sbi_inn.typing import FloatArray, IntArray

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

EXPLAINED = 0.99
"""An observation is explained if so many of the fresh simulations fit no worse, or more."""


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
class Readings:
    """What a likelihood may be learned of.

    All observables as they are, or the laws of curves in place of their entries. Where parameters
    say what to expect of each entry, the entries tell most; where they say what a noise looks like,
    they tell little.

    Attributes
    ----------
    widths : dict of {"observables", "laws"} to int
        The number of observables in each way; none if no likelihood can be learned.
    curves : dict of str to array of int, shape (length, columns)
        Places of the curves.
    """

    widths: dict[Way, int]
    curves: dict[str, IntArray]

    @classmethod
    def of(cls, known: Rows, one: Observations) -> Readings:
        """Look at the simulations that there are, and at the observation."""
        none, observations = cls({}, {}), known.observations
        if len(observations) < FEWEST or observations.grids:
            return none
        if np.isnan(observations.vector).any() or np.isnan(one.vector).any():
            return none
        found = cls({}, places_of_curves(observations))
        first = np.arange(FEWEST)
        read = found.fit(known.latents[first], observations[first])
        if known.latents.shape[1] + len(read.givens) > MOST_PARAMETERS:
            return none
        return cls({way: len(columns) for way, columns in read.ways().items()}, found.curves)

    def fit(self, latents: FloatArray, observations: Observations) -> Exact:
        """Learn how they are scaled; of hundreds also what parameters, (n, d), change in them."""
        return Exact.fit(
            observations,
            not_pixels(observations),
            likelihood=True,
            curves=self.curves,
            recurring=False,  # too many numbers for a few hundred simulations
            alike=True,
            latents=latents,
        )


@dataclass(frozen=True)
class Learned:
    """What a likelihood is learned of, and the likelihood.

    Attributes
    ----------
    read : Exact
    columns : tuple of int
        Of what that gives.
    judged : Judged
    """

    read: Exact
    columns: tuple[int, ...]
    judged: Judged

    @classmethod
    def of(
        cls, way: Way, inside: FloatArray, seen: Observations, readings: Readings, asked: int
    ) -> Learned:
        """Learn it of rows of a cube (n, d) and what was observed; the first `asked` judge it."""
        read = readings.fit(inside, seen)
        # Nearby, counts may all be the same: then they are read as any numbers.
        columns = read.ways().get(way, read.observables)
        with one_thread():
            y, given = read.with_givens(seen, columns)
            x = torch.from_numpy(inside)
            found = judged(x, _blurred(y), given, warm=WARM, forgiven=FORGIVEN, asked=asked)
        return cls(read, columns, found)

    def __call__(self, observations: Observations) -> tuple[Tensor, Tensor]:
        """Give the observables that are read, and the givens."""
        return self.read.with_givens(observations, self.columns)


class Local:
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
        inside = self._inside(rows.latents)
        least = [INSIDE_OBSERVABLE * width for width in readings.widths.values()]
        asked = len(_nearest(inside, min(least)))
        found = []
        for way, enough in zip(readings.widths, least, strict=True):
            near = _nearest(inside, enough)
            found.append(Learned.of(way, inside[near], rows.observations[near], readings, asked))
        self.best = max(found, key=lambda one: one.judged.told)

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
        y, given = self.best(observation)

        def log_density(u: FloatArray) -> FloatArray:
            n = len(u)
            _, likely = self.best.judged.likelihood.compare(
                torch.from_numpy(u), y.expand(n, -1), given.expand(n, -1)
            )
            # Turned axes leave the length of a latent as it is.
            prior = -0.5 * ((self.middle + self.half * u) ** 2).sum(axis=1)
            inside = (abs(u) <= 1).all(axis=1)
            return np.where(inside, likely.numpy() / self.best.judged.warmth + prior, -np.inf)

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
        return self.best.judged.likelihood.compare(inside, *self.best(observations))[0].numpy()

    def _inside(self, latents: FloatArray) -> FloatArray:
        """Map the box to a cube from -1 to 1."""
        return (latents @ self.box.axes - self.middle) / self.half


def _blurred(y: Tensor) -> Tensor:
    """Add noise to observables of which many rows have the same value (rows, observables).

    Not to counts: what is learned of these is no density.
    """
    most = [np.unique(column, return_counts=True)[1].max() for column in y.numpy().T]
    tied = (torch.tensor(most) > TIED * len(y)) & ~counted(y)
    generator = torch.Generator().manual_seed(0)
    return y + tied * y.std(dim=0) * torch.randn(y.shape, generator=generator, dtype=y.dtype)


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
