"""A parameter whose distribution is a mixture of Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from sbi_inn.prior import normals
from sbi_inn.prior.component import LARGEST, LATENT_MAX, Parents
from sbi_inn.prior.families import mixture_config
from sbi_inn.prior.mixture import Mixture
from sbi_inn.typing import FloatArray


@dataclass(frozen=True, eq=False)
class Rosenblatt:
    """A number or vector from a mixture, an entry at a time, each by its conditional cdf.

    Given the entries before it, an entry follows a mixture of normals again: a component's mean
    and standard deviation are those of its own conditional, and its weight is multiplied by its
    density of the entries before.

    Attributes
    ----------
    source : Mixture

    Notes
    -----
    Rosenblatt, M. (1952), Remarks on a multivariate transformation, The Annals of Mathematical
    Statistics 23, 470-472.
    """

    source: Mixture

    support = (-np.inf, np.inf)
    parents = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """() or (d,)."""
        return self.source.shape

    @property
    def width(self) -> int:
        """One latent an entry."""
        return self.source.dim

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, shape (n, *shape)."""
        return self.source.rvs(n, rng)

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density, shape (n,)."""
        return self.source.logpdf(values)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values (n, *shape) to latents (n, width)."""
        mixture = self.source
        flat = np.clip(values.reshape(-1, self.width), -LARGEST, LARGEST)
        standard = mixture.standardise(flat)
        weights = np.broadcast_to(mixture.weights, standard.shape[:2])
        latents = np.empty(flat.shape)
        for i in range(self.width):
            latents[:, i] = normals.latent(weights, standard[:, :, i])
            weights = self._given(weights, standard, i)
        return latents

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, width) to values (n, *shape)."""
        mixture = self.source
        z = np.clip(latents, -LATENT_MAX, LATENT_MAX)
        standard = np.empty((len(z), *mixture.location.shape))
        weights = np.broadcast_to(mixture.weights, standard.shape[:2])
        values = np.empty(z.shape)
        for i in range(self.width):
            location = mixture.location[:, i] + mixture.carried(standard, i)
            scale = mixture.scales[:, i]
            values[:, i] = normals.quantile(weights, location, scale, z[:, i])
            standard[:, :, i] = (values[:, i, None] - location) / scale
            weights = self._given(weights, standard, i)
        return values.reshape(-1, *self.shape)

    def config(self) -> dict[str, Any]:
        """Public scipy name of the components; their weights and arguments."""
        mixture = self.source
        if not self.shape:
            location, scale = mixture.location[:, 0], mixture.scales[:, 0]
            return mixture_config("norm", mixture.weights, location, scale)
        covs = [np.atleast_2d(component.cov) for component in mixture.components]
        return mixture_config("multivariate_normal", mixture.weights, mixture.location, covs)

    def describe(self) -> str:
        """Say how many components there are, of what kind and size."""
        return repr(self.source)

    def _given(self, weights: FloatArray, standard: FloatArray, i: int) -> FloatArray:
        """Weights (n, K) once entry i is known too."""
        log_density = -(standard[:, :, i] ** 2) / 2 - np.log(self.source.scales[:, i])
        return softmax(np.log(weights) + log_density, axis=1)
