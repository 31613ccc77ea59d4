"""Columns of the entries of a set: what each of them may depend on, and how it is distributed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sbi_inn.likelihoods.mixed_normals import PARTS
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE

# A column that parameters do not change; one that is continuous; and one of yes and no, 1 and -1.
FREE, NORMAL, BINARY = 0, 1, 2
# A value that is not there.
ABSENT = 1e6
# Normal laws that are mixed where there is one column, and where there are several: given the ones
# before it, a column has fewer modes.
MIXED, MIXED_GIVEN = 6, 3
# Places where what depends on a column may bend otherwise, in its spreads.
KNOTS = (-1.5, -0.9, -0.45, 0.0, 0.45, 0.9, 1.5)
# The same of older files, where it bends sharply.
HINGES = (-0.67, 0.0, 0.67)
# Columns up to which others bend with a column, or depend on a product of two.
BENDING = 4
# How many of its own standard deviations a ratio of variances is above 1 where sets differ.
SURE = 5.0


@dataclass(frozen=True)
class Columns:
    """Columns of entries, each of which is distributed given those before it.

    What describes the law of a column, the "local" numbers of an entry, is linear in functions of
    the columns before it: a constant, their values, natural cubic splines of continuous ones, and
    products of each two. Free columns come first, whatever their place.

    Attributes
    ----------
    kinds : Tensor, shape (columns,)
        `FREE`, `NORMAL` or `BINARY`.
    bends : Tensor, shape (columns,)
        Whether others may be bent functions of it.
    hinged : bool
        Whether these are hinges, and there are no products, as in older files.
    """

    kinds: Tensor
    bends: Tensor
    hinged: bool = False

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
    def before(self) -> Tensor:
        """Places of the columns that others depend on."""
        return (self.places < self.places.max()).nonzero()[:, 0]

    @cached_property
    def bent(self) -> Tensor:
        """Places of those of which others are bent functions."""
        few = len(self.kinds) <= BENDING
        return self.before[self.bends[self.before].bool() & few]

    @cached_property
    def pairs(self) -> Tensor:
        """Places of those whose products others depend on, shape (pairs, 2)."""
        few = len(self.kinds) <= BENDING and not self.hinged
        return torch.combinations(self.before if few else self.before[:0], 2)

    @cached_property
    def allowed(self) -> Tensor:
        """Which functions each local number may depend on, (functions, local numbers)."""
        place = self.places
        first = place.new_full((1,), -1 - len(place))
        bent = place[self.bent].repeat_interleave(len(HINGES) if self.hinged else len(KNOTS) - 2)
        of_pairs = place[self.pairs].amax(dim=1)
        before = torch.cat([first, place[self.before], bent, of_pairs])
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
        known = torch.where(values < ABSENT, values, 0.0)
        parts = [torch.ones_like(known[..., :1]), known[..., self.before]]
        if len(self.bent):
            parts.append((hinges if self.hinged else splines)(known[..., self.bent]))
        if len(self.pairs):
            parts.append(known[..., self.pairs].prod(dim=-1))
        return torch.cat(parts, dim=-1).mT

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


def hinges(values: Tensor) -> Tensor:
    """Give how far values (..., n) are above each of some places, (..., n k)."""
    return torch.stack([(values - knot).clamp(min=0) for knot in HINGES], dim=-1).flatten(-2)


def splines(values: Tensor) -> Tensor:
    """Give natural cubic splines of values (..., n), (..., n k).

    They are linear beyond the outermost knots (Hastie et al. 2009, eq. 5.4).
    """
    *inner, one_but_last, last = KNOTS
    cubes = {knot: (values - knot).clamp(min=0) ** 3 for knot in KNOTS}

    def fall(knot: float) -> Tensor:
        return (cubes[knot] - cubes[last]) / (last - knot)

    end = fall(one_but_last)
    found = torch.stack([fall(knot) - end for knot in inner], dim=-1) / (last - inner[0])
    return found.flatten(-2)


def even_between(values: Tensor, there: Tensor) -> bool:
    """Whether means of sets (rows, entries) vary no more than entries do within them.

    Of values that are there.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.entry_columns import even_between
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
