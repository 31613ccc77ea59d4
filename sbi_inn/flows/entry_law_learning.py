"""Learn the law that entries of a set follow."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.flows.entry_law import SAID, EntryLaw, Laws, slopes_of_losses, unpacked
from sbi_inn.flows.likelihood_networks import Size, put, taught
from sbi_inn.flows.regression import SMALLEST_VARIANCE
from sbi_inn.flows.stacked import said_by

# Entries of a set that a step looks at, evenly spaced in their order.
LOOKED_AT = 16
# Rows whose entries are looked at at once.
AT_ONCE = 500


@torch.no_grad()
def learned(
    dim: int, x: Tensor, y: Tensor, rows: list[Tensor], held: list[Tensor], size: Size
) -> list[EntryLaw]:
    """Learn laws of parameters and givens side by side (rows, n), and of sets (rows, 1 + entries).

    One of each of the `rows`; the second and later ones have not seen the rows `held`.
    """
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp(min=SMALLEST_VARIANCE)
    table = _Sets.of(((x - centre) / spread).float(), y)
    members = []
    for _ in rows:
        member = EntryLaw(dim, y.shape[1], x.shape[1] - dim)
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        member.log_width.copy_(table.log_width)
        members.append(member)
    _, weights = taught(table, SAID, rows, held, size, linear=True)
    put(members, weights)
    return members


class _Sets(NamedTuple):
    """Sets, for networks to learn from.

    Attributes
    ----------
    x : Tensor, shape (rows, n)
        Scaled parameters and givens.
    entries, stand_for : Tensor, shape (rows, entries)
    size : Tensor, shape (rows,)
        How many entries there are.
    log_width : Tensor, shape ()
        Of a usual set.
    """

    x: Tensor
    entries: Tensor
    stand_for: Tensor
    size: Tensor
    log_width: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> _Sets:
        """Lay out sets (rows, 1 + entries), beside parameters."""
        entries, stand_for = (part.float() for part in unpacked(y))
        total = stand_for.sum(dim=1, keepdim=True).clamp(min=1.0)
        away = entries - (entries * stand_for).sum(dim=1, keepdim=True) / total
        square = (away.square() * stand_for).sum(dim=1) / total[:, 0]
        log_width = 0.5 * square.clamp(min=SMALLEST_VARIANCE).log().median()
        return cls(x, entries, stand_for, y[:, 0].clamp(1, entries.shape[1]).float(), log_width)

    def slope(
        self, said: Tensor, networks: Tensor, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Say how the sum over networks of mean losses of an entry changes with what they say."""
        del networks  # all see the same entries
        first = torch.rand(rows.shape, generator=generator)[..., None]
        share = (first + torch.arange(LOOKED_AT)) / LOOKED_AT
        at = (share * self.size[rows][..., None]).long().clamp(max=self.entries.shape[1] - 1)
        entries = self.entries[rows[..., None], at]
        return slopes_of_losses(said, entries, self.log_width) / rows.shape[1]

    def loss(self, weights: list[Tensor], held: list[Tensor]) -> float:
        """Give the mean loss of rows left out, over all entries."""
        found = []
        for place, part in enumerate(held, 1):
            said = said_by([w[[place]] for w in weights], self.x[None, part])[0]
            for some, here in zip(said.split(AT_ONCE), part.split(AT_ONCE), strict=True):
                likely = Laws.of(some, self.log_width).likely(self.entries[here])
                found.append((likely * self.stand_for[here]).sum(dim=1))
        return -float(torch.cat(found).mean())
