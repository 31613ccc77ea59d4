"""Scaled observations as tensors: what conditioning networks read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.condensed import condensed
from sbi_inn.summary_networks.scaling import Scaling


@dataclass(frozen=True)
class SetBatch:
    """Sets or series of different sizes, one after another, without padding.

    Attributes
    ----------
    entries : Tensor, shape (sum of sizes, columns)
    sizes : Tensor of int64, shape (batch,)

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import SetBatch
    >>> batch = SetBatch(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 2]))
    >>> batch[torch.tensor([1])].entries.tolist()
    [[2.0], [3.0]]
    """

    entries: Tensor
    sizes: Tensor

    def __getitem__(self, rows: Tensor) -> SetBatch:
        """Choose sets by index, in any order."""
        sizes = self.sizes[rows]
        starts = (self.sizes.cumsum(0) - self.sizes)[rows]
        # Entry k of row r stands at starts[r] + k; k counts anew in every row.
        shift = starts - (sizes.cumsum(0) - sizes)
        place = torch.arange(int(sizes.sum()), device=sizes.device)
        return SetBatch(self.entries[torch.repeat_interleave(shift, sizes) + place], sizes)

    def to(self, device: torch.device) -> SetBatch:
        """Give them on a device."""
        return SetBatch(self.entries.to(device), self.sizes.to(device))


@dataclass(frozen=True)
class Batch:
    """A batch of scaled observations.

    Attributes
    ----------
    vector : Tensor, shape (batch, features)
        Scaled, and the normal scores of some features beside them; statistics of sets; no pixels.
    sets : mapping of str to SetBatch
        Sets and series that are read entry by entry, and curves.
    images : mapping of str to Tensor, shape (batch, planes, height, width)
        Channels, and flags of missing pixels where `Scaling.image_gaps` says so.
    exact : Tensor or None, shape (batch, features)
        What a regression in closed form reads, where `Scaling.exact` says what.
    said : Tensor or None, shape (batch, ...)
        What a start made of that, where it was asked before.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import Batch
    >>> Batch(torch.tensor([[1.0], [2.0]]), {})[torch.tensor([1, 1, 0])].vector.T
    tensor([[2., 2., 1.]])
    """

    vector: Tensor
    sets: Mapping[str, SetBatch]
    images: Mapping[str, Tensor] = field(default_factory=dict)
    exact: Tensor | None = None
    said: Tensor | None = None

    @classmethod
    def of(cls, observations: Observations, scaling: Scaling) -> Batch:
        """Scale observations and make them tensors."""
        logged = scaling.decades(observations)
        sets = {name: _set(scaling, observations, name) for name in scaling.entrywise}
        sets |= {name: _curves(scaling, logged, name) for name in scaling.curves}
        images = {n: torch.from_numpy(scaling.pixels(observations, n)) for n in scaling.grids}
        vector = torch.from_numpy(scaling.features(observations))
        if scaling.exact is None:
            return cls(vector, sets, images)
        return cls(vector, sets, images, torch.from_numpy(scaling.exact(logged)))

    def __len__(self) -> int:
        return len(self.vector)

    def __getitem__(self, rows: Tensor) -> Batch:
        """Choose observations by index, in any order."""
        sets = {name: s[rows] for name, s in self.sets.items()}
        images = {n: i[rows] for n, i in self.images.items()}
        exact, said = (None if t is None else t[rows] for t in (self.exact, self.said))
        return Batch(self.vector[rows], sets, images, exact, said)

    def to(self, device: torch.device) -> Batch:
        """Give them on a device."""
        sets = {name: s.to(device) for name, s in self.sets.items()}
        images = {n: i.to(device) for n, i in self.images.items()}
        exact, said = (None if t is None else t.to(device) for t in (self.exact, self.said))
        return Batch(self.vector.to(device), sets, images, exact, said)


def _set(scaling: Scaling, observations: Observations, name: str) -> SetBatch:
    """Scale a set or series; a large set is read as its quantiles, or as groups of neighbours."""
    padded = observations.sets[name]
    if name in scaling.condensed:
        padded = condensed(padded)
    return SetBatch(torch.from_numpy(scaling.entries(padded, name)), torch.from_numpy(padded.sizes))


def _curves(scaling: Scaling, observations: Observations, name: str) -> SetBatch:
    """Scale curves of one length, and give them as one series."""
    curves = scaling.curves[name]
    sizes = torch.full((len(observations),), len(curves.places))
    return SetBatch(torch.from_numpy(curves(observations)), sizes)
