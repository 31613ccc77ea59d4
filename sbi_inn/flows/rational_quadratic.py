"""Rational-quadratic splines with their gradients written out (Durkan et al. 2019).

Knots. With a and b the raw widths and heights of a number's K bins, the knots on the two axes are
an affine map of softmax(a) and softmax(b), the same for all numbers; slopes at the inner knots are
softplus(raw), and 1 at the two ends.

Piece. Let (x0, y0) be the corner of the bin that holds x, w, h its sizes, d0, d1 the slopes at its
ends, s = h / w, t = (x - x0) / w, u = t (1 - t), and

    N = s t^2 + d0 u,   D = s + (d0 + d1 - 2 s) u,   R = d1 t^2 + 2 s u + d0 (1 - t)^2.

Then (eqs. 4 and 5 of the source)

    z = y0 + h N / D,     dz/dx = s^2 R / D^2,     l = log dz/dx.

Gradient. For a loss with gz = dL/dz and gl = dL/dl, the gradients of what enters are

    n = gz h / D,   r = gl / R,   m = -(n N + 2 gl) / D      (of N, R and D),
    d0: n u + m u + r (1 - t)^2,        d1: m u + r t^2,
    s:  n t^2 + m (1 - 2 u) + 2 r u + 2 gl / s,
    h:  gz N / D + s' / w,              w: -(s' s + t' t) / w,
    x0: -t' / w,                        y0: gz,             x: t' / w,

where s' is the line for s, and

    t' = gz w dz/dx + gl w dl/dx,
    w dl/dx = (2 d1 t + 2 s (1 - 2 t) - 2 d0 (1 - t)) / R - 2 (d0 + d1 - 2 s) (1 - 2 t) / D.

Inverse. x(z) solves z = f(x), and its log slope is -l. Let gx and gl be the gradients of these two.
Differentiating z = f(x; parameters) gives dx = (dz - df) / f', so that

    dL/dz = (gx - gl dl/dx) / f',

and the parameters receive what the gradient above gives with gz = -dL/dz and -gl for gl.

Layout. Parameters come as the widths of all numbers, then all heights, then all slopes. Tables have
three rows, of knots on both axes and slopes, and the numbers of a batch in their last dimension,
side by side in memory: sums and selections over bins then run over many numbers at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

SMALLEST_BIN = 1e-3  # share of the axis, as in the source's code: no piece may vanish
SMALLEST_SLOPE = 1e-3  # as there: the inverse must not be infinitely steep
# softplus(SLOPE_ONE) + SMALLEST_SLOPE = 1, so that zero parameters give the identity.
SLOPE_ONE = math.log(math.expm1(1 - SMALLEST_SLOPE))

_softmax_backward = torch.ops.aten._softmax_backward_data.out


class _Piece(NamedTuple):
    """The bin that holds each number: corner and sizes, (dim, batch); slopes, (dim, 2, batch)."""

    x0: Tensor
    y0: Tensor
    width: Tensor
    height: Tensor
    slopes: Tensor


class RationalQuadratic(torch.autograd.Function):
    """A spline inside [-bound, bound], the identity outside.

    Takes numbers (batch, dim), raw widths, heights and slopes (batch or 1, dim * (3 bins - 1)), the
    number of bins, the bound, and whether to invert; gives the images (batch, dim), and the log
    slope (batch,) of the direction taken, summed over the dimensions.
    """

    @staticmethod
    def forward(
        ctx: Any, at: Tensor, parameters: Tensor, bins: int, bound: float, inverse: bool
    ) -> tuple[Tensor, Tensor]:
        """Find the pieces, then evaluate or solve them."""
        at = at.t()
        inside = at.abs() < bound
        counts = inside.to(at.dtype)
        here = at.clamp(-bound, bound)
        shares, table = tables(parameters, len(at), bins, bound)
        ends = _ends(here, table[int(inverse)])
        piece = _piece(table, ends)
        t = _solve(here, piece) if inverse else (here - piece.x0).div_(piece.width)
        z, slope, parts = _evaluate(t, piece)
        ctx.save_for_backward(inside, counts, ends, shares, t, slope, *piece[2:], *parts)
        ctx.bound, ctx.inverse = bound, inverse
        y = torch.addcmul(piece.x0, t, piece.width) if inverse else z
        log_slope = slope.log().mul_(counts).sum(dim=0)
        return torch.where(inside, y, at).t(), -log_slope if inverse else log_slope

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor, gl: Tensor) -> tuple[Tensor | None, ...]:
        """See the top of this file."""
        inside, counts, ends, shares, t, slope, *kept = ctx.saved_tensors
        (width, height, slopes), parts = kept[:3], kept[3:]
        piece = _Piece(t, t, width, height, slopes)  # the gradient does not depend on the corner
        gy = gy.t()
        gz, gl = gy * counts, gl * counts
        rate = _log_slope_by_t(t, piece, parts)
        if ctx.inverse:
            gz, gl = torch.div(torch.addcdiv(gz, gl * rate, width, value=-1), -slope), -gl
        d_t = torch.addcmul(gl * rate, gz * width, slope)
        d_at = -gz if ctx.inverse else d_t / width
        d_ends = _gradient(gz, gl, d_t, t, piece, parts)
        d_parameters = _to_parameters(d_ends, ends, shares, ctx.bound)
        return torch.where(inside, d_at, gy).t(), d_parameters, None, None, None


def tables(parameters: Tensor, dim: int, bins: int, bound: float) -> tuple[Tensor, Tensor]:
    """Lay out what the raw parameters say.

    Returns
    -------
    shares : Tensor, shape (2, dim, bins, batch)
        Softmax of raw widths and heights.
    table : Tensor, shape (3, dim, bins + 1, batch)
        Positions of the knots on both axes, and raw slopes there: zeros, which mean slope one, at
        the ends.
    """
    raw = parameters.t().contiguous()
    sizes, slopes = raw.split([2 * dim * bins, dim * (bins - 1)])
    shares = sizes.view(2, dim, bins, -1).softmax(dim=2)
    start, ladder = _ladder(bins, bound, raw.dtype, raw.device)
    table = raw.new_empty(3, dim, bins + 1, raw.shape[1])
    torch.baddbmm(
        start,
        ladder.expand(2 * dim, -1, -1),
        shares.view(2 * dim, bins, -1),
        out=table[:2].view(2 * dim, bins + 1, -1),
    )
    table[2, :, ::bins].zero_()
    table[2, :, 1:-1].copy_(slopes.view(dim, bins - 1, -1))
    return shares, table


def to_slope(raw: Tensor) -> Tensor:
    """Make slopes positive; zero becomes one."""
    return F.softplus(raw + SLOPE_ONE) + SMALLEST_SLOPE


@lru_cache
@torch.inference_mode(False)
def _ladder(
    bins: int, bound: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Start (bins + 1, 1) and matrix (bins + 1, bins) that take shares of an axis to its knots.

    The outer knots are the bounds themselves, free of rounding.
    """
    start = torch.arange(bins + 1, dtype=dtype, device=device) * (2 * bound * SMALLEST_BIN) - bound
    start[-1] = bound
    ladder = torch.ones(bins + 1, bins, dtype=dtype, device=device).tril(-1)
    ladder[-1] = 0
    return start.unsqueeze(1), ladder * (2 * bound * (1 - SMALLEST_BIN * bins))


def _ends(at: Tensor, axis: Tensor) -> Tensor:
    """Say which knots of an axis lie on both sides of each number, (dim, 2, batch)."""
    ends = torch.empty(len(at), 2, at.shape[1], dtype=torch.int64, device=at.device)
    low, high = ends.unbind(dim=1)
    torch.sum(at.unsqueeze(1) >= axis[:, 1:-1], dim=1, out=low)
    torch.add(low, 1, out=high)
    return ends


def _piece(table: Tensor, ends: Tensor) -> _Piece:
    found = table.expand(-1, -1, -1, ends.shape[2]).gather(2, ends.expand(3, -1, -1, -1))
    low, high = found[:2].unbind(dim=2)
    (x0, y0), (width, height) = low.unbind(), (high - low).unbind()
    return _Piece(x0, y0, width, height, to_slope(found[2]))


def _evaluate(t: Tensor, piece: _Piece) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Value and slope at the share `t` of the way through a piece.

    And what the gradient needs again: 1 - t, s, d0 + d1 - 2 s, u, N, D and R.
    """
    _, y0, width, height, slopes = piece
    d0, d1 = slopes.unbind(dim=1)
    s, rest = height / width, 1 - t
    u = t * rest
    bend = torch.add(d0, d1).sub_(s, alpha=2)
    inner = torch.addcmul(d0 * rest, s, t)
    n = inner * t
    d = torch.addcmul(s, bend, u)
    # The same as above, in fewer operations: R = t (d1 t + s (1 - t)) + (1 - t) (N / t).
    r = torch.addcmul(inner.mul_(rest), t, torch.addcmul(d1 * t, s, rest))
    slope = (s / d).square_().mul_(r)
    return torch.addcmul(y0, height, n / d), slope, (rest, s, bend, u, n, d, r)


def _solve(z: Tensor, piece: _Piece) -> Tensor:
    """Solve the quadratic of the piece (eqs. 6 to 8 of the source)."""
    _, y0, width, height, slopes = piece
    d0, d1 = slopes.unbind(dim=1)
    s = height / width
    rise, bend = z - y0, d0 + d1 - 2 * s
    a = height * (s - d0) + rise * bend
    b = height * d0 - rise * bend
    c = -s * rise
    root = torch.sqrt((b.square() - 4 * a * c).clamp(min=0))
    # Of the two ways to write the solution, the one without cancellation: the source's (b > 0)
    # loses all digits of float32 where slopes differ much.
    direct = b > 0
    t = torch.where(direct, -2 * c, root - b) / torch.where(direct, b + root, 2 * a)
    return t.clamp(0, 1)  # rounding must not lead out of the piece


def _log_slope_by_t(t: Tensor, piece: _Piece, parts: Sequence[Tensor]) -> Tensor:
    """Differentiate l by t."""
    rest, s, bend, _, _, d, r = parts
    d0, d1 = piece.slopes.unbind(dim=1)
    turn = rest - t
    rate = torch.addcmul(d1 * t, s, turn).addcmul_(d0, rest, value=-1)
    return rate.div_(r).addcdiv_(bend.mul(turn), d, value=-1).mul_(2)


def _gradient(
    gz: Tensor, gl: Tensor, d_t: Tensor, t: Tensor, piece: _Piece, parts: Sequence[Tensor]
) -> Tensor:
    """Differentiate by the knots at both ends and their raw slopes, (3, dim, 2, batch)."""
    _, _, width, height, slopes = piece
    rest, s, _, u, n, d, r = parts
    by_n = (gz * height).div_(d)
    by_r = gl / r
    by_d = torch.addcmul(2 * gl, by_n, n).div_(d).neg_()
    tt = t.square()
    found = gz.new_empty(3, len(t), 2, t.shape[1])
    (left, bottom, by_d0), (right, top, by_d1) = (end.unbind() for end in found.unbind(dim=2))
    torch.mul(by_d, u, out=by_d1).addcmul_(by_r, tt)
    torch.add(by_n, by_d, out=by_d0).mul_(u).addcmul_(by_r, rest.square())
    by_s = (by_n.mul_(tt)).add_(by_d).addcmul_(by_d, u, value=-2)
    by_s.add_(by_r.mul_(u).addcdiv_(gl, s), alpha=2)
    torch.addcdiv((gz * n).div_(d), by_s, width, out=top)
    torch.addcmul(d_t * t, by_s, s, out=right).div_(width).neg_()
    torch.sub(gz, top, out=bottom)
    torch.div(d_t, width, out=left).add_(right).neg_()
    # The derivative of softplus, by its value.
    found[2].mul_((SMALLEST_SLOPE - slopes).expm1_().neg_())
    return found


def _to_parameters(d_ends: Tensor, ends: Tensor, shares: Tensor, bound: float) -> Tensor:
    """Gradient of the raw parameters, (batch or 1, dim * (3 bins - 1))."""
    _, dim, bins, rows = shares.shape
    batch = ends.shape[2]
    _, ladder = _ladder(bins, bound, shares.dtype, shares.device)
    table = d_ends.new_zeros(3, dim, bins + 1, batch)
    table.scatter_(2, ends.expand(3, -1, -1, -1), d_ends)
    if rows < batch:  # one row of parameters has served all
        table = table.sum(dim=-1, keepdim=True)
    gradient = table.new_empty(dim * (3 * bins - 1), rows)
    sizes, slopes = gradient.split([2 * dim * bins, dim * (bins - 1)])
    steps = ladder.t().expand(2 * dim, -1, -1) @ table[:2].view(2 * dim, bins + 1, -1)
    _softmax_backward(
        steps.view_as(shares), shares, 2, shares.dtype, grad_input=sizes.view_as(shares)
    )
    slopes.view(dim, bins - 1, -1).copy_(table[2, :, 1:-1])
    return gradient.t()
