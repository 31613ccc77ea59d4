"""A likelihood that is learned: which observables parameters lead to, and how noisy these are.

A simulator is smoother than its inverse. What is expected of the observables, and the variance of
each, are learned as functions of the parameters from few rows; a constant correlation of what is
left completes a normal law (a synthetic likelihood; Wood 2010, doi:10.1038/nature09319). Of binary
observables, such as choices, log odds are learned, and of counts log rates and dispersions; given
the parameters, they are independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sbi_inn.likelihoods import counts, log_odds
from sbi_inn.likelihoods.learned_of_parameters import LearnedOfParameters
from sbi_inn.likelihoods.networks import HIGHEST, LOWEST, SMALL
from sbi_inn.likelihoods.observable_laws import Kinds, Left, Uphill, Within
from sbi_inn.regressions.emulator import regressed
from sbi_inn.regressions.prediction import n_products, pairs, powers
from sbi_inn.regressions.splines import KNOTS, SPLINES, slopes_of_splines, splines

# Smallest scatter of counts, as a share of their mean, that a network begins with.
SMALLEST_SIZE = 1e-2
# Arrays that say how noise changes with the parameters.
UNEVEN = ("log_slope", "knots", "bends")


class Expected(NamedTuple):
    """What is expected of observables, and how that changes with the parameters.

    Attributes
    ----------
    mean, log_variance : Tensor, shape (batch, observables)
    mean_slope, log_variance_slope : Tensor, shape (batch, dim, observables)
    """

    mean: Tensor
    log_variance: Tensor
    mean_slope: Tensor
    log_variance_slope: Tensor


class Likelihood(LearnedOfParameters):
    """A normal law of observables, given parameters; both of double precision.

    What is expected is a quadratic function of the parameters, and what a small network adds. The
    network also gives the log variances. Both are in units of `size`; where noise differs much,
    times the exponential of another quadratic function (`log_slope`) and of splines that all
    observables share (`bends`). Its weights are kept, as all else here is, as buffers: the training
    of the flow leaves them alone.

    Observables of two values have log odds in place of all this: a linear function of the
    parameters, and what the network adds if that helps. Counts, which come as log(1 + n), have the
    log of a mean, or log odds if they are out of a number of trials, and the network gives their
    log dispersions.

    Parameters
    ----------
    dim : int
        Number of parameters.
    n_observables : int
    n_givens : int
        Number of what is known of an experiment beside its observables. The law is that of the
        observables given these, too.
    hidden : int
        Width of the two layers of the network; a file that is read says which.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.learning import learned
    >>> generator = torch.Generator().manual_seed(1)
    >>> x = torch.randn(1200, 1, generator=generator).double()
    >>> noise = torch.randn(1200, 1, generator=generator).double()
    >>> y = x.exp() + 0.1 * (0.5 * x).exp() * noise
    >>> likelihood, _ = learned(x, y)
    >>> there = likelihood(torch.tensor([[0.0], [1.0]]).double())
    >>> there.mean.T.round(decimals=1)
    tensor([[1.0000, 2.7000]], dtype=torch.float64)
    >>> (0.5 * there.log_variance).exp().T.round(decimals=1)
    tensor([[0.1000, 0.2000]], dtype=torch.float64)
    """

    passes = 1
    """About how many times `uphill` goes over all slopes: the more, the fewer rows at once."""

    from_middle = True
    """Whether a search for a mode begins at the middle of all parameters, too."""

    coarse = None
    """A law to search with that reads less; None where all is read at once."""

    alone = False
    """Whether a start may mend its normal laws alike at all observations, if that is better."""

    strays = False
    """Whether searches often end at another mode. Squares of rows that are far from theirs would
    make all posteriors wide, so they count for little."""

    slope: Tensor
    offset: Tensor
    size: Tensor
    noise: Tensor
    correlation: Tensor
    inverse: Tensor
    log_slope: Tensor
    knots: Tensor
    bends: Tensor
    binary: Tensor
    counted: Tensor
    no: Tensor
    step: Tensor
    trials: Tensor

    def __init__(
        self, dim: int, n_observables: int, n_givens: int = 0, hidden: int = SMALL.hidden
    ) -> None:
        k, wide = n_observables, dim + n_givens
        shapes = {
            "slope": (wide + n_products(wide, 2), k),
            "offset": (k,),
            "log_slope": (wide + n_products(wide, 2), k),
            "knots": (wide, KNOTS),
            "bends": (wide * SPLINES,),
            "size": (k,),
            "noise": (k,),
            "no": (k,),
            "step": (k,),
            "trials": (k,),
        }
        super().__init__(dim, n_givens, hidden, 2 * k, shapes)
        self._least = counts.LEAST
        for name in ("size", "noise", "step"):
            getattr(self, name).fill_(1.0)
        self.knots.copy_(torch.arange(KNOTS))
        self.register_buffer("correlation", torch.eye(k, dtype=torch.float64))
        self.register_buffer("inverse", torch.eye(k, dtype=torch.float64))
        for name in ("binary", "counted"):
            self.register_buffer(name, torch.zeros(k, dtype=torch.bool))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Read a file; older ones know of no counts, choices, trials or uneven noise."""
        for name in ("binary", "counted", "no", "step", "trials", *UNEVEN):
            state_dict.setdefault(prefix + name, getattr(self, name))
        for name in ("correlation", "inverse"):  # none where nothing is normal
            setattr(self, name, torch.zeros_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def kinds(self) -> Kinds:
        """Which observables are binary, and which are counts."""
        return Kinds(self.binary, self.counted, self.no, self.step, self.trials)

    @property
    def softened(self) -> Sequence[Likelihood]:
        """The same law with counts that scatter at least as much as exponential ones.

        Far from the mode of sharp counts it still shows the way.
        """
        if not self.counted.any():
            return []
        found = copy(self)
        found._least = counts.FIRST
        return [found]

    def around(self, x: Tensor, y: Tensor, given: Tensor, within: Within) -> list[Tensor]:
        """Give further places for a search to begin at, around those that are foreseen: none."""
        del x, y, given, within
        return []

    def forward(self, x: Tensor, given: Tensor | None = None) -> Expected:
        """Give what is expected at parameters (batch, dim) and givens (batch, n_givens)."""
        scaled = self.scaled(x, given)
        found, slope = self.said_and_slopes(scaled)
        (added, log_variance), (added_slope, log_slope) = found.chunk(2, 1), slope.chunk(2, 2)
        read, by_read = powers(scaled, 2), read_slopes(scaled, self.dim) / self.spreads[:, None]
        risen = by_read @ self.slope
        width, by_width = self.width(scaled), torch.zeros_like(risen)
        if self.log_slope.any():
            by_width = self._width_slopes(scaled, by_read)
        size = self.size * width.exp()
        inside = (log_variance > LOWEST) & (log_variance < HIGHEST)
        law = self.kinds.law(
            self.offset + read @ self.slope + added * size,
            log_variance.clamp(LOWEST, HIGHEST) + 2 * (self.size * self.noise).log() + 2 * width,
            self._least,
        )
        return Expected(
            law.mean,
            law.log_variance,
            (risen + (added_slope + added[:, None] * by_width) * size[:, None])
            * law.by_first[:, None],
            (log_slope * inside[:, None] + 2 * by_width) * law.by_second[:, None],
        )

    def width(self, scaled: Tensor) -> Tensor:
        """Give the log of the unit of each observable, beside its size; (batch, observables).

        The quadratic function of each, and the splines that they share.
        """
        width = powers(scaled, 2) @ self.log_slope
        if self.bends.any():
            width[:, self.kinds.normal] += (splines(scaled, self.knots) @ self.bends)[:, None]
        return width

    def _width_slopes(self, scaled: Tensor, read_slopes: Tensor) -> Tensor:
        """Give how that changes with the parameters, (batch, dim, observables)."""
        each = slopes_of_splines(scaled, self.knots) * self.bends.reshape(-1, SPLINES)
        shared = each.sum(dim=2)
        slopes = read_slopes @ self.log_slope
        slopes[..., self.kinds.normal] += (shared[:, : self.dim] / self.spreads)[:, :, None]
        return slopes

    def law(self, x: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Give means and log variances at parameters (batch, dim), (batch, observables) each.

        As `forward` does, without slopes.
        """
        scaled = self.scaled(x, given)
        added, log_variance = self.said(scaled).chunk(2, 1)
        read = powers(scaled, 2)
        width = self.width(scaled)
        mean = self.offset + read @ self.slope + added * (self.size * width.exp())
        log_variance = log_variance.clamp(LOWEST, HIGHEST) + 2 * (self.size * self.noise).log()
        log_variance = log_variance + 2 * width
        return self.kinds.law(mean, log_variance, self._least)[:2]

    def left(self, y: Tensor, mean: Tensor, log_variance: Tensor) -> Left:
        """Compare observables (batch, k) with what was expected of them."""
        return self.kinds.left(y, mean, log_variance, self.inverse)

    def information(self, slope: Tensor, of_width: Tensor) -> Tensor:
        """Give Fisher's information of the parameters, (batch, dim, dim).

        From how means, in standard deviations, and log variances change with the parameters,
        (batch, dim, observables) each. Noises of normal observables go together, and no others.
        """
        if not len(self.kinds.normal):
            return slope @ slope.mT + 0.5 * of_width @ of_width.mT
        told = 0.25 * self.correlation * self.inverse
        told.diagonal().add_(0.25)
        return slope @ self.inverse @ slope.mT + of_width @ told @ of_width.mT

    def compare(self, x: Tensor, y: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compare observables (batch, k) with what parameters (batch, dim) lead to.

        Returns
        -------
        Tensor, shape (batch,)
            Mean square of what is left, in units of its noise.
        Tensor, shape (batch,)
            Log density of the observables, but for a constant.
        """
        left = self.left(y, *self.law(x, given))
        return left.square.mean(dim=1), -left.loss

    def uphill(self, x: Tensor, y: Tensor, given: Tensor) -> Uphill:
        """Give how the log density of observables changes with parameters, and its information.

        With z what is left of y in units of its noise, C its correlation and v its log variance,
        the slope is (dmean / noise) C^-1 z + dv / 2 (z C^-1 z - 1), and the information
        (dmean / noise) C^-1 (dmean / noise)' + dv (1 + C o C^-1) / 4 dv'; o multiplies entry by
        entry.
        """
        expected = self(x, given)
        left = self.left(y, expected.mean, expected.log_variance)
        per_width = torch.exp(-0.5 * expected.log_variance)
        slope, of_width = expected.mean_slope * per_width[:, None], expected.log_variance_slope
        steepest = (slope @ left.freed[:, :, None])[:, :, 0]
        steepest = steepest + (of_width @ left.wider[:, :, None])[:, :, 0]
        misfit = left.square.mean(dim=1, keepdim=True)
        return Uphill(misfit, left.loss, steepest, self.information(slope, of_width))

    @property
    def _log_odds(self) -> Tensor:
        """Slopes above offsets of those that are regressed on the parameters themselves."""
        linear = self.slope[: len(self.centre), self.binary]
        return torch.cat([linear, self.offset[None, self.binary]])

    def _yes(self, y: Tensor) -> Tensor:
        """Give the binary ones among the observables, as zeros and ones."""
        return ((y - self.no) / self.step)[:, self.binary]

    def is_of(self, kinds: Kinds) -> None:
        """Take over which law each observable follows; only normal ones may go together."""
        for own, one in zip(self.kinds, kinds, strict=True):
            own.copy_(one)
        if not len(kinds.normal):
            self.correlation = self.inverse = self.correlation[:0, :0]

    def _bend(self, x: Tensor, y: Tensor, near: Likelihood | None = None) -> None:
        """Regress y on a quadratic function of x; log odds on x itself, and `near` another's."""
        scaled = self.scaled(x)
        slope, offset = regressed(powers(scaled, 2), y)
        self.slope.copy_(slope)
        self.offset.copy_(offset)
        if self.counted.any():
            self._regress_counts(scaled, y[:, self.counted].expm1())
        if self.binary.any():
            start = None if near is None else near._log_odds
            slope, offset = log_odds.regressed(scaled, self._yes(y), start)
            self.slope[:, self.binary] = 0.0
            self.slope[: len(slope), self.binary] = slope
            self.offset[self.binary] = offset

    def _regress_counts(self, scaled: Tensor, n: Tensor) -> None:
        """Regress log rates or log odds: on a quadratic function of few parameters, or linearly."""
        read = powers(scaled, 2)
        read = read if read.shape[1] <= counts.MOST_FEATURES else scaled
        found, dispersion = counts.regressed(read, n, self.trials[self.counted])
        self.slope[:, self.counted] = 0.0
        self.slope[: read.shape[1], self.counted] = found[:-1]
        self.offset[self.counted] = found[-1]
        self.size[self.counted] = dispersion.sqrt().clamp(min=SMALLEST_SIZE)

    def _left(self, x: Tensor, y: Tensor) -> Tensor:
        """Give what the quadratic function leaves, scaled; the log odds of what came; log rates."""
        scaled = self.scaled(x)
        foreseen = self.offset + powers(scaled, 2) @ self.slope
        left = (y - foreseen) / (self.size * self.width(scaled).exp())
        left = torch.where(self.binary, self.kinds.came(y) * foreseen, left)
        return torch.where(self.counted, foreseen, left)


def read_slopes(x: Tensor, dim: int) -> Tensor:
    """Give how `powers` of degree 2 change with the first columns of x, (batch, dim, features)."""
    wide = x.shape[1]
    found = x.new_zeros(len(x), wide, wide + n_products(wide, 2))
    found[:, :, :wide] = torch.eye(wide, dtype=x.dtype, device=x.device)
    for place, (i, j) in enumerate(pairs(wide), wide):
        found[:, i, place] += x[:, j]
        found[:, j, place] += x[:, i]
    return found[:, :dim]
