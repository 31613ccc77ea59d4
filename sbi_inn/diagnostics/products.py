"""Laws near the product of two posteriors over their prior."""

from __future__ import annotations

import numpy as np
import scipy.stats as st

from sbi_inn.typing import FloatArray

# Degrees of freedom: tails that are heavier than those of the product of two normal laws.
FREEDOM = 10
# How much of a covariance is that of its own draws; the rest is the mean over all rows, as few
# draws of many parameters say little of their own.
OWN = 0.5


class ProductLaws:
    """For each row a t law near the product of p(x | y) and p(x | y') over N(0, I).

    The means and covariances of draws of both give two normal laws. Their product over N(0, I) is
    normal, too: its precision is the sum of both, less I.

    Parameters
    ----------
    one : array, shape (m, d)
        Draws given y, the same in every row.
    each : array, shape (n, k, d)
        Draws given each y'.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> one = rng.normal(0.6, 0.5, (5_000, 1))  # given y: variance 1/4
    >>> each = rng.normal(0.6, 0.5, (2, 5_000, 1))  # given y': the same
    >>> laws = ProductLaws(one, each)
    >>> drawn = laws.draw(50_000, rng)
    >>> drawn.shape, drawn.mean().round(2)  # 4.8 / 7: precisions of 4 each, less 1
    ((2, 50000, 1), np.float64(0.69))
    >>> laws.log_density(drawn).shape
    (2, 50000)
    """

    def __init__(self, one: FloatArray, each: FloatArray) -> None:
        dim = one.shape[1]
        precision = np.linalg.inv(_covariance(one[None])[0])
        own = _covariance(each)
        others = np.linalg.inv(OWN * own + (1 - OWN) * own.mean(axis=0))
        towards = precision @ one.mean(axis=0) + (others @ each.mean(axis=1)[..., None])[..., 0]
        # Two laws about as wide as the prior: noise must not make their product wider than it.
        values, axes = np.linalg.eigh(precision + others - np.eye(dim))
        root = np.sqrt(np.maximum(values, 1.0))[:, None]
        # To units of the law and back. scipy takes a law for a singular one if it is 60,000 times
        # as wide in one direction as in another.
        self._to, self._back = axes * root, (axes / root).transpose(0, 2, 1)
        self._places = towards[:, None] @ self._back.transpose(0, 2, 1) @ self._back
        self._log_det = np.log(root).sum(axis=(1, 2))
        self._law = st.multivariate_t(shape=np.eye(dim), df=FREEDOM)

    def draw(self, k: int, rng: np.random.Generator) -> FloatArray:
        """Draw k times of each law, shape (n, k, d)."""
        n, _, dim = self._places.shape
        drawn = np.reshape(self._law.rvs(n * k, random_state=rng), (n, k, dim))
        return self._places + drawn @ self._back

    def log_density(self, points: FloatArray) -> FloatArray:
        """Give each row's log density at points (n, m, d), shape (n, m)."""
        scaled = (points - self._places) @ self._to
        found = self._law.logpdf(scaled.reshape(-1, scaled.shape[2]))
        return np.reshape(found, scaled.shape[:2]) + self._log_det[:, None]


def _covariance(draws: FloatArray) -> FloatArray:
    """Give the covariance of the draws of each row (n, k, d), and a little of the identity."""
    centred = draws - draws.mean(axis=1, keepdims=True)
    found = centred.transpose(0, 2, 1) @ centred / draws.shape[1]
    return found + 1e-12 * np.eye(draws.shape[2])
