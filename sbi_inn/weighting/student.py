"""Mixtures of Student's t, fitted to weighted points, for proposals that adapt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp, softmax

from sbi_inn.diagnostics.weighted import effective_sample_size
from sbi_inn.typing import FloatArray, IntArray

DEGREES = 5.0  # of freedom: tails heavier than those of a Gaussian posterior, at little cost
MOST = 32  # components
STEPS = 50  # of expectation-maximisation, at most
STILL = 1e-3  # nats, by which a step has to help
_TIGHT = 0.1  # of the prior's spread
RIDGE = 1e-9  # of the spread of all points, so that a component never is thinner than rounding


@dataclass(frozen=True)
class StudentMixture:
    """A mixture of multivariate t of 5 degrees of freedom.

    Attributes
    ----------
    shares : array, shape (k,)
        Of the components; they sum to 1.
    means : array, shape (k, d)
    factors : array, shape (k, d, d)
        Lower Cholesky factors of the scale matrices.
    """

    shares: FloatArray
    means: FloatArray
    factors: FloatArray

    @classmethod
    def around(cls, points: FloatArray, log_weights: FloatArray) -> StudentMixture:
        """Give one component as wide as weighted points (n, d), or as a tenth of the prior."""
        weights = softmax(log_weights)
        mean = weights @ points
        scale = np.diag(weights @ (points - mean) ** 2 + _TIGHT**2)
        return cls(np.ones(1), mean[None], np.sqrt(scale)[None])

    @property
    def parameters(self) -> int:
        """How many numbers it has."""
        count, dim = self.means.shape
        return count * (1 + dim + dim * (dim + 1) // 2) - 1

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw points, shape (n, d)."""
        component = rng.choice(len(self.shares), n, p=self.shares)
        normal = rng.standard_normal((n, self.means.shape[1]))
        normal /= np.sqrt(rng.chisquare(DEGREES, n) / DEGREES)[:, None]
        return self.means[component] + np.einsum("nij,nj->ni", self.factors[component], normal)

    def log_prob(self, points: FloatArray) -> FloatArray:
        """Log density of points (n, d), shape (n,)."""
        squares = self.squares(points)
        return logsumexp(self._log_joint(squares), axis=1)

    def squares(self, points: FloatArray) -> FloatArray:
        """Squared distances (n, k) of points (n, d) from each component, in units of its scale."""
        inverse = np.linalg.inv(self.factors)
        scaled = (
            points @ inverse.transpose(0, 2, 1) - (inverse @ self.means[:, :, None])[:, None, :, 0]
        )
        return np.square(scaled).sum(axis=2).T

    def step(self, points: FloatArray, weights: FloatArray) -> tuple[StudentMixture, float]:
        """Take a step of expectation-maximisation towards points (n, d) of weights (n,).

        Components that are left with fewer than twice d + 1 effective points are dropped.

        Returns
        -------
        mixture : StudentMixture
        log_prob : float
            Mean log density of the points, before the step.
        """
        dim = points.shape[1]
        squares = self.squares(points)
        log_joint = self._log_joint(squares)
        log_prob = logsumexp(log_joint, axis=1)
        reached = float(weights @ log_prob)
        mine = weights[:, None] * np.exp(log_joint - log_prob[:, None])
        with np.errstate(divide="ignore"):
            alive = effective_sample_size(np.log(mine.T)) >= 2 * (dim + 1)
        if not alive.any():
            return self, reached
        mine, near = mine[:, alive], (DEGREES + dim) / (DEGREES + squares[:, alive])
        pull = mine * near
        means = (pull.T @ points) / pull.sum(axis=0)[:, None]
        shares = mine.sum(axis=0)
        scales = [
            (pulled[:, None] * (points - mean)).T @ (points - mean) / share
            for pulled, mean, share in zip(pull.T, means, shares, strict=True)
        ]
        factors = _factors(np.array(scales), points)
        return StudentMixture(shares / shares.sum(), means, factors), reached

    def _log_joint(self, squares: FloatArray) -> FloatArray:
        """Log of share times density of each component, shape (n, k)."""
        dim = self.means.shape[1]
        log_det = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        constant = gammaln((DEGREES + dim) / 2) - gammaln(DEGREES / 2)
        constant -= 0.5 * dim * np.log(DEGREES * np.pi)
        power = 0.5 * (DEGREES + dim) * np.log1p(squares / DEGREES)
        return np.log(self.shares) + constant - log_det - power


def fitted(points: FloatArray, log_weights: FloatArray, rng: np.random.Generator) -> StudentMixture:
    """Fit a mixture to weighted points, with as many components (1, 2, 4, ...) as they can tell of.

    By expectation-maximisation: of all such mixtures it is the closest to the weighted points in
    Kullback-Leibler divergence, from the points to the mixture. Twice as many components have to
    pay for their parameters by the Bayesian information criterion of so many effective points.

    Parameters
    ----------
    points : array, shape (n, d)
    log_weights : array, shape (n,)
        Up to a constant.
    rng : numpy.random.Generator

    References
    ----------
    Cappe, Douc, Guillin, Marin & Robert (2008), Statistics and Computing 18, 447, section 5.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> two = np.concatenate([rng.normal(-9, 1, (500, 1)), rng.normal(9, 1, (500, 1))])
    >>> sorted(fitted(two, np.zeros(1000), rng).means.ravel().round().tolist())
    [-9.0, 9.0]
    """
    some = np.isfinite(log_weights)
    points, log_weights = points[some], log_weights[some]
    size = float(effective_sample_size(log_weights))
    weights = softmax(log_weights)
    best, highest = _grown(points, weights, 1, rng), -np.inf
    trial, count = best, 1
    while count <= MOST:
        gained = (
            float(weights @ trial.log_prob(points)) - trial.parameters * np.log(size) / size / 2
        )
        if not gained > highest:
            break
        best, highest = trial, gained
        count *= 2
        trial = _grown(points, weights, count, rng)
    return best


def _grown(
    points: FloatArray, weights: FloatArray, count: int, rng: np.random.Generator
) -> StudentMixture:
    """Fit a mixture of at most `count` components to points (n, d) of weights (n,)."""
    mixture = _start(points, weights, count, rng)
    reached = -np.inf
    for _ in range(STEPS):
        mixture, now = mixture.step(points, weights)
        if now < reached + STILL:
            break
        reached = now
    return mixture


def _start(
    points: FloatArray, weights: FloatArray, count: int, rng: np.random.Generator
) -> StudentMixture:
    """Put components of one scale at points that lie far from each other."""
    weights = weights / weights.sum()
    mean = weights @ points
    gaps = points - mean
    scale = (weights[:, None] * gaps).T @ gaps
    factor = _factors(scale[None], points)[0]
    chosen = _apart(solve_triangular(factor, gaps.T, lower=True).T, weights, count, rng)
    narrower = count ** (-1 / points.shape[1])
    means = points[chosen] if count > 1 else mean[None]
    return StudentMixture(
        np.full(count, 1 / count), means, np.repeat(narrower * factor[None], count, axis=0)
    )


def _apart(
    points: FloatArray, weights: FloatArray, count: int, rng: np.random.Generator
) -> IntArray:
    """Choose points at random, the further from those chosen already the more probably.

    Arthur & Vassilvitskii (2007), k-means++.
    """
    chosen = [rng.choice(len(points), p=weights)]
    nearest = np.full(len(points), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        chances = weights * nearest
        if not chances.sum() > 0:
            chances = weights
        chosen.append(rng.choice(len(points), p=chances / chances.sum()))
    return np.array(chosen)


def _factors(scales: FloatArray, points: FloatArray) -> FloatArray:
    """Cholesky factors of scale matrices (k, d, d), kept away from singular ones."""
    floor = RIDGE * np.maximum(points.var(axis=0), RIDGE)
    return np.linalg.cholesky(scales + np.diag(floor)).astype(np.float64)
