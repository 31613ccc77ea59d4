"""The parameters of a prior together: one map to N(0, I), and one density, of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import Component
from sbi_inn.prior.discrete import Discrete
from sbi_inn.prior.univariate import quietly
from sbi_inn.typing import FloatArray

WHOLE: Any = np.int64
"""Type of discrete parameters."""

Values = Mapping[str, FloatArray]


class Joint:
    """Components in order, each given the values of those before it.

    Attributes
    ----------
    components : dict of str to Component
    discrete : tuple of str
        Those that take whole numbers.
    shapes : dict of str to tuple of int
        Of one draw of each.
    columns : dict of str to list of str
        The scalars of each: "elbow", "theta[0]", "theta[1]" for a vector, "sky[3,17]" for a map.
    flat, latent : dict of str to slice
        Where its scalars, and its latents, stand side by side with those of the others.
    """

    def __init__(self, components: Mapping[str, Component]) -> None:
        self.components = dict(components)
        self.discrete = tuple(self._discrete)
        self.shapes = {name: c.shape for name, c in self.components.items()}
        self.columns = {name: _columns(name, shape) for name, shape in self.shapes.items()}
        self.flat = _slices({name: len(columns) for name, columns in self.columns.items()})
        self.latent = _slices({name: c.width for name, c in self.components.items()})
        self._needed = {name for c in self.components.values() for name in c.parents}

    @property
    def cells(self) -> dict[int, FloatArray]:
        """Ends of the cells that values of discrete parameters own, by the latent's place."""
        return {self.latent[n].start: c.edges for n, c in self._discrete.items()}

    @property
    def cuts(self) -> dict[int, tuple[float, ...]]:
        """Where these cells meet, of the parameters of few values."""
        return {self.latent[n].start: c.cuts for n, c in self._discrete.items() if c.cuts}

    @property
    def _discrete(self) -> dict[str, Discrete]:
        return {n: c for n, c in self.components.items() if isinstance(c, Discrete)}

    def places(self, within: npt.ArrayLike | None) -> FloatArray:
        """Check places of discrete parameters within their cells, shape (n or 1, discrete).

        Raises
        ------
        PriorError
            For another shape, and for values that are no shares.
        """
        k = len(self.discrete)
        if within is None:
            return np.full((1, k), 0.5)
        places = np.asarray(within, dtype=float)
        if places.ndim != 2 or places.shape[1] != k or not ((places >= 0) & (places <= 1)).all():
            raise PriorError(
                f"within must have shape (n, {k}), one column for each discrete parameter, with "
                f"values from 0 to 1; got {places.shape}"
            )
        return places

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw n rows."""
        return self._each(lambda _, component, draws: component.sample(n, rng, draws))

    def from_latent(self, latents: FloatArray) -> dict[str, FloatArray]:
        """Map latents (n, latent_dim) to values."""
        return self._each(
            lambda name, c, draws: c.from_latent(latents[:, self.latent[name]], draws)
        )

    def log_density(self, latents: FloatArray) -> FloatArray:
        """Log density of N(0, I) at latents (n, latent_dim), shape (n,)."""
        return -0.5 * (latents**2).sum(axis=1) - 0.5 * latents.shape[1] * np.log(2 * np.pi)

    def log_prob(self, values: Values, n: int) -> FloatArray:
        """Log density of n rows: -inf outside the support."""
        total, inside = np.zeros(n), np.ones(n, dtype=bool)

        def add(name: str, component: Component, parents: Values) -> FloatArray:
            nonlocal total, inside
            log_prob = component.log_prob(values[name], parents)
            total, inside = total + log_prob, inside & (log_prob > -np.inf)
            return _as_parent(component, values[name], log_prob, parents)

        self._each(add)
        return np.where(inside, total, -np.inf)

    def to_latent(self, values: Values, n: int, within: FloatArray) -> FloatArray:
        """Map n rows to latents; discrete ones to places (n or 1, discrete) within their pieces.

        Raises
        ------
        PriorError
            For nan.
        """
        latents = np.empty((n, sum(c.width for c in self.components.values())))
        places = dict(zip(self.discrete, within.T, strict=True))

        def put(name: str, component: Component, parents: Values) -> FloatArray:
            if np.isnan(values[name]).any():
                raise PriorError(f"parameter {name!r}: nan has no latent")
            where = [places[name]] if name in places else []
            latents[:, self.latent[name]] = component.to_latent(values[name], parents, *where)
            if name not in self._needed:
                return values[name]
            log_prob = component.log_prob(values[name], parents)
            return _as_parent(component, values[name], log_prob, parents)

        self._each(put)
        return latents

    def _each(
        self, function: Callable[[str, Component, Values], FloatArray]
    ) -> dict[str, FloatArray]:
        """Call a function with each component and the values of those before it."""
        found: dict[str, FloatArray] = {}
        with quietly():
            for name, component in self.components.items():
                found[name] = function(name, component, found)
        return found


def _as_parent(
    component: Component, values: FloatArray, log_prob: FloatArray, parents: Values
) -> FloatArray:
    """Values for later functions, medians where the support was left: they may rely on it."""
    outside = log_prob == -np.inf
    if isinstance(component, Discrete) and not outside.any():
        return values.astype(WHOLE)  # as draws have it: a function may look into a list
    if not outside.any():
        return values
    medians = component.from_latent(np.zeros((len(values), component.width)), parents)
    inside = np.where(outside.reshape(-1, *[1] * (values.ndim - 1)), medians, values)
    return inside.astype(medians.dtype)


def _columns(name: str, shape: tuple[int, ...]) -> list[str]:
    """Name the scalars of a parameter."""
    if not shape:
        return [name]
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(shape)]


def _slices(widths: Mapping[str, int]) -> dict[str, slice]:
    """Give the place of each, where they stand side by side."""
    ends = dict(zip(widths, itertools.accumulate(widths.values()), strict=True))
    return {name: slice(ends[name] - width, ends[name]) for name, width in widths.items()}
