"""Univariate scipy distributions in terms of a standard normal latent z: P(<= value) = Phi(z).

Every function takes arguments of shape (n,) and a frozen distribution whose own arguments are
scalars or have shape (n,). Below the median cdf and ppf are used and above it sf and isf, so that
both tails keep their relative accuracy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.integrate import IntegrationWarning
from scipy.special import ndtr, ndtri

from sbi_inn.prior.component import LATENT_MAX
from sbi_inn.prior.families import family
from sbi_inn.typing import BoolArray, FloatArray

ROUND_TRIP = 0.05
"""How far a latent may come back from its value before the latent counts as out of reach."""


class Frozen(Protocol):
    """What a univariate distribution has to offer: what frozen scipy distributions do.

    Those have `args`, `kwds` and `dist` besides, which is looked for where it helps.
    """

    def rvs(self, *, size: int, random_state: np.random.Generator) -> FloatArray: ...  # noqa: D102
    def logpdf(self, x: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def cdf(self, x: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def ppf(self, q: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def sf(self, x: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def isf(self, q: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def support(self) -> tuple[FloatArray, FloatArray]: ...  # noqa: D102


@contextmanager
def quietly() -> Iterator[None]:
    """Silence numpy and scipy where overflow at an extreme is expected and then dealt with."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.filterwarnings("ignore", category=IntegrationWarning)
        yield


def is_continuous(value: object) -> bool:
    """Whether an object can do what a continuous univariate distribution does."""
    return all(hasattr(value, a) for a in ("rvs", "logpdf", "cdf", "ppf", "sf", "isf", "support"))


def rows(frozen: Frozen, which: BoolArray) -> Frozen:
    """Return the same distribution with its array arguments cut to the rows chosen."""
    args, kwds = arguments(frozen)
    if not any(np.ndim(value) for value in (*args, *kwds.values())):
        return frozen

    def cut(value: npt.ArrayLike) -> npt.ArrayLike:
        return np.broadcast_to(value, which.shape)[which] if np.ndim(value) else value

    remake: Callable[..., Frozen] = getattr(frozen, "dist")  # noqa: B009
    return remake(*map(cut, args), **{key: cut(value) for key, value in kwds.items()})


def quantile(frozen: Frozen, z: FloatArray) -> FloatArray:
    """Return the values with P(<= value) = Phi(z)."""
    name = family(frozen)
    if name == "norm":
        location, scale = location_scale(frozen)
        return location + scale * z
    tail = ndtr(-np.abs(z))
    if name == "uniform":
        low, width = location_scale(frozen)
        return np.where(z < 0, low + width * tail, (low + width) - width * tail)
    upper = z > 0
    values = np.empty(z.shape)
    values[~upper] = rows(frozen, ~upper).ppf(tail[~upper])
    values[upper] = rows(frozen, upper).isf(tail[upper])
    return values


def latent(frozen: Frozen, values: FloatArray) -> FloatArray:
    """Return the latents z, held within the limit, with Phi(z) = P(<= value)."""
    name = family(frozen)
    if name == "norm":
        location, scale = location_scale(frozen)
        z = (values - location) / scale
    elif name == "uniform":
        low, width = location_scale(frozen)
        below, above = (values - low) / width, (low + width - values) / width
        z = ndtri(np.maximum(np.minimum(below, above), 0)) * np.where(below < above, 1, -1)
    else:
        probability = np.asarray(frozen.cdf(values), dtype=float)
        upper = probability > 0.5
        z = ndtri(probability)
        z[upper] = -ndtri(rows(frozen, upper).sf(values[upper]))
    return np.clip(z, -LATENT_MAX, LATENT_MAX)


def log_density(frozen: Frozen, values: FloatArray) -> FloatArray:
    """Return log densities: -inf outside the support, for nan, and for invalid arguments."""
    log_prob = np.asarray(frozen.logpdf(values), dtype=float)
    return np.where(np.isnan(log_prob), -np.inf, log_prob)


def usable(frozen: Frozen, z: FloatArray, values: FloatArray) -> BoolArray:
    """Whether values are strictly inside the support, of finite density, and map back to z."""
    low, high = frozen.support()
    inside = (low < values) & (values < high) & np.isfinite(log_density(frozen, values))
    return inside & (np.abs(latent(frozen, values) - z) < ROUND_TRIP)


def reach(frozen: Frozen, inner: FloatArray, outer: FloatArray) -> FloatArray:
    """Bisect between usable latents and ones that are not for the outermost usable ones.

    A latent is out of reach where float64, or scipy's quantile function, cannot resolve its value:
    uniform(0, 1) has no number between the quantile of z = 8.2 and 1 itself.
    """
    for _ in range(30):
        middle = (inner + outer) / 2
        good = usable(frozen, middle, quantile(frozen, middle))
        inner, outer = np.where(good, middle, inner), np.where(good, outer, middle)
    return inner


def location_scale(frozen: Frozen) -> tuple[FloatArray, FloatArray]:
    """Location and scale of a distribution without shape parameters."""
    args, kwds = arguments(frozen)
    given = dict(zip(("loc", "scale"), args, strict=False), **kwds)
    return np.asarray(given.get("loc", 0.0), float), np.asarray(given.get("scale", 1.0), float)


def arguments(frozen: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments that scipy's frozen distributions remember."""
    return getattr(frozen, "args", ()), getattr(frozen, "kwds", {})
