"""A parameter of a table of simulations whose prior was not stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior import univariate
from sbi_inn.prior.component import LATENT_MAX, Parents
from sbi_inn.prior.curve import Curve, normal_log_density
from sbi_inn.typing import FloatArray

LARGEST = 1e300
"""Largest value that is told from infinity: differences of two still fit in float64."""

BESIDE = 0.5
"""How far, in latents, beyond the values next to it a value on its bound is placed."""


@dataclass(frozen=True, eq=False)
class Tabulated:
    """A number or vector whose columns were read off a table, and are taken as independent.

    Each column is mapped to N(0, 1) by a smooth monotone curve through its quantiles, so that
    densities are normalised in the parameter's own units. Its density is that of the columns, one
    at a time: an approximation of what the rows were drawn from, which no result may rest on but
    through the map itself. Beyond the values of the table there are normal tails; within bounds
    they are those of the logarithm of the distance from a single bound, and of the normal score of
    the place between two.

    Attributes
    ----------
    curves : tuple of Curve
        One a column, of values that bounds have been taken from.
    shape : tuple of int
        () or (k,).
    support : (float, float)
        Bounds as declared, infinite where none are. They hold for every entry.
    """

    curves: tuple[Curve, ...]
    shape: tuple[int, ...]
    support: tuple[float, float]

    parents = ()

    @classmethod
    def fit(
        cls, name: str, values: npt.ArrayLike, bounds: tuple[float, float] = (-np.inf, np.inf)
    ) -> Tabulated:
        """Fit finite values, shape (rows,) or (rows, k).

        Raises
        ------
        PriorError
            If the bounds are no interval, values lie outside them, or all values are the same.

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> component = Tabulated.fit("fraction", rng.beta(2, 3, 5_000), (0, 1))
        >>> component.log_prob(np.array([0.25, 1.5]), {}).round(1)
        array([ 0.5, -inf])
        """
        array = np.asarray(values, float)
        low, high = float(bounds[0]), float(bounds[1])
        if not low < high:
            raise PriorError(f"parameter {name!r}: expected bounds (low, high); got {bounds!r}")
        outside = int(((array < low) | (array > high)).reshape(len(array), -1).any(axis=1).sum())
        if outside:
            raise PriorError(
                f"parameter {name!r}: {outside:,} of {len(array):,} rows lie outside its bounds "
                f"{low:g} to {high:g}; the table has {array.min():g} to {array.max():g}"
            )
        flat = array.reshape(len(array), -1)
        curves = tuple(_fit(name, column, (low, high)) for column in flat.T)
        return cls(curves, array.shape[1:], (low, high))

    @property
    def width(self) -> int:
        """One latent an entry."""
        return len(self.curves)

    @property
    def source(self) -> Tabulated:
        """What a prior is given: this itself."""
        return self

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, each column by itself, shape (n, *shape)."""
        return self.from_latent(rng.standard_normal((n, self.width)), parents)

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density of the columns, shape (n,)."""
        flat = values.reshape(len(values), -1)
        low, high = self.support
        total = np.zeros(len(flat))
        for i, curve in enumerate(self.curves):
            column = self._inside(flat[:, i], i)
            latents, log_slope = curve.forward(_unbound(column, self.support))
            total += normal_log_density(latents) + log_slope + _log_rate(column, self.support)
        fine = ((flat >= low) & (flat <= high) & np.isfinite(flat)).all(axis=1)
        return np.where(fine & np.isfinite(total), total, -np.inf)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values (n, *shape) to latents (n, width)."""
        flat = np.clip(values.reshape(len(values), -1), -LARGEST, LARGEST)
        latents = [
            curve.forward(_unbound(self._inside(flat[:, i], i), self.support))[0]
            for i, curve in enumerate(self.curves)
        ]
        return np.clip(np.stack(latents, axis=1), -LATENT_MAX, LATENT_MAX)

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, width) to values (n, *shape) strictly inside the bounds."""
        z = np.clip(latents, -LATENT_MAX, LATENT_MAX)
        values = np.empty(z.shape)
        for i, curve in enumerate(self.curves):
            values[:, i] = _bound(curve.inverse(z[:, i]), self.support)
        return values.reshape(-1, *self.shape)

    def config(self) -> dict[str, Any]:
        """Knots, latents and slopes of every column, and the bounds."""
        return {
            "kind": "table",
            "distribution": "columns",
            "args": [curve.to_lists() for curve in self.curves],
            "kwds": {"shape": list(self.shape), "bounds": list(self.support)},
        }

    @classmethod
    def from_config(cls, name: str, config: Mapping[str, Any]) -> Tabulated:
        """Read back what `config` gave.

        Raises
        ------
        LoadError
            If it is not of this form.
        """
        try:
            curves = tuple(Curve.from_lists(lists) for lists in config["args"])
            low, high = (float(bound) for bound in config["kwds"]["bounds"])
            shape = tuple(int(size) for size in config["kwds"]["shape"])
        except (KeyError, TypeError, ValueError) as error:
            raise LoadError(f"parameter {name!r}: its stored column is damaged: {error}") from error
        if not (low < high and len(shape) < 2 and len(curves) == int(np.prod(shape)) > 0):
            raise LoadError(
                f"parameter {name!r}: its stored column is damaged: {shape}, {low, high}"
            )
        return cls(curves, shape, (low, high))

    def describe(self) -> str:
        """Say where it comes from, and where most of it lies."""
        ends = self.from_latent(np.array([-1.0, 1.0])[:, None].repeat(self.width, 1), {})
        low, high = self.support
        within = "" if np.isinf([low, high]).all() else f", within {low:g} to {high:g}"
        return f"columns of a table, 68 % in {ends[0].min():.3g} to {ends[1].max():.3g}{within}"

    def _inside(self, column: FloatArray, i: int) -> FloatArray:
        """Place values on or beyond a bound beside it."""
        low, high = self.support
        column = np.where(column <= low, self._beside[i][0], column)
        return np.where(column >= high, self._beside[i][1], column)

    @cached_property
    def _beside(self) -> list[tuple[float, float]]:
        """What stands in for the bounds in each column."""
        found = []
        for curve in self.curves:
            ends = np.array([curve.latents[0] - BESIDE, curve.latents[-1] + BESIDE])
            low, high = _bound(curve.inverse(ends), self.support)
            found.append((float(low), float(high)))
        return found


def _fit(name: str, column: FloatArray, bounds: tuple[float, float]) -> Curve:
    low, high = bounds
    inside = column[(column > low) & (column < high)]
    if len(np.unique(inside)) < 2:
        raise PriorError(
            f"parameter {name!r} has the same value in all {len(column):,} rows"
            if len(np.unique(column)) < 2
            else f"parameter {name!r}: expected different values between its bounds "
            f"{low:g} and {high:g}; got {len(inside):,} rows between them"
        )
    try:
        return Curve.fit(
            _unbound(inside, bounds),
            before=int((column <= low).sum()),
            after=int((column >= high).sum()),
        )
    except ValueError as error:
        raise PriorError(f"parameter {name!r}: {error}") from error


def _between(low: float, high: float) -> Any:
    return st.uniform(low, high - low)


def _unbound(values: FloatArray, bounds: tuple[float, float]) -> FloatArray:
    """Map what lies between bounds to the line."""
    low, high = bounds
    if np.isfinite(low) and np.isfinite(high):
        return univariate.latent(_between(low, high), values)
    if np.isfinite(low):
        return np.log(values - low)
    return -np.log(high - values) if np.isfinite(high) else values


def _bound(line: FloatArray, bounds: tuple[float, float]) -> FloatArray:
    """Map the line to what lies strictly between bounds; the inverse of `_unbound`."""
    low, high = bounds
    if np.isfinite(low) and np.isfinite(high):
        values = univariate.quantile(_between(low, high), line)
    elif np.isfinite(low):
        values = low + np.exp(line)
    elif np.isfinite(high):
        values = high - np.exp(-line)
    else:
        values = line
    return np.clip(values, max(-LARGEST, _next(low, 1)), min(LARGEST, _next(high, -1)))


def _next(bound: float, sign: int) -> float:
    return float(np.nextafter(bound, sign * np.inf)) if np.isfinite(bound) else bound


def _log_rate(values: FloatArray, bounds: tuple[float, float]) -> FloatArray:
    """Log of the slope of `_unbound`."""
    low, high = bounds
    if np.isfinite(low) and np.isfinite(high):
        score = univariate.latent(_between(low, high), values)
        return -np.log(high - low) - normal_log_density(score)
    if np.isfinite(low):
        return -np.log(values - low)
    return -np.log(high - values) if np.isfinite(high) else np.zeros(values.shape)
