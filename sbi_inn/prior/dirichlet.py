"""A vector parameter on the simplex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betainc, betaincinv, betaln, gammaln, log_softmax, ndtr, ndtri, xlogy

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import LATENT_MAX, SUM_TOLERANCE, Parents
from sbi_inn.prior.families import multivariate_config
from sbi_inn.typing import FloatArray

SMALLEST = float(np.finfo(float).tiny)
"""No entry of a draw is smaller, so that its density is finite whatever the concentration."""


@dataclass(frozen=True, eq=False)
class Dirichlet:
    """A vector of k positive entries with sum 1, by stick breaking with k - 1 latents.

    Of what entries 0 ... i - 1 leave over, entry i takes a share that is
    Beta(alpha_i, alpha_(i+1) + ... + alpha_(k-1)), independently of the other shares. Densities
    are, as scipy's, with respect to the first k - 1 entries: the last follows from them.

    Attributes
    ----------
    source : frozen distribution
        scipy.stats.dirichlet.
    alpha : array (k,)
        Concentrations.
    rest : array (k - 1,)
        Sums of the concentrations after each entry but the last.
    """

    source: Any
    alpha: FloatArray
    rest: FloatArray

    support = (0.0, 1.0)
    parents = ()

    @classmethod
    def of(cls, name: str, source: Any) -> Dirichlet:
        """Read the concentrations; PriorError for fewer than two."""
        alpha = np.array(source.alpha, dtype=float)
        if alpha.ndim != 1 or len(alpha) < 2:
            raise PriorError(
                f"parameter {name!r}: dirichlet needs at least two concentrations; got {alpha}"
            )
        return cls(source, alpha, np.cumsum(alpha[::-1])[-2::-1])

    @property
    def shape(self) -> tuple[int, ...]:
        """(k,)."""
        return self.alpha.shape

    @property
    def width(self) -> int:
        """One latent an entry but the last."""
        return len(self.rest)

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, shape (n, k)."""
        # Gamma(alpha) is Gamma(alpha + 1) times U^(1 / alpha): logs keep entries that numpy's
        # own draws round to zero where alpha is small.
        gammas = np.log(rng.standard_gamma(self.alpha + 1, size=(n, len(self.alpha))))
        gammas -= rng.standard_exponential(gammas.shape) / self.alpha
        return np.maximum(np.exp(log_softmax(gammas, axis=1)), SMALLEST)

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density with respect to the first k - 1 entries, shape (n,)."""
        inside = (values >= 0).all(1) & (np.abs(values.sum(1) - 1) < SUM_TOLERANCE)
        log_prob = xlogy(self.alpha - 1, np.where(inside[:, None], values, 0.5)).sum(1)
        log_prob += gammaln(self.alpha.sum()) - gammaln(self.alpha).sum()
        return np.where(inside & ~np.isnan(log_prob), log_prob, -np.inf)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values (n, k) to latents (n, k - 1)."""
        values = np.clip(values, SMALLEST, 1)
        # The sticks' ends are added up from the far side: 1 minus a sum would lose small ones.
        left = np.cumsum(values[:, ::-1], axis=1)[:, ::-1]
        taken, rest = values[:, :-1] / left[:, :-1], left[:, 1:] / left[:, :-1]
        below = betainc(self.alpha[:-1], self.rest, taken)
        above = betainc(self.rest, self.alpha[:-1], rest)
        z = np.where(below < above, ndtri(below), -ndtri(above))
        return np.clip(z, -LATENT_MAX, LATENT_MAX)

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, k - 1) to values (n, k)."""
        z = np.clip(latents, -LATENT_MAX, LATENT_MAX)
        tail = ndtr(-np.abs(z))
        below = _beta_quantile(self.alpha[:-1], self.rest, np.where(z < 0, tail, 0.5))
        above = _beta_quantile(self.rest, self.alpha[:-1], np.where(z < 0, 0.5, tail))
        taken, rest = np.where(z < 0, below, 1 - above), np.where(z < 0, 1 - below, above)
        left = np.cumprod(rest, axis=1)
        values = np.empty((len(z), len(self.alpha)))
        values[:, 0], values[:, -1] = taken[:, 0], left[:, -1]
        values[:, 1:-1] = taken[:, 1:] * left[:, :-1]
        return np.maximum(values, SMALLEST)

    def config(self) -> dict[str, Any]:
        """Public scipy name and arguments."""
        return multivariate_config("dirichlet", alpha=self.alpha)

    def describe(self) -> str:
        """Name and concentrations."""
        return f"dirichlet([{', '.join(f'{value:g}' for value in self.alpha)}])"


def _beta_quantile(a: FloatArray, b: FloatArray, probability: FloatArray) -> FloatArray:
    """Quantiles of Beta(a, b); where scipy finds none in the far tail, of its leading term."""
    values = betaincinv(a, b, probability)
    leading = np.exp((np.log(probability) + np.log(a) + betaln(a, b)) / a)
    return np.where(np.isnan(values), np.minimum(leading, 0.5), values)
