"""Axes that are cut into pieces, one for each value of a discrete variable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.special import ndtri

from sbi_inn.flows.bijection import Bijection
from sbi_inn.shared_work.contexts import for_each

Bounds = tuple[Tensor, Tensor, Tensor]  # probability below a piece, of it, and above it


class Pieces(Bijection):
    """Give every piece of some axes a probability of its own; another bijection takes the rest.

    Under N(0, 1) piece k of an axis has the probability p_k. A network says that it is to have w_k:
    the piece is stretched, evenly in probability, to one of probability w_k,

        z = G(W_k + (Phi(x) - P_k) w_k / p_k),    G the inverse of Phi,

    with P_k and W_k the sums over the pieces below. Starting from N(0, 1), the density of x is then
    w_k / p_k times N(x) in piece k: it jumps where a discrete variable does, as no smooth map can.
    Later axes see in which pieces the earlier ones are, and so does the bijection of the rest.

    Parameters
    ----------
    dim : int
        Number of axes.
    cuts : mapping of int to sequence of float
        Axis to the inner ends of its pieces, rising; a piece holds its upper end.
    subnet : callable (n_in, n_out) -> Module
        Makes the network of each axis, called with (batch, n_in) and the context: n_in counts the
        pieces of earlier axes, n_out its own.
    rest : Bijection or None
        Of the other axes, in order; its context begins with one number for each piece, 1 where x is
        in it and 0 elsewhere. None if there are no other axes.

    Examples
    --------
    >>> import torch
    >>> from functools import partial
    >>> from sbi_inn.flows import MLP, Pieces
    >>> coin = Pieces(1, {0: [0.0]}, partial(MLP, context=1, hidden=4, depth=1), None)
    >>> _ = coin.heads[0].leave.bias.data.copy_(torch.log(torch.tensor([0.9, 0.1])))
    >>> x, _ = coin.inverse(torch.randn(10_000, 1), torch.zeros(1, 1))
    >>> round((x < 0).float().mean().item(), 1)
    0.9
    """

    def __init__(
        self,
        dim: int,
        cuts: Mapping[int, Sequence[float]],
        subnet: Callable[[int, int], nn.Module],
        rest: Bijection | None,
    ) -> None:
        super().__init__()
        self.axes = tuple(cuts)
        self.others = [axis for axis in range(dim) if axis not in cuts]
        self.counts = tuple(len(cut) + 1 for cut in cuts.values())
        self.rest = rest
        before = [sum(self.counts[:i]) for i in range(len(cuts))]
        pairs = zip(before, self.counts, strict=True)
        self.heads = nn.ModuleList(subnet(n_in, n_out) for n_in, n_out in pairs)
        for i, cut in enumerate(cuts.values()):
            ends = torch.tensor([-math.inf, *cut, math.inf], dtype=torch.float64)
            # Upper tails are differences of upper tails: 1 minus a number near 1 would lose them.
            below, above = _cdf(ends), _cdf(-ends)
            mass = torch.where(ends[:-1] < 0, below.diff(), -above.diff())
            table = torch.stack([below[:-1], mass, above[1:], ends[:-1], ends[1:]])
            self.register_buffer(f"table{i}", table, persistent=False)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Stretch each piece to the probability that it is to have."""
        return self._map(x, context, inverse=False)

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Shrink each piece back to its probability under N(0, 1)."""
        return self._map(z, context, inverse=True)

    def inside(self, x: Tensor) -> Tensor:
        """Say in which piece of each axis x is, shape (batch, pieces): 1 there, and 0 elsewhere."""
        places = [x.new_empty(len(x), 0)]
        for i, axis in enumerate(self.axes):
            places.append(self._inside(x[:, axis], i))
        return torch.cat(places, dim=1)

    def _map(self, x: Tensor, context: Tensor, *, inverse: bool) -> tuple[Tensor, Tensor]:
        context = for_each(context, len(x))
        mapped, log_det = list(x.unbind(dim=1)), x.new_zeros(len(x))
        inside = x.new_empty(len(x), 0)
        for i, axis in enumerate(self.axes):
            table = self._table(i, x.dtype)
            log_mass = self.heads[i](inside, context) + table[1].log()
            log_mass = F.log_softmax(log_mass, dim=1).expand(len(x), -1)
            below, mass, above = (row.expand_as(log_mass) for row in table[:3])
            pair = (below, mass, above), _bounds(log_mass.exp())
            if inverse:
                here = _piece(x[:, axis], pair[1])
                found = _stretched(x[:, axis], *_at(here, pair[1], pair[0]))
                low, high = table[3][here], table[4][here]
                found = torch.minimum(torch.maximum(found, _after(low)), -_after(-high))
                placed = F.one_hot(here, self.counts[i]).to(x.dtype)
            else:
                placed = self._inside(x[:, axis], i)
                here = placed.argmax(dim=1)
                found = _stretched(x[:, axis], *_at(here, *pair))
            ratio = log_mass.gather(1, here[:, None])[:, 0] - table[1].log()[here]
            change = 0.5 * (found.square() - x[:, axis].square())
            log_det = log_det + (change - ratio if inverse else change + ratio)
            mapped[axis], inside = found, torch.cat([inside, placed], dim=1)
        if self.rest is None:
            return torch.stack(mapped, dim=1), log_det
        steer = torch.cat([inside, context.expand(len(x), -1)], dim=1)
        others = x[:, self.others]
        turned, more = self.rest.inverse(others, steer) if inverse else self.rest(others, steer)
        for axis, column in zip(self.others, turned.unbind(dim=1), strict=True):
            mapped[axis] = column
        return torch.stack(mapped, dim=1), log_det + more

    def _table(self, i: int, dtype: torch.dtype) -> Tensor:
        """Probability below, of and above each piece of an axis, and its two ends, (5, pieces)."""
        return self.get_buffer(f"table{i}").to(dtype)

    def _inside(self, x: Tensor, i: int) -> Tensor:
        here = torch.bucketize(x.contiguous(), self._table(i, x.dtype)[4, :-1])
        return F.one_hot(here, self.counts[i]).to(x.dtype)


def _cdf(x: Tensor) -> Tensor:
    """Phi, with relative accuracy in the lower tail, which torch.special.ndtr has not."""
    return 0.5 * torch.erfc(-math.sqrt(0.5) * x)


def _bounds(mass: Tensor) -> Bounds:
    """Probability below, of and above each piece, from its probability (batch, pieces)."""
    below = F.pad(mass.cumsum(dim=1)[:, :-1], (1, 0))
    above = F.pad(mass.flip(1).cumsum(dim=1).flip(1)[:, 1:], (0, 1))
    return below, mass, above


def _piece(z: Tensor, bounds: Bounds) -> Tensor:
    """Count the pieces that end below z, whose probabilities are given; (batch,)."""
    _, _, above = bounds
    return (_cdf(-z)[:, None] < above[:, :-1]).sum(dim=1)


def _at(here: Tensor, *many: Bounds) -> tuple[Bounds, ...]:
    """Choose each row's own piece."""
    return tuple(
        (
            below.gather(1, here[:, None])[:, 0],
            mass.gather(1, here[:, None])[:, 0],
            above.gather(1, here[:, None])[:, 0],
        )
        for below, mass, above in many
    )


def _stretched(x: Tensor, own: Bounds, wanted: Bounds) -> Tensor:
    """Map a piece of N(0, 1) to another, evenly in probability."""
    smallest = torch.finfo(x.dtype).tiny
    below, mass, above = own
    mass = mass.clamp(min=smallest)
    from_below = ((_cdf(x) - below) / mass).clamp(0, 1)
    from_above = ((_cdf(-x) - above) / mass).clamp(0, 1)
    low = wanted[0] + torch.where(x < 0, from_below, 1 - from_above) * wanted[1]
    high = wanted[2] + torch.where(x < 0, 1 - from_below, from_above) * wanted[1]
    # Held away from 0, where the quantile's slope has no bound.
    smallest = torch.finfo(x.dtype).eps ** 2
    upper = low > high
    quantile = ndtri(torch.where(upper, high, low).clamp(min=smallest))
    return torch.where(upper, -quantile, quantile)


def _after(end: Tensor) -> Tensor:
    """Go a few numbers up from an end, which rounding must not cross."""
    return end + 8 * torch.finfo(end.dtype).eps * end.abs().clamp(1, 100)
