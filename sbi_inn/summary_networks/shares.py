"""How many entries of a set lie below fixed limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.typing import FloatArray

# Parts that the limits cut the entries of all sets into: of a mixture of three normal laws 16 told
# less, and 64 little more.
PARTS = 32
# Sets whose entries the limits are quantiles of.
POOLED = 500


@dataclass(frozen=True)
class Shares:
    """Shares of the entries of sets of single numbers below some limits.

    Where sets are much alike these change in proportion to the law that entries follow, and nearly
    nothing is lost. Where laws are far apart they are 0 or 1, and say little.

    Attributes
    ----------
    limits : mapping of str to array, shape (k,)
        By the name of the set: quantiles of the entries of many.

    Examples
    --------
    >>> from sbi_inn.observation.batch import Observations, PaddedSet
    >>> from sbi_inn.summary_networks.shares import Shares
    >>> two = PaddedSet(np.array([[[1.0], [2.0], [3.0], [4.0]]]), np.array([4]))
    >>> Shares({"n": np.array([1.5, 3.5])})(Observations(np.empty((1, 0)), {"n": two}))
    array([[0.25, 0.75]])
    """

    limits: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def fit(cls, observations: Observations, names: Iterable[str]) -> Shares:
        """Learn the limits for those of the named sets that are of single numbers."""
        sets = {name: observations.sets[name] for name in names}
        single = {name: one for name, one in sets.items() if one.values.shape[2] == 1}
        return cls({name: _limits(one) for name, one in single.items()})

    def __bool__(self) -> bool:
        return bool(self.limits)

    def __call__(self, observations: Observations) -> FloatArray:
        """Give them, shape (batch, ...)."""
        parts = [np.empty((len(observations), 0))]
        for name, limits in self.limits.items():
            parts.append(_below(observations.sets[name], limits))
        return np.hstack(parts)


def _limits(padded: PaddedSet) -> FloatArray:
    entries = padded.values[:POOLED][padded.mask[:POOLED]]
    levels = np.arange(1, PARTS) / PARTS
    return np.unique(np.nanquantile(entries, levels))


def _below(padded: PaddedSet, limits: FloatArray) -> FloatArray:
    """Give shares of the entries of each set at or below limits, shape (batch, limits)."""
    values = padded.values[:, :, 0]
    there = padded.mask & ~np.isnan(values)
    part = np.where(there, np.searchsorted(limits, values), len(limits))
    counts = np.zeros((len(values), len(limits) + 1))
    np.add.at(counts, (np.arange(len(values))[:, None], part), there)
    below = counts.cumsum(axis=1)[:, :-1]
    return below / np.maximum(there.sum(axis=1), 1)[:, None]
