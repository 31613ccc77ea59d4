"""A Gaussian posterior in closed form, which blocks start from and do not have to learn."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from sbi_inn.flows.bijection import Bijection
from sbi_inn.regressions.prediction import Foreseen, Prediction, foresee, pairs
from sbi_inn.regressions.reweighted import in_turn, left_out_widths, log_widths
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE, Regressors
from sbi_inn.shared_work.contexts import for_each
from sbi_inn.shared_work.remembered import remembered

# How often means are regressed again with the widths found, and widths with the means found.
ROUNDS = 3
# The same where starts are only compared: the first round changes most.
ROUNDS_TRIED = 1
# Usual sizes up to which what is left of a row counts where axes are whitened: a single row of a
# tail would make all others too wide.
OUTLYING = 10.0
# Usual size of a normal number in units of its median absolute value.
USUAL = 1.4826
# Observables up to which a quadratic function of the parameters is learned.
MOST_EMULATED = 200
# Predictions at which an emulator is asked, at most: the second reads what the first one left.
PASSES = 2
# Rows for each feature, with an emulator: too few to leave some out are too few to learn from.
ROWS_A_FEATURE = 3
# Standard errors by which rows left out have to be likelier, for more to be read.
SURE = 1.0
# One row in so many is left out for that, of so many rows at most.
HELD = 4
MOST_TRIED = 6_000
# Rows that the regressions look at: more would not change what a few hundred features predict.
ENOUGH = 20_000


class Reading(NamedTuple):
    """How observables are read with the help of an `Emulator`.

    Attributes
    ----------
    passes : int
        Predictions at which it is asked.
    degree : int
        Of its polynomials at the last one of two: 2 or 3.
    """

    passes: int
    degree: int = 2


# What is tried, from plain to rich.
READINGS = (Reading(0), Reading(1), Reading(2), Reading(2, degree=3))
# How a start reads that the search of a mode begins with.
FIRST = READINGS[1]


class GaussianStart(Bijection):
    """z = W (V x - m(c)) / s(c), with m and log s found in closed form.

    They are linear in the context c and in the squares and products of a first linear prediction of
    x, which follow what bends. Where rows that are left out become likelier by it, they are also
    linear in what an `Emulator` leaves of the observables at this prediction, or at a second one
    that has read what the first one left, and whose emulator may be cubic.

    Where observables are a linear function of parameters, this is the posterior even if their
    noise is unknown and spans decades: log s reads it off the residuals that whitened observables
    hold. m and s are found in turn: the log of the squared residuals is regressed on the context,
    then x is again, each row weighed by 1 / s^2 (iteratively reweighted least squares; Carroll and
    Ruppert 1988, ch. 2). V turns to axes in which what is left is uncorrelated, and W whitens what
    that leaves. Ridges are as strong as predicts held-out rows best. Nothing is trained:
    steps of an optimiser are far coarser than such a posterior is wide.

    Parameters
    ----------
    dim : int
        Number of dimensions of x.
    n_context : int
    own : int
        The first so many columns of the context are observables as they are, which an `Emulator`
        explains by a first prediction; 0 for none.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import GaussianStart
    >>> generator = torch.Generator().manual_seed(1)
    >>> c = torch.randn(1000, 2, generator=generator)
    >>> noise = torch.randn(1000, 1, generator=generator)
    >>> x = 3 * c[:, :1] + (c[:, 1:] - 4).exp() * noise
    >>> start = GaussianStart(1, 2)
    >>> said = start.fit(x, c)
    >>> contexts = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    >>> start.inverse(torch.zeros(2, 1), contexts)[0][:, 0].round()  # where z = 0 is: the means
    tensor([3., 3.])
    >>> start.predict(contexts)[:, 1].diff().round()  # log widths
    tensor([2.])
    >>> start(x, c)[0].std().round(decimals=1)
    tensor(1.)
    """

    whiten: Tensor
    colour: Tensor
    slope: Tensor
    offset: Tensor
    turn: Tensor
    turn_back: Tensor
    lowest: Tensor
    highest: Tensor
    passes: Tensor

    def __init__(self, dim: int, n_context: int, own: int = 0) -> None:
        super().__init__()
        self.dim, self.reading = dim, READINGS[0]
        self.own = own if own <= MOST_EMULATED else 0
        self.first = Prediction(n_context, dim, self.own)
        n_context += len(pairs(dim)) + 2 * self.own
        if self.own:
            self.second = Prediction(n_context, dim, self.own, degree=3)
            self.register_buffer("passes", torch.full((), PASSES))
        # Means beside log widths: one product finds both.
        self.register_buffer("slope", torch.zeros(n_context, 2 * dim))
        self.register_buffer("offset", torch.zeros(2 * dim))
        # Far from all rows that were seen, means go on a little, and widths do not.
        self.register_buffer("lowest", torch.full((2 * dim,), -torch.inf))
        self.register_buffer("highest", torch.full((2 * dim,), torch.inf))
        # Before widths are looked at, so that each is of a direction of its own: of a thin tilted
        # posterior all parameters are wide, and widths a little off would make it thick.
        self.register_buffer("turn", torch.eye(dim))
        self.register_buffer("turn_back", torch.eye(dim))
        self.register_buffer("whiten", torch.eye(dim))
        self.register_buffer("colour", torch.eye(dim))

    @property
    def told(self) -> int:
        """How many of the columns of `predict`, the first ones, are of use to others: all."""
        return 2 * self.dim

    def predict(self, context: Tensor) -> Tensor:
        """Give means and log widths of x in turned axes, for each context; (batch, 2 dim)."""
        found = torch.addmm(self.offset, self._read(context), self.slope)
        return torch.clamp(found, self.lowest, self.highest)

    def _read(self, context: Tensor) -> Tensor:
        """Add the products of a prediction to the context, and what it does not explain."""
        if not self.own:
            return torch.cat([context, self.first(context, None)], dim=1)
        observables = context[:, : self.own]
        if not self.passes:
            said = self.first(context, None)
            return torch.cat([context, said, said.new_zeros(len(said), 2 * self.own)], dim=1)
        read = torch.cat([context, self.first(context, observables)], dim=1)
        if self.passes < PASSES:
            return read
        return torch.cat([context, self.second(read, observables)], dim=1)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Take the residual in units of its width, and whiten it."""
        return self.whitened(x, self.predict(context))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the whitening, and add the mean again."""
        return self.coloured(z, self.predict(context))

    def whitened(self, x: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `forward`, with what `predict` says."""
        mean, width = for_each(said, len(x)).chunk(2, dim=1)
        z = ((x @ self.turn - mean) * torch.exp(-width)) @ self.whiten
        return z, (self._log_det() - width.sum(dim=1)).expand(len(x))

    def coloured(self, z: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `inverse`, with what `predict` says."""
        mean, width = for_each(said, len(z)).chunk(2, dim=1)
        x = ((z @ self.colour) * torch.exp(width) + mean) @ self.turn_back
        return x, (width.sum(dim=1) - self._log_det()).expand(len(z))

    @torch.no_grad()
    def fit(
        self, x: Tensor, context: Tensor, own: int | None = None, reading: Reading | None = None
    ) -> Tensor:
        """Fit to rows of x (rows, dim) and context (rows, n_context).

        Returns what `predict` would say of each row if it had been left out. The first `own`
        columns are observables as they are; the others were made of them. Which of READINGS is best
        is decided by rows left out, if it is not given.
        """
        own = context.shape[1] if own is None else own
        if self.own and reading is None:
            reading = self._reading_that_helps(x, context, own)
        self.reading = reading or READINGS[0]
        of_others = self._solve(_Rows(x, context, own), self.reading)
        said = self.predict(context)
        said[: len(of_others)] = torch.clamp(of_others.to(said), self.lowest, self.highest)
        return said

    @torch.no_grad()
    def try_out(self, x: Tensor, context: Tensor, own: int, reading: Reading = READINGS[0]) -> None:
        """Fit as `fit` does, but with fewer rounds: enough to compare starts."""
        self._solve(_Rows(x, context, own), reading, ROUNDS_TRIED)

    @torch.no_grad()
    def losses(self, x: Tensor, context: Tensor) -> Tensor:
        """Give the negative log density of rows, but for a constant; (rows,), double precision."""
        z, log_det = self(x, context)
        return (0.5 * z.square().sum(dim=1) - log_det).double()

    def _solve(self, rows: _Rows, reading: Reading, rounds: int = ROUNDS) -> Tensor:
        """Regress means and widths in turn, and whiten what is left.

        Returns means and log widths of each row by all others.
        """
        if self.own:
            self.passes.fill_(reading.passes)
        self.turn.copy_(rows.turn)
        self.turn_back.copy_(rows.back)
        on = rows.plain.beside(self._more(rows, reading))
        mean, width = in_turn(rows.x, on, rounds)
        found = torch.cat([mean.slope, width.slope], dim=1)
        self.slope.zero_()[: len(found)] = found  # what an emulator left aside would say has none
        self.offset.copy_(torch.cat([mean.offset, width.offset]))
        self._bound(rows.context)
        widths = left_out_widths(mean, width)
        colour = _colour(mean.residual * torch.exp(-widths))
        self.colour.copy_(colour.T)
        self.whiten.copy_(torch.linalg.inv(colour).T)
        return torch.cat([rows.x - mean.residual, widths], dim=1)

    def _more(self, rows: _Rows, reading: Reading) -> Tensor:
        """Keep predictions, and give what `_read` adds by what they say of rows left out."""
        observables = rows.c[:, : self.own] if self.own and reading.passes else None
        more = self.first.fit(rows.x, rows.first, observables)
        if observables is None or reading.passes < PASSES:
            return more
        return self.second.fit(rows.x, rows.second(more), observables, reading.degree)

    def _reading_that_helps(self, x: Tensor, context: Tensor, own: int) -> Reading:
        """Find the one of READINGS that makes rows left out likeliest; of few rows the plainest."""
        if len(x) < ROWS_A_FEATURE * len(self.slope):
            return READINGS[0]
        losses = left_out_losses(x, context, own, self.own, READINGS)
        best = 0
        for place in range(1, len(READINGS)):
            if surely_less(losses[place], losses[best]):
                best = place
        return READINGS[best]

    def _bound(self, context: Tensor) -> None:
        """Let predictions go no further than those for rows that were seen, and means a little."""
        found = torch.addmm(self.offset, self._read(context), self.slope)
        lowest, highest = found.amin(dim=0), found.amax(dim=0)
        beyond = highest - lowest
        beyond[self.dim :] = 0.0
        self.lowest.copy_(lowest - beyond)
        self.highest.copy_(highest + beyond)

    def bound_widths(self, said: Tensor, most: float) -> Tensor:
        """Bound log widths to at most so much from the usual ones of `said` (rows, 2 dim).

        From now on, and those that were said, which it gives back.
        """
        usual = said[:, self.dim :].median(dim=0).values
        self.lowest[self.dim :].clamp_(min=usual - most)
        self.highest[self.dim :].clamp_(max=usual + most)
        return torch.clamp(said, self.lowest, self.highest)

    def _log_det(self) -> Tensor:
        """Log |det| of turning and whitening, the same for all rows."""
        return torch.cat([self.turn.diagonal(), self.whiten.diagonal()]).abs().log().sum()


class _Rows:
    """Rows that starts are fitted to, and what these share, however observables are read."""

    def __init__(self, x: Tensor, context: Tensor, own: int) -> None:
        self.context, self.own = context[:ENOUGH], own
        x, self.c = x[:ENOUGH].double(), self.context.double()
        self.plain = Regressors(self.c, own)
        self.turn, self.back = _axes(x, self.plain)
        self.x = x @ self.turn
        self._second: Foreseen | None = None

    @cached_property
    def first(self) -> Foreseen:
        """A prediction from the context."""
        return foresee(self.x, self.plain)

    def second(self, more: Tensor) -> Foreseen:
        """Give a prediction from the context and what the first one left, `more`.

        All readings with two predictions have the same `more`: only the first call computes.
        """
        self._second = self._second or foresee(self.x, self.plain.beside(more))
        return self._second


@remembered
@torch.no_grad()
def left_out_losses(
    x: Tensor,
    context: Tensor,
    own: int,
    emulated: int = 0,
    readings: tuple[Reading, ...] = READINGS[:1],
) -> list[Tensor]:
    """Give the loss of rows (rows, dim) that a start has not seen, one in four, but for a constant.

    They are left out of everything, as an emulator, of the first `emulated` columns of the context
    (rows, n_context), knows a little of its own rows. The first `own` are observables as they are.
    One tensor for each of the `readings`. Remembered: the second and the fourth network of an
    ensemble choose from the same.
    """
    held = torch.zeros(min(len(x), MOST_TRIED), dtype=torch.bool)
    held[::HELD] = True
    x, context = x[: len(held)], context[: len(held)]
    rows, losses = _Rows(x[~held], context[~held], own), []
    for reading in readings:
        start = GaussianStart(x.shape[1], context.shape[1], emulated)
        start._solve(rows, reading, ROUNDS_TRIED)
        losses.append(start.losses(x[held], context[held]))
    return losses


@remembered
@torch.no_grad()
def first_fitted(x: Tensor, context: Tensor, emulated: int, own: int) -> dict[str, Tensor]:
    """Fit a start that reads as the `FIRST` one does, and give its state.

    Remembered: likelihoods of other columns, and of parameters made even, ask for the same one.
    """
    start = GaussianStart(x.shape[1], context.shape[1], emulated)
    start.fit(x, context, own, FIRST)
    return start.state_dict()


def surely_less(less: Tensor, more: Tensor) -> bool:
    """Say whether losses of the same rows are smaller by more than their standard error."""
    gain = more - less
    return bool(gain.mean() > SURE * gain.std() / len(gain) ** 0.5)


def _axes(x: Tensor, plain: Regressors) -> tuple[Tensor, Tensor]:
    """Give axes in which what a regression leaves is uncorrelated, and the way back.

    Every row counts in units of its own width, which all axes share here.
    """
    left = plain.linear(x).residual
    common = log_widths(left, plain.all)(plain.c).mean(dim=1, keepdim=True)
    colour = _colour(left * torch.exp(-common))
    return torch.linalg.inv(colour).T, colour.T


def _colour(residual: Tensor) -> Tensor:
    """Cholesky factor of the covariance of rows, which a floor keeps invertible."""
    most = OUTLYING * USUAL * residual.abs().median(dim=0).values
    most = torch.where(most > 0, most, torch.inf)
    residual = torch.clamp(residual, -most, most)
    covariance = residual.T @ residual / len(residual)
    floor = SMALLEST_VARIANCE * covariance.diagonal().mean().clamp(min=1e-12)
    return torch.linalg.cholesky(covariance + torch.diag(floor.expand(len(covariance))))
