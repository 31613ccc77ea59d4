"""Vector parameters: multivariate normal and multivariate t, through a Cholesky factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from scipy.linalg import solve_triangular
from scipy.special import gammaln

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import LARGEST, LATENT_MAX, Parents
from sbi_inn.prior.continuous import Continuous
from sbi_inn.prior.families import multivariate_config
from sbi_inn.typing import FloatArray


@dataclass(frozen=True, eq=False)
class _Vector:
    """What both have: a place and a scale in k dimensions."""

    source: Any
    location: FloatArray
    cholesky: FloatArray

    support = (-np.inf, np.inf)
    parents = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """(k,)."""
        return self.location.shape

    @property
    def width(self) -> int:
        """One latent an entry."""
        return len(self.location)


@dataclass(frozen=True, eq=False)
class MultivariateNormal(_Vector):
    """A vector parameter theta = mean + L z with L L' = cov.

    Attributes
    ----------
    source : frozen distribution
        scipy.stats.multivariate_normal.
    location : array (k,)
    cholesky : array (k, k)
        L, lower triangular.
    """

    @classmethod
    def of(cls, name: str, source: Any) -> MultivariateNormal:
        """Factorise; PriorError unless the covariance is positive definite."""
        factor = cholesky(f"parameter {name!r}: cov", source.cov)
        return cls(source, np.atleast_1d(source.mean), factor)

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, shape (n, k)."""
        return np.reshape(self.source.rvs(size=n, random_state=rng), (n, self.width))

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density, shape (n,)."""
        standard = standardise(values, self.location, self.cholesky)
        log_prob = -0.5 * (standard**2).sum(1) - self.width / 2 * np.log(2 * np.pi)
        log_prob -= np.log(np.diag(self.cholesky)).sum()
        return np.where(np.isnan(log_prob), -np.inf, log_prob)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values (n, k) to latents (n, k)."""
        latents = standardise(values, self.location, self.cholesky)
        return np.clip(np.nan_to_num(latents), -LATENT_MAX, LATENT_MAX)

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, k) to values (n, k)."""
        return self.location + np.clip(latents, -LATENT_MAX, LATENT_MAX) @ self.cholesky.T

    def config(self) -> dict[str, Any]:
        """Public scipy name and arguments."""
        return multivariate_config(
            "multivariate_normal", mean=self.location, cov=np.atleast_2d(self.source.cov)
        )

    def describe(self) -> str:
        """Name and size."""
        return f"multivariate_normal of {self.width} entries"


@dataclass(frozen=True, eq=False)
class MultivariateT(_Vector):
    """A vector parameter theta = loc + L y with L L' = shape and y standard multivariate t.

    y is built one coordinate at a time from its conditionals: given the first i coordinates,
    y_i sqrt((df + i) / (df + y_0^2 + ... + y_(i-1)^2)) is univariate t with df + i degrees of
    freedom. That is a bijection R^k -> R^k, unlike a normal vector over a common chi-squared.

    Attributes
    ----------
    source : frozen distribution
        scipy.stats.multivariate_t.
    location : array (k,)
    cholesky : array (k, k)
        L, lower triangular.
    conditionals : tuple of Continuous
        Univariate t with df, df + 1, ... degrees of freedom.

    Notes
    -----
    Ding, P. (2016), On the conditional distribution of the multivariate t distribution, The
    American Statistician 70, 293-295.
    """

    conditionals: tuple[Continuous, ...]

    @classmethod
    def of(cls, name: str, source: Any) -> MultivariateT:
        """Factorise; PriorError unless shape is positive definite."""
        factor = cholesky(f"parameter {name!r}: shape", source.shape)
        t: Any = scipy.stats.t
        conditionals = tuple(Continuous.of(name, t(source.df + i)) for i in range(len(factor)))
        return cls(source, np.atleast_1d(source.loc), factor, conditionals)

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, shape (n, k)."""
        draws = np.reshape(self.source.rvs(size=n, random_state=rng), (n, self.width))
        bad = ~np.isfinite(self.log_prob(draws, parents))
        draws[bad] = self.from_latent(self.to_latent(draws[bad], parents), parents)
        return draws

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density, shape (n,)."""
        df, k = float(self.source.df), self.width
        squared = (standardise(values, self.location, self.cholesky) ** 2).sum(1)
        log_prob = gammaln((df + k) / 2) - gammaln(df / 2) - k / 2 * np.log(df * np.pi)
        log_prob -= np.log(np.diag(self.cholesky)).sum()
        log_prob = log_prob - (df + k) / 2 * np.log1p(squared / df)
        return np.where(np.isnan(log_prob), -np.inf, log_prob)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values (n, k) to latents (n, k)."""
        standard = np.nan_to_num(standardise(values, self.location, self.cholesky))
        standard = np.clip(standard, -LARGEST, LARGEST)
        latents = np.empty(standard.shape)
        for i, conditional in enumerate(self.conditionals):
            scaled = standard[:, i] / self._scale(standard[:, :i])
            latents[:, i] = conditional.to_latent(scaled, parents)[:, 0]
        return latents

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, k) to values (n, k)."""
        standard = np.empty(latents.shape)
        for i, conditional in enumerate(self.conditionals):
            scaled = conditional.from_latent(latents[:, i : i + 1], parents)
            standard[:, i] = np.clip(scaled * self._scale(standard[:, :i]), -LARGEST, LARGEST)
        return self.location + standard @ self.cholesky.T

    def config(self) -> dict[str, Any]:
        """Public scipy name and arguments."""
        shape = np.atleast_2d(self.source.shape)
        return multivariate_config(
            "multivariate_t", loc=self.location, shape=shape, df=float(self.source.df)
        )

    def describe(self) -> str:
        """Name, size and degrees of freedom."""
        return f"multivariate_t of {self.width} entries, df={self.source.df:g}"

    def _scale(self, before: FloatArray) -> FloatArray:
        """Scale of the next coordinate given those before it (n, i)."""
        df = float(self.source.df)
        return np.sqrt((df + (before**2).sum(1)) / (df + before.shape[1]))


def cholesky(where: str, matrix: FloatArray) -> FloatArray:
    """Lower triangular factor, or a PriorError that says where the matrix is."""
    try:
        return np.asarray(np.linalg.cholesky(np.atleast_2d(matrix)), dtype=float)
    except np.linalg.LinAlgError as error:
        raise PriorError(
            f"{where} must be positive definite; "
            f"got eigenvalues {np.linalg.eigvalsh(np.atleast_2d(matrix))}"
        ) from error


def standardise(values: FloatArray, location: FloatArray, factor: FloatArray) -> FloatArray:
    """Solve values = location + L y for y, shape (n, k)."""
    standard = solve_triangular(factor, (values - location).T, lower=True, check_finite=False)
    return np.asarray(standard.T, dtype=float)
