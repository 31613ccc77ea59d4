"""Learn the law that entries of a set follow."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods.entry_columns import ABSENT, BINARY, FREE, NORMAL, Columns, even_between
from sbi_inn.likelihoods.entry_law import APART, APART_GIVEN, EntryLaw, EntryLaws, some_of, unpacked
from sbi_inn.likelihoods.linear_in_both import log_odds, regressed
from sbi_inn.likelihoods.mixed_normals import PARTS
from sbi_inn.likelihoods.networks import Size, put, taught
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE
from sbi_inn.shared_work.stacked import said_by

# Networks of the law of a single column, and of several, which begin with what is linear; and the
# same where they are only compared.
SINGLE, SEVERAL = Size(128, 15_000, 5e-3), Size(64, 8_000, 5e-3)
FEW_SINGLE, FEW_SEVERAL = Size(64, 3_000, 5e-3), Size(64, 2_000, 5e-3)
# Entries of a set that a step looks at, evenly spaced in their order: so many, or fewer where laws
# have many columns.
LOOKED_AT, FEWEST_LOOKED_AT, VALUES_LOOKED_AT = 16, 4, 64
# Entries of a row left out that are compared with its law: so many of one column, or of several.
COMPARED, COMPARED_OF_SEVERAL = 256, 64
# Rows whose entries are looked at at once.
AT_ONCE = 500
# Sets that are looked at to see what columns parameters change.
SEEN = 2_000
# Nats of a set that networks have to add to what is linear, at least.
WORTH = 0.1
# Sets of which it is learned what is linear.
REGRESSED = 4_000


def size_of(columns: int, *, few: bool) -> Size:
    """Give the size of the networks of a law of so many columns, and how long they are trained."""
    if columns == 1:
        return FEW_SINGLE if few else SINGLE
    return FEW_SEVERAL if few else SEVERAL


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
    n_said = len(table.columns.said)
    nothing = _nothing(len(rows), x.shape[1], n_said)
    without = table.loss(nothing, held) - WORTH
    loss, weights = taught(table, n_said, rows, held, size, without, linear=True)
    put(members, weights if loss < without else nothing)
    for member in members:
        table.begin.put(member)
    return members


def _nothing(networks: int, n: int, n_said: int) -> list[Tensor]:
    """Give networks of one neuron, and what is linear beside, that say nothing."""
    layers = ((n, 1), (1, 1), (1, n_said))
    each = [torch.zeros(networks, rows, narrow) for wide, narrow in layers for rows in (wide, 1)]
    return [*each, torch.zeros(networks, n, n_said)]


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

        Of a single continuous column, only its width: its modes may be anywhere.
        """
        x, y = x[:REGRESSED].double(), y[:REGRESSED].double()
        values, weights = some_of(*unpacked(y, len(columns.kinds)))
        beside = torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
        linear = x.new_zeros(*columns.allowed.shape, beside.shape[1])
        scale, widths = x.new_ones(len(columns.said)), []
        if columns.alike and len(columns.normals):
            return cls(*_width_alone(y, columns), scale, linear[0, :, 0], linear[0, :, 1:])
        there = (values < ABSENT) * (weights > 0)[..., None]
        functions = columns.functions(values).expand(-1, -1, values.shape[1])
        values = torch.where(there, values, 0.0)
        for place, column in enumerate(columns.normals.tolist()):
            local = place * PARTS * columns.mixed + torch.arange(columns.mixed)
            may, counts = columns.allowed[:, local[0]], there[..., column].to(x)
            found, left = regressed(beside, functions[:, may], values[..., column], counts)
            linear[may.nonzero(), local] = found[:, None]
            widths.append(_usual_width(left, counts))
            mine = torch.zeros(columns.allowed.shape, dtype=torch.bool)
            mine[:, local] = True
            scale[mine.flatten()[columns.said]] = widths[-1].exp()
        for local, column in enumerate(columns.binaries.tolist(), columns.n_normal):
            may, came = columns.allowed[:, local], values[..., column]
            linear[may, local] = log_odds(beside, functions[:, may], came)
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
        laws = len(self.columns.normals) + len(self.columns.binaries)
        some = min(LOOKED_AT, max(FEWEST_LOOKED_AT, VALUES_LOOKED_AT // laws))
        first = torch.rand(rows.shape, generator=generator)[..., None]
        share = (first + torch.arange(some)) / some
        at = (share * self.size[rows][..., None]).long().clamp(max=self.entries.shape[1] - 1)
        entries = self.entries[rows[..., None], at]
        functions = self.columns.functions(entries)
        even = torch.full_like(entries[..., 0], 1 / (some * rows.shape[1]))
        _, steep = self._laws(said, self.x[rows], functions).steepness(entries, even)
        return -self.columns.back(steep @ functions.mT) * self.begin.scale.to(said)

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out, over all entries, or as many as are compared."""
        found = []
        for place, part in enumerate(held, 1):
            said = said_by([w[[place]] for w in weights], self.x[None, part])[0]
            for some, here in zip(said.split(AT_ONCE), part.split(AT_ONCE), strict=True):
                entries, stand_for = self.entries[here], self.stand_for[here]
                most = COMPARED if self.columns.alike else COMPARED_OF_SEVERAL
                if entries.shape[1] > most:
                    entries, stand_for = some_of(entries, stand_for, most)
                laws = self._laws(some, self.x[here], self.columns.functions(entries))
                found.append((laws.likely(entries) * stand_for).sum(dim=1))
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
            if all(even_between(one, there[..., column]) for one in products):
                free.append(column)
        if len(free) < len(kinds):  # else parameters change what is not looked at here
            kinds[free] = FREE
    return Columns(kinds, ~binary)


def _width_alone(y: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """Give the log width of sets of a single column, and how far means go."""
    values, stand_for = unpacked(y, 1)
    values, stand_for = values[..., columns.normals].mT, stand_for[:, None]
    total = stand_for.sum(dim=2, keepdim=True).clamp(min=1.0)
    away = values - (values * stand_for).sum(dim=2, keepdim=True) / total
    log_width = _usual_width(away, stand_for)
    return log_width, torch.full_like(log_width, APART)


def _usual_width(away: Tensor, there: Tensor) -> Tensor:
    """Give the median over sets of the log width of what is away (rows, ..., entries)."""
    square = (away.square() * there).sum(dim=-1) / there.sum(dim=-1).clamp(min=1.0)
    return 0.5 * square.clamp(min=SMALLEST_VARIANCE).log().median(dim=0).values
