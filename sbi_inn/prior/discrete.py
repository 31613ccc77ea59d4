"""A parameter that takes whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import rv_discrete

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import LATENT_MAX, Parents
from sbi_inn.prior.continuous import check_arguments, describe
from sbi_inn.prior.families import discrete_config, listed
from sbi_inn.typing import AnyArray, FloatArray

Whole = AnyArray  # of int64

MOST = 200_000
"""Values that a table holds: enough for poisson(1e8), or geom(1e-4)."""

TAILS = (float(ndtr(-LATENT_MAX)), 1e-9)
"""What may lie beyond either end of the table: first choice, and second."""

RARE = 1e-4
"""Probability of all the rarest values at either end, which networks take for one."""

MOST_PIECES = 50
"""Values that networks learn a probability for, each by itself; more of them are nearly smooth."""

ROUNDING = 1e-6
"""What scipy's probabilities, added up, may miss."""

MODE_STEPS = 1_000
"""Places at which the most probable number is looked for, and then again around the best."""

MODE_ROUNDS = 20
"""Times: each narrows it down by some hundreds."""

LARGEST = 2**53
"""Whole numbers up to here are told apart by float64."""


class Mass(Protocol):
    """What frozen discrete distributions of scipy offer."""

    def pmf(self, k: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def logpmf(self, k: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def cdf(self, k: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def sf(self, k: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def ppf(self, q: npt.ArrayLike, /) -> FloatArray: ...  # noqa: D102
    def support(self) -> tuple[Any, Any]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Discrete:
    """A scalar parameter of whole numbers: each owns a cell of the latent axis.

    The cell of k are the latents z with cdf(k - 1) < Phi(z) <= cdf(k). From a latent to its number
    there is one way; back, the number goes to any place in its cell, at random in training
    (dequantisation), so that its latent is standard normal.

    Attributes
    ----------
    source : frozen distribution
    atoms : array of int, shape (m,)
        The numbers in use, rising. Those beyond, of probability 1e-9 at most, are taken for the
        nearest of them.
    mass, below, above : array, shape (m,)
        Probability of each, of all before it and of all after it.
    edges : array, shape (m + 1,)
        Ends of the cells, from -infinity to infinity.
    """

    source: Mass
    atoms: Whole
    mass: FloatArray
    below: FloatArray
    above: FloatArray
    edges: FloatArray

    shape = ()
    width = 1
    parents = ()

    @classmethod
    def of(cls, name: str, source: Mass) -> Discrete:
        """Check a frozen distribution and tabulate it.

        Raises
        ------
        PriorError
            If its arguments are arrays or out of range, its values are no whole numbers, or there
            are fewer than two or more than 200,000 of them.
        """
        check_arguments(name, source)
        where = f"parameter {name!r}, {_describe(source)}"
        atoms, mass = _table(where, source)
        atoms, mass = atoms[mass > 0], mass[mass > 0]
        if not abs(mass.sum() - 1) <= ROUNDING:
            raise PriorError(
                f"{where}: expected arguments in the range scipy.stats documents; got "
                f"probabilities with sum {mass.sum():g}"
            )
        before, after = np.cumsum(mass), np.cumsum(mass[::-1])[::-1]
        inner = np.where(before[:-1] < 0.5, ndtri(before[:-1]), -ndtri(after[1:]))
        inner = np.clip(inner, -LATENT_MAX, LATENT_MAX)
        edges = np.concatenate([[-LATENT_MAX], inner, [LATENT_MAX]])
        kept = np.diff(edges) > 0  # float64 cannot tell the others from their neighbours
        if kept.sum() < 2:
            raise PriorError(f"{where}: expected at least two values; got {atoms[kept].tolist()}")
        below, above = np.append(0.0, before[:-1]), np.append(after[1:], 0.0)
        edges = np.concatenate([[-np.inf], edges[:-1][kept][1:], [np.inf]])
        return cls(source, atoms[kept], mass[kept], below[kept], above[kept], edges)

    @property
    def support(self) -> tuple[float, float]:
        """Lowest and highest value, both included."""
        low, high = self.source.support()
        return float(low), float(high)

    @property
    def cuts(self) -> tuple[float, ...]:
        """Where the cells of all but the rarest values meet; empty if there are too many."""
        rare = (self.below[1:] < RARE) | (self.above[:-1] < RARE)
        cuts = tuple(self.edges[1:-1][~rare].tolist())
        return cuts if len(cuts) < MOST_PIECES else ()

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> Whole:
        """Draw n values, shape (n,)."""
        return self.from_latent(rng.standard_normal((n, 1)), parents)

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log probability, shape (n,): -inf for what is no whole number."""
        if listed(self.source) is not None:  # scipy compares every value with every listed one
            i = np.minimum(np.searchsorted(self.atoms, values), len(self.atoms) - 1)
            return np.where(self.atoms[i] == values, np.log(self.mass[i]), -np.inf)
        log_prob = np.asarray(self.source.logpmf(values), dtype=float)
        return np.where(np.isnan(log_prob), -np.inf, log_prob)

    def to_latent(
        self, values: FloatArray, parents: Parents, within: float | FloatArray = 0.5
    ) -> FloatArray:
        """Map values (n,) to latents (n, 1), at a place between 0 and 1 within their cells."""
        i = np.minimum(np.searchsorted(self.atoms, values), len(self.atoms) - 1)
        before = self.below[i] + within * self.mass[i]
        after = self.above[i] + (1 - within) * self.mass[i]
        z = np.where(before < after, ndtri(before), -ndtri(after))
        # Rounding must not take it over the edge: the lower one belongs to the cell before.
        z = np.clip(z, np.nextafter(self.edges[i], np.inf), self.edges[i + 1])
        return np.clip(z, -LATENT_MAX, LATENT_MAX)[:, None]

    def from_latent(self, latents: FloatArray, parents: Parents) -> Whole:
        """Map latents (n, 1) to values (n,)."""
        return self.atoms[np.searchsorted(self.edges[1:-1], latents[:, 0])]

    def config(self) -> dict[str, Any] | None:
        """Public scipy name and arguments; None for a distribution that is not scipy's own."""
        return discrete_config(self.source)

    def describe(self) -> str:
        """Name and arguments as one would type them; of listed values, how many."""
        return _describe(self.source)


def _describe(source: object) -> str:
    values = listed(source)
    return describe(source) if values is None else f"rv_discrete of {len(values[0])} values"


def is_discrete(value: object) -> bool:
    """Whether an object can do what a discrete univariate distribution does."""
    return all(hasattr(value, a) for a in ("pmf", "logpmf", "cdf", "sf", "ppf", "support"))


def _table(where: str, source: Mass) -> tuple[Whole, FloatArray]:
    """List every number that the table might hold, rising, and its probability."""
    values = listed(source)
    if values is not None:
        return _whole(where, values[0]), np.asarray(values[1], dtype=float)
    low, high = (float(end) for end in source.support())
    if not low <= high:
        raise PriorError(
            f"{where}: expected arguments in the range scipy.stats documents; got the support "
            f"from {low:g} to {high:g}"
        )
    if high - low >= MOST:
        reach = _summed_reach if _sums(source) else _reach
        low, high = reach(where, source, low, high)
    atoms = _whole(where, low + np.arange(high - low + 1))
    return atoms, np.asarray(source.pmf(atoms), dtype=float)


def _whole(where: str, values: FloatArray) -> Whole:
    if not (np.abs(values) < LARGEST).all() or (values != np.rint(values)).any():
        raise PriorError(
            f"{where}: expected whole numbers below 2**53, such as places in a list that the "
            f"simulator holds; got {values[0]:g}, ..., {values[-1]:g}"
        )
    return np.rint(values).astype(np.int64)


def _reach(where: str, source: Mass, low: float, high: float) -> tuple[float, float]:
    """Find the ends between which nearly all of a wide distribution lies."""
    centre = float(source.ppf(0.5))
    for tail in TAILS:
        down = _steps(lambda k: source.cdf(centre - k - 1), min(centre - low, MOST), tail)
        up = _steps(lambda k: source.sf(centre + k), min(high - centre, MOST), tail)
        if down is not None and up is not None and down + up < MOST:
            return centre - down, centre + up
    raise _too_many(where)


def _too_many(where: str) -> PriorError:
    return PriorError(
        f"{where}: needs more than {MOST:,} values; take a continuous distribution, and round it "
        "in the simulator"
    )


def _sums(source: Mass) -> bool:
    """Whether scipy adds up every probability below a number to give its distribution function.

    Far out that takes minutes and gigabytes.
    """
    found = getattr(type(getattr(source, "dist", None)), "_cdf", None)
    return found is rv_discrete._cdf


def _summed_reach(where: str, source: Mass, low: float, high: float) -> tuple[float, float]:
    """Find those ends from the probabilities around the most probable number alone."""
    mode = _mode(source, low, high)
    atoms = np.arange(max(low, mode - MOST), min(high, mode + MOST) + 1)
    mass = np.asarray(source.pmf(atoms), dtype=float)
    before, after = np.cumsum(mass), np.cumsum(mass[::-1])[::-1]
    # What lies outside the window, where probabilities fall off like a power or faster.
    beyond = MOST * max(0 if atoms[0] == low else mass[0], 0 if atoms[-1] == high else mass[-1])
    for tail in TAILS:
        kept = (before > tail) & (after > tail)
        if beyond <= tail and abs(before[-1] - 1) <= ROUNDING and kept.sum() < MOST:
            return float(atoms[kept][0]), float(atoms[kept][-1])
    raise _too_many(where)


def _mode(source: Mass, low: float, high: float) -> float:
    """Find the most probable number of a distribution that has one peak or falls off inwards."""
    if not np.isfinite(low):
        low = min(-float(LARGEST), high)
    span = min(high, float(LARGEST)) - low
    steps = np.rint(np.geomspace(1, max(span, 1), MODE_STEPS))
    places = np.unique(np.concatenate([[low], low + steps, low + span - steps]))
    for _ in range(MODE_ROUNDS):
        best = int(np.nanargmax(np.asarray(source.logpmf(places), dtype=float)))
        ends = places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)]
        if ends[1] - ends[0] <= MODE_STEPS:
            break
        places = np.unique(np.rint(np.linspace(*ends, MODE_STEPS)))
    return float(places[best])


def _steps(beyond: Callable[[float], FloatArray], most: float, tail: float) -> float | None:
    """Count the steps after which at most `tail` lies beyond; None if `most` are too few."""
    if not beyond(most) <= tail:
        return None
    inner, outer = -1.0, most
    while outer - inner > 1:
        middle = np.floor((inner + outer) / 2)
        inner, outer = (inner, middle) if beyond(middle) <= tail else (middle, outer)
    return outer
