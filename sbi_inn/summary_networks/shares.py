"""How many entries of a set lie below fixed limits, and between them."""

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
    counted : bool
        Whether entries between limits are counted; they are not in older files. Given the
        parameters, such counts are next to independent, with Poisson laws: their likelihood is
        nearly that of the entries (Baker & Cousins 1984, doi:10.1016/0167-5087(84)90016-4).

    Examples
    --------
    >>> from sbi_inn.observation.batch import Observations, PaddedSet
    >>> from sbi_inn.summary_networks.shares import Shares
    >>> two = PaddedSet(np.array([[[1.0], [2.0], [3.0], [4.0]]]), np.array([4]))
    >>> seen, limits = Observations(np.empty((1, 0)), {"n": two}), {"n": np.array([1.5, 3.5])}
    >>> Shares(limits)(seen)
    array([[0.25, 0.75]])
    >>> np.expm1(Shares(limits, counted=True).counts(seen))
    array([[1., 2., 1.]])
    """

    limits: Mapping[str, FloatArray] = field(default_factory=dict)
    counted: bool = False

    @classmethod
    def fit(cls, observations: Observations, names: Iterable[str]) -> Shares:
        """Learn the limits for those of the named sets that are of single numbers.

        Entries are counted if there are no other sets.
        """
        sets = {name: observations.sets[name] for name in names}
        single = {name: one for name, one in sets.items() if one.values.shape[2] == 1}
        limits = {name: _limits(one) for name, one in single.items()}
        return cls(limits, bool(limits) and set(limits) == set(observations.sets))

    def __bool__(self) -> bool:
        return bool(self.limits)

    def __call__(self, observations: Observations) -> FloatArray:
        """Give them, shape (batch, ...)."""
        parts = [np.empty((len(observations), 0))]
        for name, limits in self.limits.items():
            counts = _between(observations.sets[name], limits)
            below = counts.cumsum(axis=1)[:, :-1]
            parts.append(below / np.maximum(counts.sum(axis=1), 1)[:, None])
        return np.hstack(parts)

    @property
    def width(self) -> int:
        """How many counts there are."""
        return sum(len(limits) + 1 for limits in self.limits.values()) if self.counted else 0

    def counts(self, observations: Observations) -> FloatArray:
        """Give log(1 + n) of the n entries between two limits, shape (batch, width)."""
        parts = [np.empty((len(observations), 0))]
        for name, limits in self.limits.items() if self.counted else ():
            parts.append(np.log1p(_between(observations.sets[name], limits)))
        return np.hstack(parts)


def _limits(padded: PaddedSet) -> FloatArray:
    entries = padded.values[:POOLED][padded.mask[:POOLED]]
    levels = np.arange(1, PARTS) / PARTS
    return np.unique(np.nanquantile(entries, levels))


def _between(padded: PaddedSet, limits: FloatArray) -> FloatArray:
    """Count the entries of each set up to the first limit, between limits, and above the last."""
    values = padded.values[:, :, 0]
    there = padded.mask & ~np.isnan(values)
    part = np.where(there, np.searchsorted(limits, values), len(limits))
    counts = np.zeros((len(values), len(limits) + 1))
    np.add.at(counts, (np.arange(len(values))[:, None], part), there)
    return counts
