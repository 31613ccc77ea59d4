"""Mixtures of Gaussians: what a user gives for a parameter of several modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import SUM_TOLERANCE
from sbi_inn.prior.families import family
from sbi_inn.prior.multivariate import cholesky
from sbi_inn.prior.univariate import location_scale
from sbi_inn.typing import FloatArray


class Mixture:
    """A mixture of Gaussians: a frozen distribution of a number or of a vector.

    Parameters
    ----------
    weights : array-like (K,)
        Probabilities of the components: not negative, and with sum 1.
    components : sequence of K frozen distributions
        From scipy.stats: all norm, for a number; or all multivariate_normal with d entries, for a
        vector.

    Attributes
    ----------
    weights : array (K,)
    components : tuple
    shape : tuple of int
        Shape of one draw: () or (d,).
    dim : int
        Number of entries of a draw: 1 or d.
    location : array (K, dim)
        Means of the components.
    cholesky : array (K, dim, dim)
        Lower triangular factors of their covariances.

    Raises
    ------
    PriorError
        If weights are negative, do not sum to 1 within 1e-6, or are not one per component; if
        components are not Gaussian, differ in size, or have no density.

    Examples
    --------
    >>> import scipy.stats as st
    >>> from sbi_inn.prior import Prior
    >>> two = Mixture([0.25, 0.75], [st.norm(-2, 0.3), st.norm(2, 0.3)])
    >>> float(two.mean)
    1.0
    >>> draws = two.rvs(1000, np.random.default_rng(1))
    >>> bool(abs((draws < 0).mean() - 0.25) < 0.05)
    True
    >>> Prior(x=two)
    Prior(
        x=Mixture of 2 norm,
    )
    """

    def __init__(self, weights: npt.ArrayLike, components: Sequence[Any]) -> None:
        self.components = tuple(components)
        self.weights = _weights(weights, len(self.components))
        read = [_read(i, component) for i, component in enumerate(self.components)]
        shapes = [location.shape for location, _ in read]
        if len(set(shapes)) > 1:
            raise PriorError(
                "a Mixture needs components of one size, all norm or all multivariate_normal; "
                f"got the shapes {', '.join(map(str, shapes))}"
            )
        self.shape: tuple[int, ...] = shapes[0]
        self.dim = math.prod(self.shape)
        self.location: FloatArray = np.stack([np.atleast_1d(location) for location, _ in read])
        self.cholesky: FloatArray = np.stack([factor for _, factor in read])

    @property
    def mean(self) -> FloatArray:
        """Mean, with the shape `shape`."""
        return (self.weights @ self.location).reshape(self.shape)

    @property
    def cov(self) -> FloatArray:
        """Covariance, shape (d, d); for a number the variance, shape ()."""
        within = np.einsum("k,kij,klj->il", self.weights, self.cholesky, self.cholesky)
        apart = self.location - self.weights @ self.location
        between = np.einsum("k,ki,kj->ij", self.weights, apart, apart)
        return (within + between).reshape(2 * self.shape)

    def rvs(
        self, size: int = 1, random_state: np.random.Generator | int | None = None
    ) -> FloatArray:
        """Draw, shape ``(size, *shape)``; without a generator or seed, with a new one."""
        rng = np.random.default_rng(random_state)
        which = rng.choice(len(self.weights), size=size, p=self.weights)
        draws = rng.standard_normal((size, self.dim))
        for k, (location, factor) in enumerate(zip(self.location, self.cholesky, strict=True)):
            draws[which == k] = location + draws[which == k] @ factor.T
        return draws.reshape(size, *self.shape)

    def logpdf(self, x: npt.ArrayLike) -> FloatArray:
        """Log density at x, shape ``(..., *shape)``: one value per draw; -inf for NaN."""
        values = np.asarray(x, dtype=float)
        leading = values.shape[: values.ndim - len(self.shape)]
        if values.shape != (*leading, *self.shape):
            raise ValueError(f"expected x of shape (..., {self.dim}); got {values.shape}")
        with np.errstate(all="ignore"):  # infinite or nan values, and weights of zero
            standard = self.standardise(values.reshape(-1, self.dim))
            log_prob = -(standard**2 / 2 + np.log(self.scales)).sum(2)
            total = np.asarray(logsumexp(log_prob, b=self.weights, axis=1))
        total -= self.dim / 2 * np.log(2 * np.pi)
        return np.where(np.isnan(total), -np.inf, total).reshape(leading)

    def standardise(self, values: FloatArray) -> FloatArray:
        """Solve values = location + cholesky e for e: (n, dim) to (n, K, dim)."""
        standard = values[:, None, :] - self.location
        for i in range(self.dim):
            standard[:, :, i] -= self.carried(standard, i)
            standard[:, :, i] /= self.scales[:, i]
        return standard

    def carried(self, standard: FloatArray, i: int) -> FloatArray:
        """Return what the first i entries of e (n, K, dim) add to the means of entry i, (n, K)."""
        return np.einsum("nkj,kj->nk", standard[:, :, :i], self.cholesky[:, i, :i])

    @property
    def scales(self) -> FloatArray:
        """Standard deviation of each entry given those before it, (K, dim)."""
        return np.diagonal(self.cholesky, axis1=1, axis2=2)

    def __repr__(self) -> str:
        """Say how many components there are, of what kind and size."""
        kind = f"multivariate_normal of {self.dim} entries" if self.shape else "norm"
        return f"Mixture of {len(self.weights)} {kind}"


def _weights(weights: npt.ArrayLike, n: int) -> FloatArray:
    """Check the weights of n components and make their sum 1."""
    array = np.array(weights, dtype=float)
    if array.shape != (n,) or n == 0:
        raise PriorError(
            f"a Mixture needs one weight a component; got weights of shape {array.shape} "
            f"and {n} components"
        )
    total = math.fsum(array)
    if not (array >= 0).all() or not abs(total - 1) <= SUM_TOLERANCE:
        raise PriorError(
            f"the weights of a Mixture must be >= 0 and sum to 1; got {array} of sum {total:g}"
        )
    # Weights that were divided once stay as they are, so that a file gives the same prior back.
    return array if abs(total - 1) <= np.finfo(float).eps else array / total


def _read(i: int, component: Any) -> tuple[FloatArray, FloatArray]:
    """Mean, shape () or (d,), and Cholesky factor of one component."""
    if family(component) == "norm":
        location, scale = location_scale(component)
        if location.ndim or scale.ndim or not np.isfinite(location) or not 0 < scale < np.inf:
            raise PriorError(
                f"component {i} of a Mixture: expected norm(mean, sd) of two finite numbers, "
                f"sd > 0; got norm({location}, {scale})"
            )
        return location, scale.reshape(1, 1)
    mean, cov = getattr(component, "mean", None), getattr(component, "cov", None)
    if isinstance(mean, np.ndarray) and cov is not None and not isinstance(component, Mixture):
        return np.atleast_1d(mean), cholesky(f"component {i} of a Mixture: cov", cov)
    what = getattr(getattr(component, "dist", None), "name", type(component).__name__)
    raise PriorError(
        f"component {i} of a Mixture: expected a frozen norm or multivariate_normal of "
        f"scipy.stats, such as norm(0, 1); got {what}"
    )
