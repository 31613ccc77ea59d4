"""Columns of the entries of a set: what each of them may depend on, and how it is distributed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sbi_inn.flows.mixed_normals import PARTS
from sbi_inn.flows.regression import SMALLEST_VARIANCE

# A column that parameters do not change; one that is continuous; and one of yes and no, 1 and -1.
FREE, NORMAL, BINARY = 0, 1, 2
# A value that is not there.
ABSENT = 1e6
# Normal laws that are mixed where there is one column, and where there are several: given the ones
# before it, a column has fewer modes.
MIXED, MIXED_GIVEN = 6, 3
# Places where what is linear in a column may bend, in its spreads: about its quartiles.
KNOTS = (-0.67, 0.0, 0.67)
# Columns up to which it may.
BENDING = 4
# How many of its own standard deviations a ratio of variances is above 1 where sets differ.
SURE = 5.0


@dataclass(frozen=True)
class Columns:
    """Columns of entries, each of which is distributed given those before it.

    What describes the law of a column, the "local" numbers of an entry, is linear in functions of
    the columns before it: a constant, their values, and hinges of continuous ones. Free columns
    come first, whatever their place.

    Attributes
    ----------
    kinds : Tensor, shape (columns,)
        `FREE`, `NORMAL` or `BINARY`.
    bends : Tensor, shape (columns,)
        Whether others may be bent functions of it.
    """

    kinds: Tensor
    bends: Tensor

    @cached_property
    def normals(self) -> Tensor:
        """Places of the columns that are mixtures of normal laws."""
        return (self.kinds == NORMAL).nonzero()[:, 0]

    @cached_property
    def binaries(self) -> Tensor:
        """Places of those of yes and no."""
        return (self.kinds == BINARY).nonzero()[:, 0]

    @property
    def mixed(self) -> int:
        """How many normal laws are mixed."""
        return MIXED if len(self.kinds) == 1 else MIXED_GIVEN

    @property
    def n_normal(self) -> int:
        """How many local numbers are of mixtures; those of yes and no come after them."""
        return PARTS * self.mixed * len(self.normals)

    @cached_property
    def places(self) -> Tensor:
        """In what order columns come, shape (columns,): free ones first."""
        place = torch.arange(len(self.kinds), device=self.kinds.device)
        return torch.where(self.kinds == FREE, place - len(place), place)

    @cached_property
    def read(self) -> tuple[Tensor, Tensor]:
        """Which columns are read by functions beside the constant, and where each bends."""
        before = self.places < self.places.max()
        source = before.nonzero()[:, 0].tolist()
        knots = [-torch.inf] * len(source)
        if len(self.kinds) <= BENDING:
            for column in (before & self.bends).nonzero()[:, 0].tolist():
                source += [column] * len(KNOTS)
                knots += KNOTS
        device = self.kinds.device
        return torch.tensor(source, device=device).long(), torch.tensor(knots, device=device)

    @cached_property
    def allowed(self) -> Tensor:
        """Which functions each local number may depend on, (functions, local numbers)."""
        place = self.places
        before = torch.cat([place.new_full((1,), -1 - len(place)), place[self.read[0]]])
        of_normals = place[self.normals].repeat_interleave(PARTS * self.mixed)
        return before[:, None] < torch.cat([of_normals, place[self.binaries]])

    @cached_property
    def said(self) -> Tensor:
        """Where, among all factors, those are that are not zero."""
        return self.allowed.flatten().nonzero()[:, 0]

    @property
    def alike(self) -> bool:
        """Whether the law of all entries is the same."""
        return len(self.allowed) == 1

    def functions(self, values: Tensor) -> Tensor:
        """Give the functions of entries (..., entries, columns): (..., functions, entries or 1)."""
        if self.alike:
            return torch.ones_like(values[..., :1, :1])
        source, knots = self.read
        found = torch.where(values < ABSENT, values, 0.0)[..., source]
        knots = knots.to(values)
        found = torch.where(knots > -torch.inf, (found - knots).clamp(min=0), found)
        return torch.cat([torch.ones_like(found[..., :1]), found], dim=-1).mT

    def factors(self, said: Tensor) -> Tensor:
        """Lay out what is said (..., n) as (..., local numbers, functions)."""
        if self.alike:
            return said[..., None]
        functions, local = self.allowed.shape
        found = said.new_zeros(*said.shape[:-1], functions * local)
        found[..., self.said] = said
        return found.unflatten(-1, (functions, local)).mT

    def back(self, factors: Tensor) -> Tensor:
        """Undo it."""
        return factors.mT.flatten(-2)[..., self.said]

    def parted(self, local: Tensor) -> tuple[Tensor, Tensor]:
        """Part local numbers (..., n, entries): (..., columns, 3 mixed, entries), and log odds."""
        mixtures = local[..., : self.n_normal, :]
        shape = (len(self.normals), PARTS * self.mixed)
        return mixtures.unflatten(-2, shape), local[..., self.n_normal :, :]


def even_between(values: Tensor, there: Tensor) -> bool:
    """Whether means of sets (rows, entries) vary no more than entries do within them.

    Of values that are there.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows.entry_columns import even_between
    >>> values = torch.randn(300, 20, generator=torch.Generator().manual_seed(1))
    >>> there = torch.ones(300, 20).bool()
    >>> even_between(values, there), even_between(values + values[:, :1], there)
    (True, False)
    """
    count = there.sum(dim=1)
    values, there, count = (part[count > 1] for part in (values, there, count))
    if not len(count):
        return False
    mean = (values * there).sum(dim=1) / count
    within = ((values - mean[:, None]).square() * there).sum(dim=1) / (count - 1)
    expected = (within / count).mean()
    ratio = mean.var() / expected.clamp(min=SMALLEST_VARIANCE)
    return bool(ratio < 1 + SURE * (2 / len(count)) ** 0.5)
