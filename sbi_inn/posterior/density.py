"""A trained method in the parameters' own units: draws, log densities, and the highest of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
from scipy.special import logsumexp, ndtri

from sbi_inn.diagnostics.mode_search import climb, mean_shift
from sbi_inn.draws import counted
from sbi_inn.errors import NoDensityError
from sbi_inn.methods.abilities import Climber
from sbi_inn.methods.protocols import Cutter, Fitted, Weigher
from sbi_inn.methods.recalibrated.fitted import draw_rows
from sbi_inn.methods.row_generators import Random
from sbi_inn.observation.batch import Observations
from sbi_inn.prior import Prior
from sbi_inn.prior.quadrature import places
from sbi_inn.typing import AnyArray, BoolArray, FloatArray

# Draws that the search for the highest density starts from.
STARTS = 4096
# Values of the discrete parameters that are climbed for, the best of those drawn.
COMBINATIONS = 8
# Simulations that are expected beyond the outermost place on either side.
OUTERMOST = 0.5


@dataclass(frozen=True)
class Density:
    """A trained method, and the prior's exact map from where it was trained to the parameters.

    Attributes
    ----------
    fitted : Fitted
        On the latent side of the prior, where the prior is N(0, I).
    prior : Prior
    seen : float
        How many simulations it has learned from; infinite where that is not known.
    """

    fitted: Fitted
    prior: Prior
    seen: float = np.inf

    def draw(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw flat parameter vectors, shape (observations, n, dim)."""
        n = counted(n)
        latent = self.latent(observations, n, rng)
        flat = self.prior.flatten(self.prior.from_latent(latent.reshape(-1, latent.shape[2])))
        return flat.reshape(len(observations), n, -1)

    def latent(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw where the method was trained, shape (observations, n, latents)."""
        return draw_rows(self.fitted, observations, n, rng)

    def log_prob(self, parameters: Mapping[str, AnyArray], observation: Observations) -> FloatArray:
        """Evaluate the log density of rows of parameters, shape (rows,), given one observation.

        Of discrete parameters it is the log probability.

        Raises
        ------
        NoDensityError
            If the method can be drawn from only, or there are more than eight discrete parameters.
        """
        log_prior = self.prior.log_prob(parameters)
        log_prob = np.full(log_prior.shape, -np.inf)
        inside = np.isfinite(log_prior)
        if inside.any():
            flat = np.broadcast_to(self.prior.flatten(parameters), (len(inside), self.prior.dim))
            log_ratio = self._log_ratio(self.prior.unflatten(flat[inside]), observation)
            log_prob[inside] = log_prior[inside] + log_ratio
        return log_prob

    def highest(self, observation: Observations, rng: Random) -> dict[str, AnyArray]:
        """Find the parameters of highest density given one observation, each of shape (1, ...).

        Values of discrete parameters are tried in turn, the most promising that were drawn. Where
        the density cannot be evaluated, the mode of the draws' density by mean shift. A field is
        the one of highest density given the other parameters, which are those of highest density
        by themselves.
        """
        if isinstance(self.fitted, Climber):
            return self._highest_field(self.fitted, observation, rng)
        start = self.latent(observation, STARTS, rng)[0]
        rng = rng if isinstance(rng, np.random.Generator) else next(iter(rng))
        try:
            return self._climb(start, observation, rng)
        except NoDensityError:
            flat = self.prior.flatten(self.prior.from_latent(start))
            return self.prior.unflatten(densest(flat, self._discrete_columns, rng)[None])

    def _highest_field(
        self, fitted: Climber, observation: Observations, rng: Random
    ) -> dict[str, AnyArray]:
        numbers = np.zeros((1, 0))
        if fitted.numbers is not None:
            fields = {place.name for place in self.prior.fields}
            others = self.prior.marginal([n for n in self.prior.names if n not in fields])
            found = Density(fitted.numbers, others, self.seen).highest(observation, rng)
            numbers = others.to_latent(found)
        return self.prior.from_latent(fitted.top(observation, numbers))

    def log_ratio(
        self, flat: FloatArray, observations: Observations, *, normalised: bool
    ) -> FloatArray:
        """Log of posterior over prior density of flat draws (observations, n, dim).

        Where parameters are discrete, to a few percent.

        Returns
        -------
        array, shape (observations, n)
            Up to a constant of each observation unless `normalised`.

        Raises
        ------
        NoDensityError
            If the method can be drawn from only.
        """
        rows, n, dim = flat.shape
        parameters = self.prior.unflatten(flat.reshape(rows * n, dim))
        if not normalised and isinstance(self.fitted, Weigher):
            density = self.fitted.log_weight
        else:
            density = self.fitted.log_prob

        def ratio(latent: FloatArray) -> FloatArray:
            return density(latent, observations) - self.prior.log_density(latent)

        log_ratio = self._mean(parameters, ratio, coarse=True)
        return log_ratio.reshape(rows, n)

    def _log_ratio(
        self,
        parameters: Mapping[str, AnyArray],
        observation: Observations,
        *,
        coarse: bool = False,
    ) -> FloatArray:
        """Log of posterior over prior density, the same on both sides of the prior's map.

        At a bound of the prior it stays what it is where the outermost simulations are. A bound is
        at infinity on the latent side: out there nothing was simulated, the prior's density falls
        like that of a normal, and a network that falls a little more slowly would be above it by
        dozens of nats.
        """

        def ratio(latent: FloatArray) -> FloatArray:
            held = np.clip(latent, *self._reach)
            return self.fitted.log_prob(held, observation) - self.prior.log_density(held)

        return self._mean(parameters, ratio, coarse=coarse)

    @cached_property
    def _reach(self) -> tuple[FloatArray, FloatArray]:
        """Latents of the outermost simulations, where a parameter is bounded, each (latents,)."""
        low, high = np.full((2, self.prior.latent_dim), np.inf) * [[-1.0], [1.0]]
        if self.prior.box is None and np.isfinite(self.seen):
            far = ndtri(1 - OUTERMOST / max(self.seen, 1.0))
            for name, (least, most) in self.prior.support.items():
                axes = self.prior.latents_of([name])
                axes = axes[~self.prior.discrete_latents[axes]]
                low[axes] = -far if np.isfinite(least) else -np.inf
                high[axes] = far if np.isfinite(most) else np.inf
        return low, high

    def _mean(
        self,
        parameters: Mapping[str, AnyArray],
        ratio: Callable[[FloatArray], FloatArray],
        *,
        coarse: bool,
    ) -> FloatArray:
        """Log of the mean ratio to the prior over the pieces that discrete values own.

        A value of probability p owns latents of probability p under the prior: the density's
        integral over them is p times the mean of its ratio to N(0, I).
        """
        steps = self._steps
        where, weights = places(int((~steps).sum()), coarse=coarse)
        within = np.full((1, len(steps)), 0.5)
        ratios = []
        for place in where:
            within[0, ~steps] = place
            ratios.append(ratio(self.prior.to_latent(parameters, within)))
        return logsumexp(ratios, axis=0, b=weights[:, None]) if len(ratios) > 1 else ratios[0]

    @property
    def _steps(self) -> BoolArray:
        """For which discrete parameters the ratio is the same all over each piece."""
        known = [axis for axis, _ in self.fitted.cuts] if isinstance(self.fitted, Cutter) else []
        return np.isin(np.flatnonzero(self.prior.discrete_latents), known)

    @property
    def _discrete_columns(self) -> BoolArray:
        """Which columns of flat parameters are discrete, shape (dim,)."""
        return np.isin(self.prior.columns, self.prior.discrete)

    def _climb(
        self, start: FloatArray, observation: Observations, rng: np.random.Generator
    ) -> dict[str, AnyArray]:
        """Climb in the latents of all that is continuous, for the best values of the rest."""

        def height(latent: FloatArray) -> FloatArray:
            parameters = self.prior.from_latent(latent)
            log_ratio = self._log_ratio(parameters, observation, coarse=True)
            return self.prior.log_prob(parameters) + log_ratio

        free = ~self.prior.discrete_latents
        if free.all():
            return self.prior.from_latent(climb(height, start, rng)[None])
        flat = self.prior.flatten(self.prior.from_latent(start))[:, self._discrete_columns]
        _, group = np.unique(flat, axis=0, return_inverse=True)
        heights = height(start)
        best = pd.Series(heights).groupby(group.ravel()).idxmax()
        tops = []
        for first in heights[best].argsort()[::-1][:COMBINATIONS]:
            latent = start[best.iloc[first]].copy()
            if free.any():
                these = start[group.ravel() == best.index[first]][:, free]
                fixed = partial(_filled, latent, free)
                latent[free] = climb(lambda z, f=fixed: height(f(z)), these, rng)
            tops.append(latent)
        found = self.prior.from_latent(np.array(tops))
        log_prob = self.log_prob(found, observation)
        return {name: value[[log_prob.argmax()]] for name, value in found.items()}


def _filled(latent: FloatArray, free: BoolArray, values: FloatArray) -> FloatArray:
    """Rows of a latent (dim,) with values (n, k) in its k free places."""
    rows = np.repeat(latent[None], len(values), axis=0)
    rows[:, free] = values
    return rows


def densest(flat: FloatArray, discrete: BoolArray, rng: np.random.Generator) -> FloatArray:
    """Find the mode (dim,) of draws (m, dim): of the most frequent values of discrete columns."""
    values, group, counts = np.unique(
        flat[:, discrete], axis=0, return_inverse=True, return_counts=True
    )
    top = np.empty(flat.shape[1])
    top[discrete] = values[counts.argmax()]
    if not discrete.all():
        these = flat[group.ravel() == counts.argmax()]
        top[~discrete] = mean_shift(these[:, ~discrete], rng)
    return top
