"""A likelihood of a set whose entries are independent, and all follow one law.

Given the parameters, each entry of a set is drawn from the same law, and the likelihood of the set
is the product over its entries. Of several columns the law is that of each given those before it.
Continuous ones follow a mixture of normal laws that a network says of the parameters (a mixture
density network; Bishop 1994), and of yes and no it says the log odds. Moments and quantiles of a
set lose much of what a few hundred draws tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.likelihoods.entry_columns import ABSENT, NORMAL, Columns
from sbi_inn.likelihoods.learned_of_parameters import LearnedOfParameters
from sbi_inn.likelihoods.mixed_normals import NODES, Laws, inside
from sbi_inn.likelihoods.networks import SMALL
from sbi_inn.likelihoods.observable_laws import Uphill, Within

# How far means go where nothing is said of them: in spreads of all entries of a single column, and
# in widths of a usual set where a column follows others.
APART, APART_GIVEN = 2.0, 0.5
# Places around the one foreseen that a search looks at; those that are looked at again, with more
# entries; and those that it begins at.
STARTS, SECOND_LOOKS, CLIMBED = 256, 32, 6
# Entries that are looked at first. Then one in so many, and no more than so many.
FIRST_GLANCED, GLANCED, MOST_GLANCED = 16, 4, 64
# Entries of a set whose information stands for that of all, where each follows a law of its own: so
# many of one column, or fewer of each of several; and places at each law.
LOOKED_AT, FEWEST_LOOKED_AT, FEW_NODES = 48, 12, 3
# Largest difference of mean log densities that counts, in nats.
MISFIT = 3.0
# Slopes are as large for each of so many entries.
AS_LARGE = 8


class EntryLaw(LearnedOfParameters):
    """A law that every entry of a set follows; of double precision, but where it is `coarse`.

    A network of the parameters, with a linear function beside it, says what the law of each column
    is, and how it depends on the columns before. It stands in for a `Likelihood`.

    Parameters
    ----------
    dim : int
        Number of parameters.
    n_observables : int
        Of a set: its size, and its entries, one after the other.
    n_givens : int
        Number of what is known of an experiment beside its observables.
    hidden : int
        Width of the two layers of the network; a file that is read says which.
    columns : Columns or None
        Of entries; a file that is read says which.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.learning import of_entries
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(1200, 1, generator=generator)
    >>> noise = torch.randn(1200, 40, generator=generator)
    >>> entries = (x + 0.5 * noise.exp()).sort(dim=1).values
    >>> y = torch.cat([torch.full((1200, 1), 40.0), entries], dim=1).double()
    >>> likelihood, folds = of_entries(x.double(), y, few=True)
    >>> there, off = (likelihood.compare(x.double() + shift, y)[1].mean() for shift in (0, 0.2))
    >>> bool(there > off + 3)
    True
    """

    from_middle = False
    """As of a `Likelihood`: there are likelier places around the one foreseen."""

    alone = True
    """As of a `Likelihood`."""

    strays = True
    """As of a `Likelihood`. Two parts of a mixture may be taken for one."""

    beside: Tensor
    log_width: Tensor
    reach: Tensor
    apart: Tensor
    kinds: Tensor
    bends: Tensor

    def __init__(
        self,
        dim: int,
        n_observables: int,
        n_givens: int = 0,
        hidden: int = SMALL.hidden,
        columns: Columns | None = None,
    ) -> None:
        del n_observables
        one = torch.full((1,), NORMAL)
        columns = Columns(one, one.bool()) if columns is None else columns
        n_said, n_normal = len(columns.said), len(columns.normals)
        shapes = {
            "beside": (n_said, dim + n_givens),
            "log_width": (n_normal,),
            "reach": (n_normal,),
            "apart": (STARTS, dim),
        }
        super().__init__(dim, n_givens, hidden, n_said, shapes)
        self.reach.fill_(APART)
        self.register_buffer("kinds", columns.kinds)
        self.register_buffer("bends", columns.bends)
        self.columns, self.glances = columns, False

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Read a file: it says what columns there are; older ones had one."""
        state_dict[f"{prefix}log_width"] = state_dict[f"{prefix}log_width"].reshape(-1)
        for name in ("reach", "kinds", "bends"):
            state_dict.setdefault(prefix + name, getattr(self, name))
        for name in ("beside", "log_width", "reach", "kinds", "bends"):
            setattr(self, name, torch.zeros_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.columns = Columns(self.kinds.clone(), self.bends.clone())
        if len(self.columns.said) != len(self.beside):  # older ones had hinges
            self.columns = replace(self.columns, hinged=True)

    @property
    def passes(self) -> int:
        """As of a `Likelihood`."""
        return 1 if self.columns.alike else AS_LARGE

    @property
    def softened(self) -> Sequence[EntryLaw]:
        """Laws that show the way to a mode from farther: none."""
        return []

    @property
    def coarse(self) -> EntryLaw | None:
        """The same law, which reads a part of the entries: to search with."""
        if self.glances:
            return None
        found = copy(self)
        found.glances = True
        return found

    def around(self, x: Tensor, y: Tensor, given: Tensor, within: Within) -> list[Tensor]:
        """Give the likeliest of many places around those foreseen, by a part of the entries.

        Few entries say which of all places are worth a second look.
        """
        entries, stand_for = self._unpacked(y, glances=True)
        places = x + self.apart[:, None]
        some, for_some = some_of(entries, stand_for, FIRST_GLANCED)
        likely = self._likely_at(places, some, for_some, given, within)
        best = likely.topk(SECOND_LOOKS, dim=0).indices
        places = x + self.apart[best]
        likely = self._likely_at(places, entries, stand_for, given, within)
        best = likely.topk(CLIMBED, dim=0).indices
        return [within(x) for x in places.take_along_dim(best[:, :, None], dim=0)]

    def _likely_at(
        self, places: Tensor, entries: Tensor, stand_for: Tensor, given: Tensor, within: Within
    ) -> Tensor:
        """Give log densities of sets at places (n, batch, dim)."""
        functions, found = self.columns.functions(entries), []
        for place in places:
            said = self.said(self.scaled(within(place), given)).to(entries)
            likely = self._laws(self.columns.factors(said) @ functions).likely(entries)
            found.append((likely * stand_for).sum(dim=1))
        return torch.stack(found)

    def said(self, scaled: Tensor) -> Tensor:
        """Give what the network says, and what is linear, (batch, n_said)."""
        return super().said(scaled) + scaled @ self.beside.T

    def said_and_slopes(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Give it, and how it changes with the parameters, (batch, dim, n_said)."""
        said, slope = super().said_and_slopes(scaled)
        return said + scaled @ self.beside.T, slope + (self.beside[:, : self.dim] / self.spreads).T

    def compare(self, x: Tensor, y: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compare sets (batch, 1 + numbers) with what parameters lead to: as a `Likelihood`."""
        entries, stand_for = self._unpacked(y, glances=self.glances)
        factors = self.columns.factors(self.said(self.scaled(x, given)).to(entries))
        likely = self._laws(factors @ self.columns.functions(entries)).likely(entries)
        likely = (likely * stand_for).sum(dim=1)
        some, weights = some_of(entries, stand_for, self._looked_at)
        usual = self._laws(factors @ self.columns.functions(some)).usual(some)
        usual = (usual * weights).sum(dim=1)
        return _misfit((usual - likely) / _total(stand_for)), likely

    def uphill(self, x: Tensor, y: Tensor, given: Tensor) -> Uphill:
        """Give how the log density of sets changes with parameters, and its information.

        That of an entry is expected of the law: the squared slopes of the entries that came are
        far too large where they do not fit.
        """
        entries, stand_for = self._unpacked(y, glances=self.glances)
        said, slope = (part.to(entries) for part in self.said_and_slopes(self.scaled(x, given)))
        factors, slope = self.columns.factors(said), self.columns.factors(slope)
        functions = self.columns.functions(entries)
        likely, steep = self._laws(factors @ functions).steepness(entries, stand_for)
        steepest = (slope * (steep @ functions.mT)[:, None]).sum(dim=(2, 3))
        some, weights = some_of(entries, stand_for, self._looked_at)
        functions = self.columns.functions(some)
        laws = self._laws(factors @ functions)
        information = laws.information(slope @ functions[:, None], some, weights)
        likely, usual = (likely * stand_for).sum(dim=1), (laws.usual(some) * weights).sum(dim=1)
        misfit = _misfit((usual - likely) / _total(stand_for))
        found = (misfit[:, None], -likely, steepest, information)
        return Uphill(*(part.to(x) for part in found))

    def _unpacked(self, y: Tensor, *, glances: bool) -> tuple[Tensor, Tensor]:
        """Give entries of sets, or a part of them, and how many each of them stands for."""
        entries, stand_for = unpacked(y.float() if glances else y, len(self.kinds))
        if not glances:
            return entries, stand_for
        return some_of(entries, stand_for, min(MOST_GLANCED, -(-entries.shape[1] // GLANCED)))

    @property
    def _looked_at(self) -> int:
        """How many entries are looked at for information."""
        if self.columns.alike:
            return 1
        most = LOOKED_AT // max(1, len(self.columns.normals))
        return max(most, FEWEST_LOOKED_AT) // (GLANCED if self.glances else 1)

    def _laws(self, local: Tensor) -> EntryLaws:
        return EntryLaws.of(local, self.columns, self.log_width, self.reach)


class EntryLaws(NamedTuple):
    """Laws of the columns of entries, at each of them.

    Attributes
    ----------
    columns : Columns
    said : Tensor, shape (..., columns, 3 mixed, entries or 1)
    laws : Laws
        Of the columns that are mixtures.
    odds : Tensor, shape (..., columns, entries or 1)
        Log odds of the others.
    """

    columns: Columns
    said: Tensor
    laws: Laws
    odds: Tensor

    @classmethod
    def of(cls, local: Tensor, columns: Columns, log_width: Tensor, reach: Tensor) -> EntryLaws:
        """Give them by local numbers (..., n, entries or 1)."""
        said, odds = columns.parted(local)
        return cls(columns, said, Laws.of(said, log_width, reach), odds)

    def likely(self, entries: Tensor) -> Tensor:
        """Give log densities of entries (..., entries, columns), but for a constant."""
        seen = _Values.of(entries, self.columns)
        found = (self.laws.likely(seen.values) * seen.there).sum(dim=-2)
        return found + (F.logsigmoid(seen.came * self.odds) * seen.came.abs()).sum(dim=-2)

    def steepness(self, entries: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Give log densities of entries, and how these, with weights, change with local numbers.

        Shapes (..., entries) and (..., n, entries); of entries of one law the sum over them.
        """
        seen, weights = _Values.of(entries, self.columns), weights[..., None, :]
        scores, weigh = self.laws.scores(seen.values), seen.there * weights
        against = seen.came * torch.sigmoid(-seen.came * self.odds) * weights
        if self.columns.alike:
            steep, against = scores.summed(self.laws, weigh), against.sum(dim=-1, keepdim=True)
        else:
            steep = scores.each(self.laws) * weigh[..., None, :]
        steep = (steep * inside(self.said)).flatten(-3, -2)
        of_odds = F.logsigmoid(seen.came * self.odds) * seen.came.abs()
        likely = (scores.likely * seen.there).sum(dim=-2) + of_odds.sum(dim=-2)
        return likely, torch.cat([steep, against], dim=-2)

    def usual(self, entries: Tensor) -> Tensor:
        """Give log densities that are expected, given the columns before, (..., entries)."""
        seen, laws, odds = _Values.of(entries, self.columns), self._apart(), self.odds
        nodes, weights = laws.nodes(self._of_each)
        found = (laws.likely(nodes) * weights).sum(dim=-1) * seen.there
        chance = torch.sigmoid(odds)
        of_odds = chance * F.logsigmoid(odds) + (1 - chance) * F.logsigmoid(-odds)
        return found.sum(dim=-2) + (of_odds * seen.came.abs()).sum(dim=-2)

    def information(self, slope: Tensor, entries: Tensor, weights: Tensor) -> Tensor:
        """Give that on parameters which local numbers change with, (batch, dim, n, entries)."""
        seen, laws, weights = _Values.of(entries, self.columns), self._apart(), weights[:, None]
        of_normal, of_odds = self.columns.parted(slope)
        # (batch, columns, entries, dim, 3 mixed)
        of_normal = (of_normal * inside(self.said)[:, None]).permute(0, 2, 4, 1, 3)
        nodes, node_weights = laws.nodes(self._of_each)
        steep = of_normal @ laws.scores(nodes).each(laws)
        weigh = (node_weights * (seen.there * weights)[..., None])[..., None, :]
        normal = torch.einsum("bcedn,bcefn->bdf", steep * weigh, steep)
        chance = torch.sigmoid(self.odds)
        weigh = chance * (1 - chance) * seen.came.abs() * weights
        return normal + (of_odds * weigh[:, None]).flatten(2) @ of_odds.flatten(2).mT

    @property
    def _of_each(self) -> int:
        """How many places at a law are looked at."""
        return NODES if self.columns.alike else FEW_NODES

    def _apart(self) -> Laws:
        """Give each entry a mixture of its own, (..., columns, entries, mixed, 1)."""
        return Laws(*(part.mT[..., None] for part in self.laws))


class _Values(NamedTuple):
    """Continuous values, whether these are there, and others: 1, -1, or 0 where they are not."""

    values: Tensor
    there: Tensor
    came: Tensor

    @classmethod
    def of(cls, entries: Tensor, columns: Columns) -> _Values:
        """Take them out of entries (..., entries, columns): (..., columns, entries)."""
        if columns.alike and len(columns.normals):
            values = entries.mT
            return cls(values, torch.ones_like(values), values[..., :0, :])
        known = torch.where(entries < ABSENT, entries, 0.0).mT
        values = known[..., columns.normals, :]
        there = (entries.mT[..., columns.normals, :] < ABSENT).to(values)
        return cls(values, there, known[..., columns.binaries, :])


def unpacked(y: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """Give entries, (..., entries, columns), and how many each stands for, of what is read."""
    size, entries = y[..., :1], y[..., 1:].unflatten(-1, (-1, columns))
    place = torch.arange(entries.shape[-2], dtype=y.dtype, device=y.device)
    return entries, (place < size) * (size / entries.shape[-2]).clamp(min=1.0)


def some_of(entries: Tensor, stand_for: Tensor, most: int = LOOKED_AT) -> tuple[Tensor, Tensor]:
    """Give so many entries of sets, and how many each of them stands for."""
    there = (stand_for > 0).sum(dim=1, keepdim=True).clamp(min=1)
    most = min(most, entries.shape[1])
    place = torch.arange(most, device=entries.device)
    at = torch.where(there > most, ((place + 0.5) * there / most).long(), place)
    weights = _total(stand_for)[:, None] / there.clamp(max=most) * (place < there)
    return entries.take_along_dim(at[:, :, None], dim=1), weights


def _total(stand_for: Tensor) -> Tensor:
    return stand_for.sum(dim=1).clamp(min=1.0)


def _misfit(behind: Tensor) -> Tensor:
    """Give how far entries are off, by how far their mean log density is behind what is usual.

    As a mean square that is 1 where all is as usual.
    """
    return torch.exp(2 * behind.clamp(-MISFIT, MISFIT))
