"""Ask some networks where posteriors are narrow, and others where they are wide.

A learned likelihood is sharp where data tell much, and may be worse than other networks where they
tell little, such as where every count is zero. Whichever is likelier on average over the prior is
then the wrong one at many observations; and both mixed make narrow posteriors too wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from scipy.linalg import block_diag

from sbi_inn.methods.ensemble.training import Member, by_kind, density_of, mixed, stacked, weighed
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.typing import AnyArray, BoolArray, FloatArray

# Quantiles of the volumes of posteriors at which narrow and wide ones may be parted.
LIMITS = (0.02, 0.05, *np.linspace(0.1, 0.9, 17), 0.95, 0.98)
# Nats that parting them has to bring on average, and how many of its standard errors.
WORTH, SURE = 0.005, 2.5
# Nats that one row may say for or against it: some far tails are not to decide for all others.
MOST = 5.0


@runtime_checkable
class Measurer(Protocol):
    """A trained method that says how narrow a posterior is without drawing from it."""

    def log_volume(self, observations: Observations) -> FloatArray:
        """Give the log volume of each posterior, up to a constant of all, shape (batch,)."""
        ...


@dataclass(frozen=True)
class Sides:
    """Which networks are asked at an observation, by how narrow its posterior is.

    Attributes
    ----------
    judges : tuple of int
        The members whose log volumes of the posterior are averaged.
    limit : float
        What parts narrow posteriors from wide ones, in nats.
    weights : array, shape (2, members)
        Of the members where posteriors are narrow, and where they are wide.
    """

    judges: tuple[int, ...]
    limit: float
    weights: FloatArray

    def at(self, members: Sequence[Any], observations: Observations) -> FloatArray:
        """Give the weights of the members at each observation, shape (observations, members)."""
        volumes = [members[place].log_volume(observations) for place in self.judges]
        return self.weights[(np.mean(volumes, axis=0) > self.limit).astype(np.intp)]

    def asked(self) -> list[str]:
        """Say of each member where it is asked."""
        return ["narrow" if narrow > 0 else "wide" for narrow in self.weights[0]]

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give what files keep."""
        limit = np.array([self.limit])
        return {"judges": np.array(self.judges), "limit": limit, "sides": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray], members: int) -> Self | None:
        """Read back what `to_arrays` gave; None where weights are the same at all observations.

        Raises
        ------
        ValueError
            If it does not fit as many members.
        """
        if "sides" not in arrays:
            return None
        judges, limit, weights = (arrays[name] for name in ("judges", "limit", "sides"))
        fits = judges.shape == (2,) and limit.shape == (1,) and weights.shape == (2, members)
        known = fits and np.isin(judges, np.arange(members)).all() and np.isfinite(limit).all()
        if not known or not (weights >= 0).all() or not np.allclose(weights.sum(axis=1), 1.0):
            raise ValueError(f"sides of {members} members: {judges}, {limit}, {weights}")
        return cls(tuple(map(int, judges)), float(limit[0]), np.asarray(weights, float))


def parted(
    members: list[Member], data: TrainingData
) -> tuple[list[Member], FloatArray, Sides | None]:
    """Choose the networks that are mixed, their weights on average, and where each is asked.

    Networks of one kind are asked everywhere, unless those of another surely make validation rows
    likelier on one side.
    """
    best, weights = weighed(members)
    kinds = [mixed(kind) for kind in by_kind(members)]
    if len(kinds) < 2 or not all(isinstance(one.fitted, Measurer) for one in members):
        return best, weights, None
    seen = data.observations[data.validation]
    judges = [int(shares.argmax()) for _, shares in kinds]
    heaviest: list[Any] = [kept[i].fitted for i, (kept, _) in zip(judges, kinds, strict=True)]
    volume = np.stack([one.log_volume(seen) for one in heaviest])
    alone = next(place for place, (kept, _) in enumerate(kinds) if kept[0] is best[0])
    found = _parting(np.stack([density_of(*kind) for kind in kinds]), alone, volume)
    if found is None:
        return best, weights, None
    limit, *asked = found
    wide = volume[asked].mean(axis=0) > limit
    narrow, broad = (kinds[kind][0] for kind in asked)
    places = judges[asked[0]], len(narrow) + judges[asked[1]]
    sides = Sides(places, limit, _each([narrow, broad], wide))
    return narrow + broad, np.array([np.mean(~wide), np.mean(wide)]) @ sides.weights, sides


def _parting(density: FloatArray, alone: int, volume: FloatArray) -> tuple[float, int, int] | None:
    """Find the limit that makes rows likeliest, and the kinds asked below and above it.

    None if no limit is surely better than the kind that would be asked alone.

    Parameters
    ----------
    density : array, shape (kinds, rows)
    alone : int
    volume : array, shape (kinds, rows)
    """
    more = np.nan_to_num(density - density[alone], nan=0.0).clip(-MOST, MOST)
    best, found = np.zeros(density.shape[1]), None
    for narrow, wide in permutations(range(len(density)), 2):
        both = volume[[narrow, wide]].mean(axis=0)
        for limit in np.quantile(both, LIMITS):
            gain = np.where(both > limit, more[wide], more[narrow])
            if gain.mean() > best.mean():
                best, found = gain, (float(limit), narrow, wide)
    least = max(WORTH, SURE * best.std() / len(best) ** 0.5)
    return found if best.mean() > least else None


def _each(asked: list[list[Member]], wide: BoolArray) -> FloatArray:
    """Weigh those that are asked where posteriors are narrow, and the others where wide."""
    rows = [np.stack([one.log_density[wide == side] for one in asked[side]]) for side in (0, 1)]
    weights: FloatArray = block_diag(*map(stacked, rows))
    return weights
