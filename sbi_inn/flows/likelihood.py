"""A likelihood that is learned: which observables parameters lead to, and how noisy these are.

A simulator is smoother than its inverse. What is expected of the observables, and the variance of
each, are learned as functions of the parameters from few rows; a constant correlation of what is
left completes a normal law (a synthetic likelihood; Wood 2010, doi:10.1038/nature09319). Of binary
observables, such as choices, log odds are learned, and of counts log rates and dispersions; given
the parameters, they are independent.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sbi_inn.flows import counts, log_odds
from sbi_inn.flows.emulator import regressed
from sbi_inn.flows.left_out import left_out
from sbi_inn.flows.likelihood_networks import HIGHEST, LOWEST, SMALL, Size, Targets, trained
from sbi_inn.flows.observable_laws import Kinds, Left
from sbi_inn.flows.prediction import n_products, pairs, powers
from sbi_inn.flows.regression import SMALLEST_VARIANCE

# Names of the layers of the network.
LAYERS = ("first", "second", "last")
# Parts that rows are cut into; what is said of each is learned from the others.
FOLDS = 4
# Widths beyond which what is left says no more about correlations.
OUTLYING = 4.0
# Counts up to which larger networks are tried: their law takes long to evaluate.
FEW_COUNTS = 16
# Smallest scatter of counts, as a share of their mean, that a network begins with.
SMALLEST_SIZE = 1e-2
# Shares of the correlations that may not be believed; rows left out say which one is best.
SHRUNK = (0.1, 0.2, 0.4, 0.7, 0.95)

# The places of the rows of each part, and of all others.
Parts = list[tuple[Tensor, Tensor]]


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


class Likelihood(nn.Module):
    """A normal law of observables, given parameters; both of double precision.

    What is expected is a quadratic function of the parameters, and what a small network adds. The
    network also gives the log variances. Its weights are kept, as all else here is, as buffers: the
    training of the flow leaves them alone.

    Observables of two values have log odds in place of all this: a linear function of the
    parameters, and what the network adds if that helps. Counts, which come as log(1 + n), have the
    log of a mean, and the network gives their log dispersions.

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
    >>> from sbi_inn.flows.likelihood import learned
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

    centre: Tensor
    spread: Tensor
    slope: Tensor
    offset: Tensor
    size: Tensor
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    last: Tensor
    last_bias: Tensor
    noise: Tensor
    correlation: Tensor
    inverse: Tensor
    binary: Tensor
    counted: Tensor
    no: Tensor
    step: Tensor

    def __init__(
        self, dim: int, n_observables: int, n_givens: int = 0, hidden: int = SMALL.hidden
    ) -> None:
        super().__init__()
        self.dim, k, wide = dim, n_observables, dim + n_givens
        self._least = counts.LEAST
        shapes = {
            "centre": (wide,),
            "spread": (wide,),
            "slope": (wide + n_products(wide, 2), k),
            "offset": (k,),
            "size": (k,),
            "first": (hidden, wide),
            "first_bias": (hidden,),
            "second": (hidden, hidden),
            "second_bias": (hidden,),
            "last": (2 * k, hidden),
            "last_bias": (2 * k,),
            "noise": (k,),
            "no": (k,),
            "step": (k,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        for name in ("spread", "size", "noise", "step"):
            getattr(self, name).fill_(1.0)
        self.register_buffer("correlation", torch.eye(k, dtype=torch.float64))
        self.register_buffer("inverse", torch.eye(k, dtype=torch.float64))
        for name in ("binary", "counted"):
            self.register_buffer(name, torch.zeros(k, dtype=torch.bool))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Read a file; older ones know of no binary observables, and of no counts."""
        for name in ("binary", "counted", "no", "step"):
            state_dict.setdefault(prefix + name, getattr(self, name))
        for name in (*LAYERS, *(f"{name}_bias" for name in LAYERS)):
            setattr(self, name, torch.zeros_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def kinds(self) -> Kinds:
        """Which observables are binary, and which are counts."""
        return Kinds(self.binary, self.counted, self.no, self.step)

    @property
    def spreads(self) -> Tensor:
        """Those of the parameters, shape (dim,)."""
        return self.spread[: self.dim]

    def softer(self) -> Likelihood:
        """Give the same law with counts that scatter at least as much as exponential ones.

        Far from the mode of sharp counts it still shows the way.
        """
        found = copy(self)
        found._least = counts.FIRST
        return found

    def forward(self, x: Tensor, given: Tensor | None = None) -> Expected:
        """Give what is expected at parameters (batch, dim) and givens (batch, n_givens)."""
        scaled = self._scaled(x if given is None else torch.cat([x, given], dim=1))
        (weight, bias), *rest = ((getattr(self, n), getattr(self, f"{n}_bias")) for n in LAYERS)
        found = F.linear(scaled, weight, bias)
        slope = (weight[:, : self.dim] / self.spreads).T
        for weight, bias in rest:
            gate = torch.sigmoid(found)
            slope = slope * (gate * (1 + found * (1 - gate)))[:, None] @ weight.T
            found = F.linear(found * gate, weight, bias)
        (added, log_variance), (added_slope, log_slope) = found.chunk(2, 1), slope.chunk(2, 2)
        inside = (log_variance > LOWEST) & (log_variance < HIGHEST)
        bent = _slopes(scaled, self.dim) / self.spreads[:, None] @ self.slope
        law = self.kinds.law(
            self.offset + powers(scaled, 2) @ self.slope + added * self.size,
            log_variance.clamp(LOWEST, HIGHEST) + 2 * (self.size * self.noise).log(),
            self._least,
        )
        return Expected(
            law.mean,
            law.log_variance,
            (bent + added_slope * self.size) * law.by_first[:, None],
            log_slope * inside[:, None] * law.by_second[:, None],
        )

    def law(self, x: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Give means and log variances at parameters (batch, dim), (batch, observables) each.

        As `forward` does, without slopes.
        """
        scaled = self._scaled(x if given is None else torch.cat([x, given], dim=1))
        h = F.silu(F.linear(scaled, self.first, self.first_bias))
        h = F.silu(F.linear(h, self.second, self.second_bias))
        added, log_variance = F.linear(h, self.last, self.last_bias).chunk(2, 1)
        mean = self.offset + powers(scaled, 2) @ self.slope + added * self.size
        log_variance = log_variance.clamp(LOWEST, HIGHEST) + 2 * (self.size * self.noise).log()
        return self.kinds.law(mean, log_variance, self._least)[:2]

    def left(self, y: Tensor, mean: Tensor, log_variance: Tensor) -> Left:
        """Compare observables (batch, k) with what was expected of them."""
        return self.kinds.left(y, mean, log_variance, self.inverse)

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

    def _scaled(self, x: Tensor) -> Tensor:
        """Scale parameters and givens, side by side."""
        return (x - self.centre) / self.spread

    def _yes(self, y: Tensor) -> Tensor:
        """Give the binary ones among the observables, as zeros and ones."""
        return ((y - self.no) / self.step)[:, self.binary]

    def _bend(self, x: Tensor, y: Tensor) -> None:
        """Regress y on a quadratic function of x; log odds on x itself."""
        scaled = self._scaled(x)
        slope, offset = regressed(powers(scaled, 2), y)
        self.slope.copy_(slope)
        self.offset.copy_(offset)
        if self.counted.any():
            self._regress_counts(scaled, y[:, self.counted].expm1())
        if self.binary.any():
            slope, offset = log_odds.regressed(scaled, self._yes(y))
            self.slope[:, self.binary] = 0.0
            self.slope[: len(slope), self.binary] = slope
            self.offset[self.binary] = offset

    def _regress_counts(self, scaled: Tensor, n: Tensor) -> None:
        """Regress log rates: on a quadratic function of few parameters, else on a linear one."""
        read = powers(scaled, 2)
        read = read if read.shape[1] <= counts.MOST_FEATURES else scaled
        found, dispersion = counts.regressed(read, n)
        self.slope[:, self.counted] = 0.0
        self.slope[: read.shape[1], self.counted] = found[:-1]
        self.offset[self.counted] = found[-1]
        self.size[self.counted] = dispersion.sqrt().clamp(min=SMALLEST_SIZE)

    def _left(self, x: Tensor, y: Tensor) -> Tensor:
        """Give what the quadratic function leaves, scaled; the log odds of what came; log rates."""
        bent = self.offset + powers(self._scaled(x), 2) @ self.slope
        left = torch.where(self.binary, self.kinds.came(y) * bent, (y - bent) / self.size)
        return torch.where(self.counted, bent, left)


@torch.no_grad()
def learned(
    x: Tensor,
    y: Tensor,
    given: Tensor | None = None,
    sizes: tuple[Size, ...] = (SMALL,),
) -> tuple[Likelihood, list[Likelihood]]:
    """Learn from parameters (rows, dim), observables (rows, observables) and givens (rows, givens).

    By networks of the one of some sizes that fares best on rows left out; by the first, the
    smallest, where all is binary or counts are many.

    Returns
    -------
    Likelihood
        Of all rows.
    list of Likelihood
        Of all but those of a part, for each of the parts that `parts_of` gives: what is said of
        rows by one that was learned from them is too good to be true.
    """
    parts, dim = parts_of(len(x)), x.shape[1]
    x = x if given is None else torch.cat([x, given], dim=1)
    n_givens = x.shape[1] - dim
    members = [Likelihood(dim, y.shape[1], n_givens) for _ in range(1 + len(parts))]
    rows = [torch.arange(len(x)), *(others for _, others in parts)]
    whole, *folds = members
    centre, spread = x.mean(dim=0), x.std(dim=0).clamp(min=SMALLEST_VARIANCE)
    kinds = Kinds.of(y)
    for member, mine in zip(members, rows, strict=True):
        member.centre.copy_(centre)
        member.spread.copy_(spread)
        for own, found in zip(member.kinds, kinds, strict=True):
            own.copy_(found)
        member._bend(x[mine], y[mine])
    size = whole._left(x, y).square().mean(dim=0).sqrt()
    size = torch.where((size > 0) & ~kinds.binary, size, 1.0)
    size = torch.where(kinds.counted, whole.size, size)
    for member in members:
        member.size.copy_(size)
    left = torch.stack([member._left(x, y) for member in members])
    targets = Targets(left.float(), kinds.came(y).float(), kinds.binary, kinds.counted, size)
    held = [part for part, _ in parts]
    if kinds.binary.all() or kinds.counted.sum() > FEW_COUNTS:
        sizes = sizes[:1]
    weights = trained(whole._scaled(x).float(), targets, rows, held, sizes)
    for place, member in enumerate(members):
        for name, weight, bias in zip(LAYERS, weights[::2], weights[1::2], strict=True):
            setattr(member, name, weight[place].T.to(x).contiguous())
            setattr(member, f"{name}_bias", bias[place, 0].to(x).contiguous())
    _correlate(members, x, y, parts)
    return whole, folds


def parts_of(rows: int) -> Parts:
    """Give the places of each part of so many rows, and of all others."""
    return list(left_out(rows, FOLDS))


def _correlate(members: list[Likelihood], x: Tensor, y: Tensor, parts: Parts) -> None:
    """Learn how large what is left of rows left out is, and how it goes together."""
    normal = members[0].kinds.normal
    if not len(normal):
        return
    left = torch.empty_like(y)
    for member, (part, _) in zip(members[1:], parts, strict=True):
        expected = member(*x[part].tensor_split([member.dim], dim=1))
        left[part] = member.left(y[part], expected.mean, expected.log_variance).noises
    left = left[:, normal].clamp(-OUTLYING, OUTLYING)
    noise, correlation = _together(left, _believed(left, parts))
    for member in members:
        member.noise[normal] = noise
        member.correlation[normal[:, None], normal] = correlation
        member.inverse[normal[:, None], normal] = torch.linalg.inv(correlation)


def _together(left: Tensor, shrunk: float) -> tuple[Tensor, Tensor]:
    """Give the noise of each observable, and correlations of which a share is not believed."""
    together = left.T @ left / len(left)
    noise = together.diagonal().clamp(min=SMALLEST_VARIANCE).sqrt()
    correlation = (1 - shrunk) * together / noise / noise[:, None]
    correlation.diagonal().fill_(1.0)
    return noise, correlation


def _believed(left: Tensor, parts: Parts) -> float:
    """Find which share of the correlations not to believe: each part is compared with the others.

    Those of many observables that were learned from few rows are too sure of their smallest
    directions.
    """
    found = []
    for shrunk in SHRUNK:
        loss = 0.0
        for part, others in parts:
            noise, correlation = _together(left[others], shrunk)
            root = torch.linalg.cholesky(correlation)
            z = torch.linalg.solve_triangular(root, (left[part] / noise).T, upper=False)
            size = root.diagonal().log().sum() + noise.log().sum()
            loss += float(0.5 * z.square().sum() + len(part) * size)
        found.append((loss, shrunk))
    return min(found)[1]


def _slopes(x: Tensor, dim: int) -> Tensor:
    """Give how `powers` of degree 2 change with the first columns of x, (batch, dim, features)."""
    wide = x.shape[1]
    found = x.new_zeros(len(x), wide, wide + n_products(wide, 2))
    found[:, :, :wide] = torch.eye(wide, dtype=x.dtype, device=x.device)
    for place, (i, j) in enumerate(pairs(wide), wide):
        found[:, i, place] += x[:, j]
        found[:, j, place] += x[:, i]
    return found[:, :dim]
