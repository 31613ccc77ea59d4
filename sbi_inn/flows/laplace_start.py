"""A normal posterior by a learned likelihood, with widths and correlations of each observation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.evened import Evened
from sbi_inn.flows.gaussian_start import FIRST, GaussianStart, first_fitted, surely_less
from sbi_inn.flows.start_choice import FLOORS, Tried, held_out, scored, sharp_from
from sbi_inn.likelihoods.autoregressive_learning import SHORTEST
from sbi_inn.likelihoods.entry_law import EntryLaw
from sbi_inn.likelihoods.kinds import AnyLikelihood, kind_of
from sbi_inn.likelihoods.laplace import Box, Mode, Seen, log_det_of, modes, normal_law
from sbi_inn.likelihoods.learning import (
    Learned,
    better_of_series,
    learned,
    of_entries,
    of_series,
    parts_of,
)
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.networks import LARGE, LONG, SMALL
from sbi_inn.likelihoods.two_laws import TwoLaws
from sbi_inn.shared_work.contexts import for_each, side_by_side
from sbi_inn.shared_work.remembered import remembered

# Parameters up to which a likelihood is learned: precisions have as many numbers squared.
MOST_PARAMETERS = 20
# Rows of which it is learned whether to even parameters, and what kind of law there is.
TRIED_ROWS = 2_500
# Log of how far widths are mended: further out, rows unlike others would be surer by powers of ten.
MENDED = 1.5
# Widths from a mode beyond which a regression sees all rows alike; the same where searches stray.
FARTHEST, STRAYED = 100.0, 4.0


class LaplaceStart(Bijection):
    """z = G(L(c)' (w(x) - m(c))), with m and L by Laplace's approximation, and G a `GaussianStart`.

    w makes parameters with flat priors even again, if what is observed follows from them in a
    simpler way then (`Evened`): of a law that is linear in these the posterior is normal.
    m is the mode of the posterior by a learned `Likelihood`, and L L' its precision there. G mends,
    in closed form, means and widths that are off, as far as they follow from what is seen, but for
    the sharpest posteriors if rows left out say so: these are most normal. Where rows left out are
    no likelier by all that, L is the identity, m is 0, and G reads the context alone.

    Parameters
    ----------
    dim : int
        Number of dimensions of x.
    n_context : int
    own : int
        As of a `GaussianStart`.
    emulated : tuple of int
        Columns of the context, among the first `own`, of which the likelihood is learned: each
        observable once.
    givens : tuple of int
        Columns of it that the likelihood depends on, beside the parameters.
    of_sets : int
        Columns of the entries of a set, if the likelihood is of these, after the size of the set.
    apart : bool
        Whether nothing else reads what it is of, as always of sets: the last ones of the context.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import LaplaceStart
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(600, 2, generator=generator)
    >>> noise = torch.randn(600, 3, generator=generator)
    >>> c = torch.stack([x[:, 0].sinh(), x[:, 1] ** 3, x[:, 0] * x[:, 1]], dim=1) + 0.1 * noise
    >>> start = LaplaceStart(2, 3, 3, (0, 1, 2))
    >>> said = start.fit(x, c)
    >>> bool(start.inverts)
    True
    >>> z, log_det = start(x, c)
    >>> bool((start.inverse(z, c)[0] - x).abs().max() < 1e-3)
    True
    """

    inverts: Tensor
    reads: Tensor
    floor: Tensor
    sharp: Tensor
    mean: Tensor
    lowest: Tensor
    highest: Tensor
    precision: Tensor

    def __init__(
        self,
        dim: int,
        n_context: int,
        own: int,
        emulated: tuple[int, ...],
        givens: tuple[int, ...] = (),
        *,
        of_sets: int = 0,
        apart: bool = False,
    ) -> None:
        super().__init__()
        self.dim, self.own, self.emulated, self.givens = dim, own, list(emulated), list(givens)
        self.of_sets, self.apart = of_sets, apart or of_sets > 0
        self.n_read = n_context - (len(emulated) if self.apart else 0)
        self.plain = GaussianStart(dim, self.n_read, own)
        self.even = Evened(dim)
        self.likelihood: AnyLikelihood = Likelihood(dim, len(emulated), len(givens))
        self.rest = GaussianStart(dim, self.n_read + 2 * dim + 2)
        self.register_buffer("inverts", torch.zeros((), dtype=torch.bool))
        self.register_buffer("reads", torch.ones((), dtype=torch.bool))
        self.register_buffer("floor", torch.zeros((), dtype=torch.float64))
        self.register_buffer("sharp", torch.full((), torch.inf, dtype=torch.float64))
        for name in ("mean", "lowest", "highest"):
            self.register_buffer(name, torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("precision", torch.eye(dim, dtype=torch.float64))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Read a file: it says of which kind the likelihood is."""
        state_dict.setdefault(f"{prefix}reads", self.reads)  # older ones always read
        state_dict.setdefault(f"{prefix}sharp", self.sharp)  # and mend everywhere
        kind = kind_of(state_dict, f"{prefix}likelihood.")
        self.likelihood = kind(self.dim, len(self.emulated), len(self.givens))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def told(self) -> int:
        """How many of the columns of `predict`, the first ones, are of use to others."""
        return 4 * self.dim + 2

    def predict(self, context: Tensor) -> Tensor:
        """Give what there is to know of each context: means, widths, `Seen`; (batch, ...)."""
        if self.inverts:
            seen = self._seen(context, self._modes(context))
            said = self.rest.predict(self._read(context, seen))
            return seen.after(said * ~self._is_sharp(seen.factor))
        said = self.plain.predict(context[:, : self.n_read])
        return Seen.nothing(said).after(said)

    def whitened(self, x: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `forward`, with what `predict` says."""
        own, place, factor = self._parted(said)
        if not self.inverts:
            return self.plain.whitened(x, own)
        x, of_even = self.even(x)
        z = ((side_by_side(x, len(place)) - place[:, None]) @ factor).flatten(0, 1)
        z, log_det = self._unless_sharp(factor, z, self.rest.whitened(z, own))
        return z, log_det + for_each(log_det_of(factor), len(x)) + of_even

    def coloured(self, z: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `inverse`, with what `predict` says."""
        own, place, factor = self._parted(said)
        if not self.inverts:
            return self.plain.coloured(z, own)
        x, log_det = self._unless_sharp(factor, z, self.rest.coloured(z, own))
        left = side_by_side(x, len(place)).mT
        left = torch.linalg.solve_triangular(factor.mT, left, upper=True).mT
        x, of_even = self.even.inverse((left + place[:, None]).flatten(0, 1))
        return x, log_det - for_each(log_det_of(factor), len(x)) + of_even

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Take what is left of x in units of the normal law."""
        return self.whitened(x, self.predict(context))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo it."""
        return self.coloured(z, self.predict(context))

    @torch.no_grad()
    def fit(self, x: Tensor, context: Tensor, own: int | None = None) -> Tensor:
        """Fit to rows of x (rows, dim) and context (rows, n_context), as a `GaussianStart` is.

        Returns what `predict` would say of these rows if each had been left out.
        """
        own = self.n_read if own is None else own
        evened = self._even_if_it_helps(x, context, own)
        even, known = self._begin(x, context, own)
        if self.of_sets:
            mode = self._by(of_entries(even, *known, self.of_sets), even, context)
        elif self._follows(x, context, own, evened=evened):
            mode = self._by(of_series(even, *known)[1], even, context)
        else:
            mode = self._by(learned(even, *known, (SMALL, LARGE, LONG)), even, context)
        tried = self._tried(x, context, own, mode)
        self.inverts.fill_(surely_less(tried.losses, self._plain_losses(x, context, own)))
        if not self.inverts:
            said = self.plain.fit(x, context[:, : self.n_read], own)
            return Seen.nothing(said).after(said)
        self.floor.fill_(tried.floor)
        self.reads.fill_(tried.reads)
        seen = self._seen(context, mode)
        left = self._left(self.even(x)[0], seen)
        said = self.rest.fit(left, self._read(context, seen), own + seen.told.shape[1])
        said = self.rest.bound_widths(said, MENDED)
        self.sharp.fill_(sharp_from(log_det_of(seen.factor), left, *self.rest.whitened(left, said)))
        return seen.after(said * ~self._is_sharp(seen.factor))

    def losses(self, x: Tensor, context: Tensor, own: int, *, evened: bool = True) -> Tensor:
        """Give the losses of rows left out, but for a constant, by a start like this; (rows,).

        One that makes parameters even, or leaves them as they are.
        """
        evened = evened and not self.of_sets
        return _left_out(x, context, (self.own, own), self._columns, evened=evened)[0]

    def _even_if_it_helps(self, x: Tensor, context: Tensor, own: int) -> bool:
        """Choose parameters to even: none where a few rows left out are no likelier by it.

        Gives whether those with flat priors, if there are any, are even now.
        """
        if self.of_sets:
            return False  # to try takes long, and networks follow what bends
        x, context = x[:TRIED_ROWS], context[:TRIED_ROWS]
        self.even.fit(x.double(), *self.known(context))
        if not self.even.flat.any():
            return True
        evened, plain = (self.losses(x, context, own, evened=e) for e in (True, False))
        if surely_less(evened, plain):
            return True
        self.even.flat.zero_()
        return False

    def _follows(self, x: Tensor, context: Tensor, own: int, *, evened: bool) -> bool:
        """Say whether a few rows are likelier by a law of each value given those before it."""
        if len(self.emulated) < SHORTEST:
            return False
        few = slice(TRIED_ROWS)
        return _left_out(x[few], context[few], (self.own, own), self._columns, evened=evened)[1]

    @property
    def _columns(self) -> tuple[tuple[int, ...], tuple[int, ...], int, bool]:
        """What a start like this is made of."""
        return tuple(self.emulated), tuple(self.givens), self.of_sets, self.apart

    def _losses(self, x: Tensor, context: Tensor, own: int) -> tuple[Tensor, bool]:
        """Give the losses of rows left out by the better law, and whether it is one of series."""
        even, known = self._begin(x, context, own)
        if self.of_sets:
            found = of_entries(even, *known, self.of_sets, few=True)
            return self._losses_by(found, x, even, context, own), False
        found = learned(even, *known)
        losses = self._losses_by(found, x, even, context, own)
        other = better_of_series(found, even, *known)
        if other is None:
            return losses, False
        others = self._losses_by(other, x, even, context, own)
        follows = surely_less(others, losses)
        return (others if follows else losses), follows

    def _losses_by(
        self, found: Learned, x: Tensor, even: Tensor, context: Tensor, own: int
    ) -> Tensor:
        """Give the losses of rows left out by a likelihood."""
        mode = self._by(found, even, context)
        return self._tried(x, context, own, mode, FLOORS[::2]).losses

    def _begin(self, x: Tensor, context: Tensor, own: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Give evened parameters, whose law it learns, and what the likelihood is of and given."""
        self.plain.load_state_dict(first_fitted(x, context[:, : self.n_read], self.plain.own, own))
        x, _ = self.even(x.double())
        self.mean.copy_(x.mean(dim=0))
        self.lowest.copy_(x.amin(dim=0))
        self.highest.copy_(x.amax(dim=0))
        spread = torch.cov(x.T).reshape(self.dim, self.dim)
        self.precision.copy_(torch.linalg.inv(spread))
        return x, self.known(context)

    def _by(self, found: Learned, even: Tensor, context: Tensor) -> Mode:
        """Take a likelihood, and give the modes of rows by others that have not seen them."""
        self.likelihood, folds = found
        for one in (self.likelihood, *folds):
            if isinstance(one, TwoLaws | EntryLaw):
                some = torch.linspace(0, len(even) - 1, len(one.apart)).long()
                one.apart.copy_(even[some] - self._foreseen(context[some]))
        return self._modes_of_others(context, folds)

    def _modes(self, context: Tensor, likelihood: AnyLikelihood | None = None) -> Mode:
        """Find the modes at contexts, from what the plain start says, and from the middle."""
        likelihood = likelihood or self.likelihood
        box = Box(self.mean, self.lowest, self.highest, self.precision)
        first = self._foreseen(context)
        y, given = self.known(context)
        further = likelihood.around(first, y, given, self._bounded)
        middle = [self.mean.expand_as(first)] if likelihood.from_middle else []
        starts = (first, *middle, *further)
        return modes(likelihood, box, y, starts, given)

    def _foreseen(self, context: Tensor) -> Tensor:
        """Give what the plain start says of contexts."""
        zero = context.new_zeros(len(context), self.dim)
        first, _ = self.plain.inverse(zero, context[:, : self.n_read])
        return self._bounded(self.even(first.double())[0])

    def _bounded(self, x: Tensor) -> Tensor:
        return torch.clamp(x, self.lowest, self.highest)

    def known(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Take out of contexts what the likelihood is of, and what it depends on."""
        return context[:, self.emulated].double(), context[:, self.givens].double()

    def _modes_of_others(self, context: Tensor, folds: Sequence[AnyLikelihood]) -> Mode:
        """Find the modes of rows by likelihoods that have not seen them."""
        found = None
        for (part, _), fold in zip(parts_of(len(context)), folds, strict=True):
            mode = self._modes(context[part], fold)
            found = found or Mode(*(p.new_empty(len(context), *p.shape[1:]) for p in mode))
            for whole, piece in zip(found, mode, strict=True):
                whole[part] = piece
        assert found is not None
        return found

    def _seen(self, context: Tensor, mode: Mode, floor: Tensor | float | None = None) -> Seen:
        """Give the normal law at modes, with a floor under its widths."""
        floor = self.floor if floor is None else floor
        law = normal_law(mode, floor * self.likelihood.spreads)
        return Seen(*(part.to(context.dtype) for part in law))

    def _is_sharp(self, factor: Tensor) -> Tensor:
        """Whether a normal law is too sharp to be mended, (batch, 1)."""
        return (log_det_of(factor) >= self.sharp)[:, None]

    def _unless_sharp(
        self, factor: Tensor, z: Tensor, mended: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Take rows (batch, dim) as they are where normal laws are sharp, else as mended."""
        sharp, (other, log_det) = for_each(self._is_sharp(factor), len(z)), mended
        return torch.where(sharp, z, other), torch.where(sharp[:, 0], 0.0, log_det)

    def _parted(self, said: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take what `predict` gives apart: of a plain start, place, factor."""
        own, place = said[:, : 2 * self.dim], said[:, 2 * self.dim : 3 * self.dim]
        return own, place, said[:, self.told :].unflatten(1, (self.dim, self.dim))

    def _read(self, context: Tensor, seen: Seen, reads: Tensor | bool | None = None) -> Tensor:
        """Put what is told of the normal law before the context; zeros where nothing is read."""
        reads = self.reads if reads is None else reads
        return torch.cat([seen.told, context[:, : self.n_read]], dim=1) * reads

    def _left(self, x: Tensor, seen: Seen, *, beyond: bool = False) -> Tensor:
        """Give x in units of the normal law, as far as the likelihood is believed, or beyond."""
        most = STRAYED if self.likelihood.strays and not beyond else FARTHEST
        return ((x - seen.place)[:, None] @ seen.factor)[:, 0].clamp(-most, most)

    def _tried(
        self, x: Tensor, context: Tensor, own: int, mode: Mode, floors: tuple[float, ...] = FLOORS
    ) -> Tried:
        """Say how rows left out fare by the best floor."""
        held = held_out(len(x))
        x, context = x[: len(held)], context[: len(held)]
        mode, (even, of_even) = Mode(*(part[: len(held)] for part in mode)), self.even(x)
        readings = (True, False) if self.likelihood.alone else (True,)
        ways = [(floor, reads) for reads in readings for floor in floors]
        found, mixed = [], x[held] if self.likelihood.strays else None
        for floor, reads in ways:
            seen = self._seen(context, mode, floor)
            read, left = self._read(context, seen, reads), self._left(even, seen)
            start = GaussianStart(self.dim, read.shape[1])
            start.try_out(left[~held], read[~held], own + seen.told.shape[1])
            more = log_det_of(seen.factor[held]) + of_even[held]
            far = self._left(even[held], seen.of(held), beyond=True)
            found.append(scored(start.losses(far, read[held]) - more, mixed))
        best = min(range(len(found)), key=lambda place: found[place].mean())
        return Tried(found[best], *ways[best])

    def _plain_losses(self, x: Tensor, context: Tensor, own: int) -> Tensor:
        """Give the losses of the same rows by a plain start that has not seen them."""
        held = held_out(len(x))
        x, context = x[: len(held)], context[: len(held), : self.n_read]
        start = GaussianStart(self.dim, context.shape[1], self.own)
        start.try_out(x[~held], context[~held], own, FIRST)
        mixed = x[held] if self.likelihood.strays else None
        return scored(start.losses(x[held], context[held]), mixed)


@remembered
@torch.no_grad()
def _left_out(
    x: Tensor,
    context: Tensor,
    own: tuple[int, int],
    columns: tuple[tuple[int, ...], tuple[int, ...], int, bool],
    *,
    evened: bool,
) -> tuple[Tensor, bool]:
    """Give the losses of rows left out by a start of its own, and whether its law is of series.

    Remembered: the choices of what it is learned, and whether to even, ask for the same rows.
    """
    emulated, givens, of_sets, apart = columns
    shape = (x.shape[1], context.shape[1], own[0])
    start = LaplaceStart(*shape, emulated, givens, of_sets=of_sets, apart=apart)
    start.even.fit(x.double(), *start.known(context))
    if not evened:
        start.even.flat.zero_()
    return start._losses(x, context, own[1])
