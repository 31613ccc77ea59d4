"""The parameters of those simulations whose pattern is the observation's, whatever its strength.

How high a curve lies and how strong it is often depend on parameters of their own: the velocities
of a star on its own velocity, and on the mass of its planet. Set these aside, and a few of some
thousand simulations have the very pattern of the observation, where none looks like it as a whole.
What only patterns tell, such as a period, is then known to a small part of its prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import mostly_two_valued
from sbi_inn.summary_networks.columns import named, prefixed
from sbi_inn.summary_networks.neighbours import keys_of
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# Entries of an observable from which on it may have a pattern, and up to which it is kept.
FEWEST, MOST = 8, 256
# Simulations that are kept to look among, and numbers of them.
MOST_KEPT, MOST_NUMBERS = 20_000, 2_000_000
# Simulations of the likeliest patterns that are asked.
ASKED = 64
# By which the log-likelihoods of these are divided: as it is, and where noise is not white.
DIVIDED = (1.0, 4.0)
# Spread of these, in those of the prior, that is added before its logarithm is taken.
SMALLEST = 0.003
# Simulations that what is said of them is compared with, and parts of these, by how likely their
# best is.
COMPARED, PARTS = 4_000, 16
# Squared error, of latents, that is added before its logarithm is taken.
SMALLEST_ERROR = 1e-6
# Largest correlation of two patterns, beyond which rounding decides.
LARGEST = 1 - 1e-6
# Observations that are looked up at once.
AT_ONCE = 500
# How names of arrays begin in files.
PLACES, ROWS, BELIEF = "places:", "rows:", "belief:"


class Said(NamedTuple):
    """What the likeliest simulations say of observations.

    Attributes
    ----------
    means, spreads : Tensor, shape (batch, DIVIDED, dim)
        Of their parameters, weighed by what they are likely; spreads as logarithms.
    best : Tensor, shape (batch,)
        Root of the log-likelihood of the best.
    """

    means: Tensor
    spreads: Tensor
    best: Tensor


@dataclass(frozen=True)
class Patterns:
    """Means and spreads of the parameters of simulations with the same patterns.

    The log-likelihood of a simulation is that of normal noise about its pattern at the best height,
    strength and width: -(n - 2) / 2 log(1 - r^2) for n entries that correlate by r with those of
    the observation, and 0 where r is negative. A simulation with the same entries is left out, as
    in `Neighbours`. An observation like none of them has a best one, too: how far that is to be
    believed is learned from what others say of the simulations.

    Attributes
    ----------
    places : mapping of str to array of int, shape (entries,)
        Places of each observable that has a pattern in `Observations.vector`.
    rows : mapping of str to array of float32, shape (simulations, entries)
        Patterns of simulations: entries without their mean, divided by their norm.
    keys : array of uint64, shape (simulations,)
        A number for each of these.
    latents : array of float32, shape (simulations, dim)
        Their parameters, on the latent side of the prior.
    belief : Belief
    """

    places: Mapping[str, IntArray]
    rows: Mapping[str, npt.NDArray[np.float32]]
    keys: npt.NDArray[np.uint64]
    latents: npt.NDArray[np.float32]
    belief: Belief

    @classmethod
    def fit(cls, observations: Observations, latents: FloatArray) -> Patterns | None:
        """Keep rows to look among; None where nothing has a pattern."""
        places = _places(observations)
        if not places:
            return None
        entries = sum(map(len, places.values()))
        kept = min(len(observations), MOST_KEPT, MOST_NUMBERS // entries)
        some = observations[:kept]
        rows = {name: _pattern(some.vector[:, place]) for name, place in places.items()}
        keys, truth = _keys(some, places), latents[:kept].astype(np.float32)
        unsure = cls(places, rows, keys, truth, Belief.none())
        belief = Belief.fit(unsure.ask(some[:COMPARED]), torch.from_numpy(truth[:COMPARED]))
        return replace(unsure, belief=belief)

    @property
    def width(self) -> int:
        """How many numbers it gives."""
        return 3 * len(DIVIDED) * self.latents.shape[1] + 1

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give them for observations, shape (batch, width)."""
        said = self.ask(observations)
        believed, errors = self.belief(said)
        told = [part.flatten(1) for part in (believed, errors, said.spreads)]
        return torch.cat([*told, said.best[:, None]], dim=1).numpy()

    def ask(self, observations: Observations) -> Said:
        """Ask the simulations whose patterns are likeliest for their parameters."""
        latents = torch.from_numpy(self.latents)
        kept = [torch.from_numpy(rows) for rows in self.rows.values()]
        mine = [torch.from_numpy(_pattern(observations.vector[:, p])) for p in self.places.values()]
        keys, found = _keys(observations, self.places)[:, None], []
        for start in range(0, len(keys), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            likely = torch.zeros(len(keys[part]), len(latents))
            for x, y in zip(mine, kept, strict=True):
                likely += _log_likelihood(x[part], y)
            likely.masked_fill_(torch.from_numpy(keys[part] == self.keys), -1.0)
            found.append(_asked(likely, latents))
        return Said(*map(torch.cat, zip(*found, strict=True)))

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        found: dict[str, AnyArray] = {"keys": self.keys, "latents": self.latents}
        found |= prefixed(BELIEF, {name: part.numpy() for name, part in vars(self.belief).items()})
        return found | prefixed(PLACES, self.places) | prefixed(ROWS, self.rows)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Patterns:
        """Read back what `to_arrays` gave."""
        belief = {name: torch.from_numpy(part) for name, part in named(BELIEF, arrays).items()}
        return cls(
            named(PLACES, arrays),
            named(ROWS, arrays),
            arrays["keys"],
            arrays["latents"],
            Belief(**belief),
        )


@dataclass(frozen=True)
class Belief:
    """How far a mean is to be believed, by how likely the best simulation is.

    Between the middles of parts of the simulations it changes linearly.

    Attributes
    ----------
    middles : Tensor, shape (parts,)
    slopes : Tensor, shape (parts, DIVIDED, dim)
        Of the true parameters on the means: 1 where these are right, 0 where they say nothing.
    errors : Tensor, shape (parts, DIVIDED, dim)
        Mean log errors of what is then believed.
    """

    middles: Tensor
    slopes: Tensor
    errors: Tensor

    @classmethod
    def none(cls) -> Belief:
        """Believe nothing."""
        return cls(torch.zeros(1), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))

    @classmethod
    def fit(cls, said: Said, truth: Tensor) -> Belief:
        """Compare what is said of simulations with their parameters (simulations, dim)."""
        means, _, best = said
        parts = best.argsort().tensor_split(min(PARTS, len(best)))
        truth, slopes, errors = truth[:, None], [], []
        for part in parts:
            mean, true = means[part], truth[part]
            slope = (mean * true).sum(dim=0) / mean.square().sum(dim=0).clamp(min=SMALLEST_ERROR)
            slopes.append(slope.clamp(0.0, 1.0))
            errors.append(_log_size(true - slopes[-1] * mean).mean(dim=0))
        middles = torch.stack([best[part].mean() for part in parts])
        return cls(middles, torch.stack(slopes), torch.stack(errors))

    def __call__(self, said: Said) -> tuple[Tensor, Tensor]:
        """Give what is to be believed, and its log errors, (batch, DIVIDED, dim) each."""
        means, _, best = said
        after = torch.searchsorted(self.middles, best).clamp(max=len(self.middles) - 1)
        before = (after - 1).clamp(min=0)
        width = (self.middles[after] - self.middles[before]).clamp(min=SMALLEST_ERROR)
        share = ((best - self.middles[before]) / width).clamp(0.0, 1.0)[:, None, None]
        slope, error = (
            torch.lerp(part[before], part[after], share.expand(-1, *part.shape[1:]))
            for part in (self.slopes, self.errors)
        )
        return slope * means, error


def _places(observations: Observations) -> dict[str, IntArray]:
    """Find observables of fixed length that may have a pattern."""
    schema = observations.schema
    return {
        name: places
        for name, places in ({} if schema is None else schema.vectors).items()
        if FEWEST <= len(places) <= MOST and not mostly_two_valued(observations.vector[:, places])
    }


def _pattern(entries: FloatArray) -> npt.NDArray[np.float32]:
    """Take the mean away, and divide by the norm; what is missing is where the mean is."""
    with np.errstate(invalid="ignore"):
        seen = np.isfinite(entries)
        mean = np.where(seen, entries, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    centred = np.where(seen, entries - mean[:, None], 0.0)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    # In rows, as in a file: products of other layouts are rounded otherwise.
    return np.ascontiguousarray(centred / np.where(norm > 0, norm, 1.0), np.float32)


def _keys(observations: Observations, places: Mapping[str, IntArray]) -> npt.NDArray[np.uint64]:
    return keys_of(observations.vector[:, np.concatenate([*places.values()])])


def _log_likelihood(x: Tensor, y: Tensor) -> Tensor:
    """Compare patterns, (rows of x, rows of y)."""
    together = (x @ y.T).clamp(0.0, LARGEST)
    return -0.5 * (x.shape[1] - 2) * torch.log1p(-together.square())


def _asked(likely: Tensor, latents: Tensor) -> Said:
    """Weigh the parameters of the likeliest."""
    best, place = likely.topk(min(ASKED, len(latents)), dim=1)
    theirs, means, spreads = latents[place], [], []
    for divided in DIVIDED:
        weight = torch.softmax(best / divided, dim=1)[:, :, None]
        means.append((weight * theirs).sum(dim=1))
        left = theirs - means[-1][:, None]
        spread = (weight * left.square()).sum(dim=1).sqrt()
        spreads.append((spread + SMALLEST).log())
    best = best[:, 0].clamp(min=0).sqrt()
    return Said(torch.stack(means, dim=1), torch.stack(spreads, dim=1), best)


def _log_size(errors: Tensor) -> Tensor:
    return 0.5 * (errors.square() + SMALLEST_ERROR).log()
