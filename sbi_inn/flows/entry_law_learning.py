"""Learn the law that entries of a set follow."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.flows.entry_columns import ABSENT, BINARY, FREE, NORMAL, Columns
from sbi_inn.flows.entry_law import APART, APART_GIVEN, EntryLaw, EntryLaws, some_of, unpacked
from sbi_inn.flows.likelihood_networks import Size, put, taught
from sbi_inn.flows.mixed_normals import PARTS
from sbi_inn.flows.regression import SMALLEST_VARIANCE
from sbi_inn.flows.stacked import said_by

# Entries of a set that a step looks at, evenly spaced in their order.
LOOKED_AT = 16
# Rows whose entries are looked at at once.
AT_ONCE = 500
# Sets that are looked at to see what columns parameters change, and how many of its own standard
# deviations a ratio of variances is above 1 where they do.
SEEN, SURE = 2_000, 5.0
# Sets of which it is learned what is linear, how often, and what is added to squares there, in
# those of the largest.
REGRESSED, PASSES, RIDGE = 8_000, 4, 1e-9


@torch.no_grad()
def learned(
    dim: int,
    x: Tensor,
    y: Tensor,
    rows: list[Tensor],
    held: list[Tensor],
    size: Size,
    n_columns: int,
) -> list[EntryLaw]:
    """Learn laws of parameters and givens side by side (rows, n), and of sets (rows, 1 + numbers).

    One of each of the `rows`; the second and later ones have not seen the rows `held`.
    """
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp(min=SMALLEST_VARIANCE)
    table = _Sets.of(((x - centre) / spread).float(), y, n_columns)
    members = []
    for _ in rows:
        member = EntryLaw(dim, y.shape[1], x.shape[1] - dim, columns=table.columns)
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        member.log_width.copy_(table.begin.log_width)
        member.reach.copy_(table.begin.reach)
        members.append(member)
    _, weights = taught(table, len(table.columns.said), rows, held, size, linear=True)
    put(members, weights)
    for member in members:
        table.begin.put(member)
    return members


class _Begin(NamedTuple):
    """What is said before networks say anything.

    Attributes
    ----------
    log_width, reach : Tensor, shape (continuous columns,)
        As of an `EntryLaw`.
    scale : Tensor, shape (n_said,)
        The unit of what networks say.
    offset, slope : Tensor, shape (n_said,) and (n_said, n)
        A linear function of scaled parameters and givens that is added.
    """

    log_width: Tensor
    reach: Tensor
    scale: Tensor
    offset: Tensor
    slope: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor, columns: Columns) -> _Begin:
        """Take it from sets: the widths of usual ones, and what is linear in the parameters.

        Of a single column, only its width: its modes may be anywhere.
        """
        x, y = x[:REGRESSED].double(), y[:REGRESSED].double()
        scale = torch.ones(len(columns.said), dtype=x.dtype)
        offset, slope = torch.zeros_like(scale), x.new_zeros(len(scale), x.shape[1])
        if columns.alike:
            values, stand_for = unpacked(y, len(columns.kinds))
            values = values[..., columns.normals].mT
            mean = (values * stand_for[:, None]).sum(dim=2, keepdim=True)
            away = values - mean / _total(stand_for)[:, None, None]
            log_width = _usual_width(away, stand_for[:, None])
            return cls(log_width, torch.full_like(log_width, APART), scale, offset, slope)
        values, weights = some_of(*unpacked(y, len(columns.kinds)))
        functions = columns.functions(values)
        beside = torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
        widths, linear = [], x.new_zeros(*columns.allowed.shape, beside.shape[1])
        for place, column in enumerate(columns.normals.tolist()):
            first = place * PARTS * columns.mixed
            local = torch.arange(first, first + columns.mixed)
            may = columns.allowed[:, first]
            there = (values[..., column] < ABSENT) * (weights > 0)
            value = torch.where(there, values[..., column], 0.0)
            found, left = _regressed(beside, functions[:, may], value, there.to(x))
            linear[may.nonzero(), local] = found[:, None]
            widths.append(_usual_width(left, there.to(x)))
            unit = torch.zeros(columns.allowed.shape[1], dtype=torch.bool)
            unit[local] = True
            scale[columns.back(unit.to(x)[:, None].expand(-1, len(may))) > 0] = widths[-1].exp()
        log_width = torch.stack(widths) if widths else x.new_zeros(0)
        linear = linear.flatten(0, 1)[columns.said]
        reach = APART_GIVEN * log_width.exp()
        return cls(log_width, reach, scale, linear[:, 0], linear[:, 1:])

    def said(self, said: Tensor, x: Tensor) -> Tensor:
        """Give what is said in all, of what networks say (..., n_said) of (..., n)."""
        return said * self.scale.to(said) + self.offset.to(said) + x @ self.slope.to(x).T

    def put(self, member: EntryLaw) -> None:
        """Add it to a law whose network has been put in."""
        member.last *= self.scale[:, None]
        member.last_bias.copy_(member.last_bias * self.scale + self.offset)
        member.beside.copy_(member.beside * self.scale[:, None] + self.slope)


class _Sets(NamedTuple):
    """Sets, for networks to learn from.

    Attributes
    ----------
    x : Tensor, shape (rows, n)
        Scaled parameters and givens.
    entries : Tensor, shape (rows, entries, columns)
    stand_for : Tensor, shape (rows, entries)
    size : Tensor, shape (rows,)
        How many entries there are.
    columns : Columns
    begin : _Begin
    """

    x: Tensor
    entries: Tensor
    stand_for: Tensor
    size: Tensor
    columns: Columns
    begin: _Begin

    @classmethod
    def of(cls, x: Tensor, y: Tensor, n_columns: int) -> _Sets:
        """Lay out sets (rows, 1 + numbers), beside parameters."""
        entries, stand_for = (part.float() for part in unpacked(y, n_columns))
        columns = _columns(entries[:SEEN], stand_for[:SEEN])
        size = y[:, 0].clamp(1, entries.shape[1]).float()
        return cls(x, entries, stand_for, size, columns, _Begin.of(x, y, columns))

    def slope(
        self, said: Tensor, networks: Tensor, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Say how the sum over networks of mean losses of an entry changes with what they say."""
        del networks  # all see the same entries
        first = torch.rand(rows.shape, generator=generator)[..., None]
        share = (first + torch.arange(LOOKED_AT)) / LOOKED_AT
        at = (share * self.size[rows][..., None]).long().clamp(max=self.entries.shape[1] - 1)
        entries = self.entries[rows[..., None], at]
        functions = self.columns.functions(entries)
        laws = self._laws(said, self.x[rows], functions)
        even = torch.full_like(entries[..., 0], 1 / (LOOKED_AT * rows.shape[1]))
        _, steep = laws.steepness(entries, even)
        return -self.columns.back(steep @ functions.mT) * self.begin.scale.to(said)

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out, over all entries."""
        found = []
        for place, part in enumerate(held, 1):
            said = said_by([w[[place]] for w in weights], self.x[None, part])[0]
            for some, here in zip(said.split(AT_ONCE), part.split(AT_ONCE), strict=True):
                entries = self.entries[here]
                laws = self._laws(some, self.x[here], self.columns.functions(entries))
                found.append((laws.likely(entries) * self.stand_for[here]).sum(dim=1))
        return -float(torch.cat(found).mean())

    def _laws(self, said: Tensor, x: Tensor, functions: Tensor) -> EntryLaws:
        local = self.columns.factors(self.begin.said(said, x)) @ functions
        return EntryLaws.of(local, self.columns, self.begin.log_width, self.begin.reach)


def _columns(entries: Tensor, stand_for: Tensor) -> Columns:
    """Say of what kind the columns of sets are (rows, entries, columns).

    Free are those whose means, squares and products with each other vary between sets no more than
    within them.
    """
    there = (entries < ABSENT) & (stand_for > 0)[..., None]
    values = torch.where(there, entries, 0.0).double()
    binary = ((values.abs() == 1) | ~there).all(dim=1).all(dim=0)
    kinds = torch.where(binary, BINARY, NORMAL)
    if len(kinds) > 1:
        free: list[int] = []
        for column in range(len(kinds)):
            mine = values[..., column]
            others = [values[..., other] * there[..., other] for other in free]
            products = [mine, mine.square(), *(mine * other for other in others)]
            if all(_even(one, there[..., column]) for one in products):
                free.append(column)
        if len(free) < len(kinds):  # else parameters change what is not looked at here
            kinds[free] = FREE
    return Columns(kinds, ~binary)


def _even(values: Tensor, there: Tensor) -> bool:
    """Whether means of sets (rows, entries) vary no more than entries do within them."""
    count = there.sum(dim=1)
    values, there, count = (part[count > 1] for part in (values, there, count))
    if not len(count):
        return False
    mean = (values * there).sum(dim=1) / count
    within = ((values - mean[:, None]).square() * there).sum(dim=1) / (count - 1)
    expected = (within / count).mean()
    ratio = mean.var() / expected.clamp(min=SMALLEST_VARIANCE)
    return bool(ratio < 1 + SURE * (2 / len(count)) ** 0.5)


def _regressed(
    beside: Tensor, functions: Tensor, values: Tensor, there: Tensor
) -> tuple[Tensor, Tensor]:
    """Regress values (rows, entries) on (rows, n) times functions (rows, functions, entries).

    Rows are weighed by how little is left of them. Gives factors (functions, n), and what is left.
    """
    mine = functions * there[:, None]
    squares, products = mine @ functions.mT, (mine @ values[:, :, None])[:, :, 0]
    count, weights = there.sum(dim=1).clamp(min=1.0), torch.ones_like(values[:, 0])
    n, left = functions.shape[1] * beside.shape[1], values
    found = values.new_zeros(functions.shape[1], beside.shape[1])
    for _ in range(PASSES):
        weighed = weights[:, None] * beside
        outer = torch.einsum("ri,rj,rbc->bicj", weighed, beside, squares).reshape(n, n)
        size = outer.diagonal().sqrt().clamp(min=SMALLEST_VARIANCE)
        outer = outer / (size[:, None] * size) + RIDGE * torch.eye(n, dtype=outer.dtype)
        right = torch.einsum("ri,rb->bi", weighed, products).reshape(n) / size
        found = (torch.linalg.solve(outer, right) / size).reshape(found.shape)
        left = values - ((beside @ found.T)[:, None] @ functions)[:, 0]
        square = (left.square() * there).sum(dim=1) / count
        weights = 1 / square.clamp(min=SMALLEST_VARIANCE)
    return found, left


def _usual_width(away: Tensor, there: Tensor) -> Tensor:
    """Give the median over sets of the log width of what is away (rows, ..., entries)."""
    square = (away.square() * there).sum(dim=-1) / there.sum(dim=-1).clamp(min=1.0)
    return 0.5 * square.clamp(min=SMALLEST_VARIANCE).log().median(dim=0).values


def _total(stand_for: Tensor) -> Tensor:
    return stand_for.sum(dim=1).clamp(min=1.0)
