"""A trained method in the parameters' own units: draws, log densities, and the highest of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import NoDensityError
from sbi_inn.maximum import climb, mean_shift
from sbi_inn.methods.fitted import Fitted, Weigher
from sbi_inn.prior import Prior
from sbi_inn.schema import Observations

FloatArray = npt.NDArray[np.float64]

STARTS = 4096  # draws that the search for the highest density starts from


@dataclass(frozen=True)
class Density:
    """A trained method, and the prior's exact map from where it was trained to the parameters.

    Attributes
    ----------
    fitted : Fitted
        On the latent side of the prior, where the prior is N(0, I).
    prior : Prior
    """

    fitted: Fitted
    prior: Prior

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw flat parameter vectors, shape (observations, n, dim)."""
        if n < 1:
            raise ValueError(f"expected at least one draw; got n = {n}")
        latent = self.fitted.sample(observations, n, rng)
        flat = self.prior.flatten(self.prior.from_latent(latent.reshape(-1, latent.shape[2])))
        return flat.reshape(len(observations), n, -1)

    def log_prob(
        self, parameters: Mapping[str, npt.NDArray[Any]], observation: Observations
    ) -> FloatArray:
        """Evaluate the log density of rows of parameters, shape (rows,), given one observation."""
        log_prior = self.prior.log_prob(parameters)
        log_prob = np.full(log_prior.shape, -np.inf)
        inside = np.isfinite(log_prior)
        if inside.any():
            flat = np.broadcast_to(self.prior.flatten(parameters), (len(inside), self.prior.dim))
            latent = self.prior.to_latent(self.prior.unflatten(flat[inside]))
            log_prob[inside] = log_prior[inside] + self._log_ratio(latent, observation)
        return log_prob

    def highest(
        self, observation: Observations, rng: np.random.Generator
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Find the parameters of highest density given one observation, each of shape (1, ...).

        Where the density cannot be evaluated, the mode of the draws' density by mean shift.
        """

        def height(latent: FloatArray) -> FloatArray:
            log_prior = self.prior.log_prob(self.prior.from_latent(latent))
            return log_prior + self._log_ratio(latent, observation)

        start = self.fitted.sample(observation, STARTS, rng)[0]
        try:
            return self.prior.from_latent(climb(height, start, rng)[None])
        except NoDensityError:
            flat = self.prior.flatten(self.prior.from_latent(start))
            return self.prior.unflatten(mean_shift(flat, rng)[None])

    def log_ratio(
        self, flat: FloatArray, observations: Observations, *, normalised: bool
    ) -> FloatArray:
        """Log of posterior over prior density of flat draws (observations, n, dim).

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
        latent = self.prior.to_latent(self.prior.unflatten(flat.reshape(rows * n, dim)))
        if not normalised and isinstance(self.fitted, Weigher):
            log_density = self.fitted.log_weight(latent, observations)
        else:
            log_density = self.fitted.log_prob(latent, observations)
        return (log_density - log_normal(latent)).reshape(rows, n)

    def _log_ratio(self, latent: FloatArray, observation: Observations) -> FloatArray:
        """Log of posterior over prior density, the same on both sides of the prior's map."""
        return self.fitted.log_prob(latent, observation) - log_normal(latent)


def log_normal(latent: FloatArray) -> FloatArray:
    """Log density of N(0, I), the prior on the latent side, shape (rows,)."""
    return -0.5 * (latent**2).sum(axis=1) - 0.5 * latent.shape[1] * np.log(2 * np.pi)
