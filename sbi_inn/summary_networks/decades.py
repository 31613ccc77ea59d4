"""Observables that are read by their logarithms, as a physicist would plot them.

A concentration after some hours, the number of hares, a count of photons under a prior that spans
decades: on a linear scale most of the simulations crowd at zero, and noise that multiplies looks
small or huge by where the curve is. Among logarithms noise is about as large everywhere, and what
grows or decays is straight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.scores import ALIKE, alike_normal
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# Rows that are looked at to see what law an observable follows.
LOOKED_AT = 2_000


@dataclass(frozen=True)
class Decades:
    """Which features are read by the logarithm of `max(value, least) + added`.

    Attributes
    ----------
    features : array of int, shape (k,)
        Of `Observations.vector`.
    least : array, shape (k,)
        The smallest value that training has seen: what is negative later is no error.
    added : array, shape (k,)
        Zero; or, where training has seen zeros, the smallest value above: of counts, one.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.observation.batch import Observations
    >>> from sbi_inn.summary_networks.decades import Decades
    >>> rng = np.random.default_rng(1)
    >>> values = np.stack([rng.lognormal(0, 3, 500), rng.normal(5, 1, 500)], axis=1)
    >>> seen = Observations(values, {})
    >>> decades = Decades.fit(seen)
    >>> decades.features, decades(seen).vector.std(axis=0).round()
    (array([0]), array([3., 1.]))
    """

    features: IntArray
    least: FloatArray
    added: FloatArray

    @classmethod
    def fit(cls, observations: Observations) -> Decades:
        """Choose the observables that are never negative, and closer to normal by logarithms."""
        vector = observations.vector
        chosen = [at for at in _observables(observations) if _spans_decades(vector[:, at])]
        features = np.concatenate([np.empty(0, np.int64), *chosen])
        if not len(features):
            return cls.none()
        least, added = np.concatenate([_limits(vector[:, at]) for at in chosen], axis=1)
        return cls(features, least, added)

    @classmethod
    def none(cls) -> Decades:
        """Read everything as it is."""
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0))

    def __call__(self, observations: Observations) -> Observations:
        """Take the logarithms; what is missing stays so."""
        if not len(self.features):
            return observations
        vector = observations.vector.copy()
        told = np.maximum(vector[:, self.features], self.least) + self.added
        vector[:, self.features] = np.log(told)
        return replace(observations, vector=vector)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return vars(self).copy()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Decades:
        """Read back what `to_arrays` gave; older files have none."""
        return cls(*(arrays[f.name] for f in fields(cls))) if arrays else cls.none()


def _observables(observations: Observations) -> Iterator[IntArray]:
    """Give the places of each observable and given: one kind of number each, images left out."""
    schema, width = observations.schema, observations.vector.shape[1]
    if schema is None:
        yield from np.arange(width)[:, None]
        return
    start = 0
    for name in schema.fixed:
        places = np.arange(start, start + math.prod(schema.shape(name)))
        start += len(places)
        if name not in schema.images:
            yield places
    yield from np.arange(start, width)[:, None]


def _spans_decades(values: FloatArray) -> bool:
    """Whether most columns of an observable (rows, k) are closer to normal by their logarithms."""
    if not (np.isnan(values) | (values >= 0)).all() or not (values > 0).any():
        return False
    least, added = _limits(values)
    some = values[:LOOKED_AT]
    raw, logs = alike_normal(some), alike_normal(np.log(np.maximum(some, least) + added))
    return bool(2 * np.sum((raw < ALIKE) & (logs > raw)) > values.shape[1])


def _limits(values: FloatArray) -> FloatArray:
    """Smallest value and smallest positive one of an observable (rows, k); shape (2, k) each."""
    smallest = np.nanmin(values)
    above = np.nanmin(np.where(values > 0, values, np.nan), initial=np.inf)
    limits = (smallest, 0.0) if smallest > 0 else (0.0, above)
    return np.repeat(np.array(limits)[:, None], values.shape[1], axis=1)
