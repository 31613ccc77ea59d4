"""A parameter with a continuous univariate distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sbi_inn.errors import PriorError
from sbi_inn.prior import univariate
from sbi_inn.prior.component import LATENT_MAX, Parents
from sbi_inn.prior.families import UNSUITABLE, continuous_config
from sbi_inn.prior.univariate import Frozen
from sbi_inn.typing import FloatArray

GRID = np.linspace(0, LATENT_MAX, 76)
"""Latents that are tried, in steps of half a standard deviation, for the last usable one."""


@dataclass(frozen=True, eq=False)
class Continuous:
    """A scalar parameter: the latent is that of its own cdf.

    Attributes
    ----------
    source : frozen distribution
        With scalar arguments.
    latents : tuple of float
        The latents in use, lowest and highest; what lies beyond is moved to the nearest of them.
    values : tuple of float
        Their values: no draw lies outside.
    centre : float
        What stands in for the latent 0 where the density at the median is zero or infinite.
    """

    source: Frozen
    latents: tuple[float, float]
    values: tuple[float, float]
    centre: float

    shape = ()
    width = 1
    parents = ()

    @classmethod
    def of(cls, name: str, source: Frozen) -> Continuous:
        """Check a frozen distribution and find the latents that it can use.

        Raises
        ------
        PriorError
            If its arguments are arrays or out of range, or its draws cannot be told apart.
        """
        check_arguments(name, source)
        centre = _centre(name, source)
        latents = _end(source, centre, -1.0), _end(source, centre, 1.0)
        low, high = univariate.quantile(source, np.array(latents))
        if not low < high:
            raise PriorError(f"{_where(name, source)}: float64 cannot tell its draws apart")
        return cls(source, latents, (float(low), float(high)), centre)

    @property
    def support(self) -> tuple[float, float]:
        """Lower and upper end."""
        low, high = self.source.support()
        return float(low), float(high)

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, shape (n,)."""
        draws = np.asarray(self.source.rvs(size=n, random_state=rng), dtype=float)
        return np.clip(draws, *self.values)

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density, shape (n,)."""
        return univariate.log_density(self.source, values)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values (n,) to latents (n, 1)."""
        return np.clip(univariate.latent(self.source, values), *self.latents)[:, None]

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, 1) to values (n,)."""
        z = np.clip(latents[:, 0], *self.latents)
        z[z == 0] = self.centre
        return np.clip(univariate.quantile(self.source, z), *self.values)

    def config(self) -> dict[str, Any] | None:
        """Public scipy name and arguments; None for a distribution that is not scipy's own."""
        return continuous_config(self.source)

    def describe(self) -> str:
        """Name and arguments as one would type them."""
        return describe(self.source)


def describe(frozen: object) -> str:
    """Name and arguments of a frozen distribution as one would type them."""
    name = getattr(getattr(frozen, "dist", None), "name", type(frozen).__name__)
    args, kwds = univariate.arguments(frozen)
    texts = [f"{value:g}" for value in args] + [f"{key}={value:g}" for key, value in kwds.items()]
    return f"{name}({', '.join(texts)})"


def _where(name: str, source: object) -> str:
    return f"parameter {name!r}, {describe(source)}"


def check_arguments(name: str, source: object) -> None:
    """Raise PriorError where arguments are arrays, or the distribution cannot serve as a prior."""
    args, kwds = univariate.arguments(source)
    for value in (*args, *kwds.values()):
        if np.ndim(value) != 0:
            raise PriorError(
                f"parameter {name!r}: the distribution's arguments must be numbers; got an array "
                f"of shape {np.shape(value)}. Give each entry a name of its own, or use "
                "multivariate_normal or multivariate_t"
            )
    reason = UNSUITABLE.get(getattr(getattr(source, "dist", None), "name", ""))
    if reason:
        raise PriorError(f"{_where(name, source)}: {reason}")


def _centre(name: str, source: Frozen) -> float:
    """Zero, or a latent beside it, such that its value is usable."""
    for centre in (0.0, 1e-8):
        z = np.array([centre])
        if univariate.usable(source, z, univariate.quantile(source, z)).all():
            return centre
    raise PriorError(
        f"{_where(name, source)}: expected arguments in the range scipy.stats documents and a "
        f"median of finite density; got the median {source.ppf(0.5)} "
        f"with log density {source.logpdf(source.ppf(0.5))}"
    )


def _end(source: Frozen, centre: float, sign: float) -> float:
    """Latent furthest from the median such that all before it are usable."""
    z = sign * GRID
    z[0] = centre
    bad = ~univariate.usable(source, z, univariate.quantile(source, z))
    if not bad.any():
        return float(z[-1])
    first = int(np.argmax(bad))
    return univariate.reach(source, z[first - 1 : first], z[first : first + 1]).item()
