"""Monotone rational-quadratic splines with linear tails (Durkan et al. 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sbi_inn.inn.coupling import Elementwise

SMALLEST_BIN = 1e-3
SMALLEST_SLOPE = 1e-3
# softplus(SLOPE_ONE) + SMALLEST_SLOPE = 1, so that zero parameters give the identity.
SLOPE_ONE = math.log(math.expm1(1 - SMALLEST_SLOPE))


class RationalQuadraticSpline(Elementwise):
    """A monotone spline inside [-bound, bound], the identity outside.

    Parameters
    ----------
    bins : int
        Number of pieces, at least 2: a single one could only be the identity.
    bound : float
        Where the linear tails begin.

    Raises
    ------
    ValueError
        If there are too few or too many bins, or the bound is not positive.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.inn import RationalQuadraticSpline
    >>> spline = RationalQuadraticSpline(bins=2, bound=1.0)
    >>> steep = torch.tensor([[0.0, 0.0, 0.0, 0.0, 3.0]])  # widths, heights, the slope between
    >>> z, log_slope = spline.forward(torch.tensor([[0.1]]), steep)
    >>> spline.inverse(z, steep)[0].round(decimals=4), z.item() > 0.1, log_slope.item() > 0
    (tensor([[0.1000]]), True, True)
    """

    def __init__(self, bins: int = 8, bound: float = 5.0) -> None:
        if not 2 <= bins < 1 / SMALLEST_BIN:
            raise ValueError(
                f"RationalQuadraticSpline(bins=...) must be at least 2 and less than "
                f"{1 / SMALLEST_BIN:g}; got {bins!r}"
            )
        if not bound > 0:
            raise ValueError(f"RationalQuadraticSpline(bound=...) must be positive; got {bound!r}")
        self.bins = bins
        self.bound = bound
        self.n_parameters = 3 * bins - 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the spline (eq. 4 of the source) and its log slope (eq. 5)."""
        left, bottom, slopes = self._knots(x, parameters)
        inside = x.abs() < self.bound
        at = torch.where(inside, x, 0.0)
        x0, width, y0, height, d0, d1 = _piece(at, left, left, bottom, slopes)
        t = (at - x0) / width
        z, log_slope = _evaluate(t, y0, height, height / width, d0, d1)
        return torch.where(inside, z, x), torch.where(inside, log_slope, 0.0).sum(dim=1)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Solve the quadratic of the piece (eqs. 6 to 8 of the source)."""
        left, bottom, slopes = self._knots(z, parameters)
        inside = z.abs() < self.bound
        at = torch.where(inside, z, 0.0)
        x0, width, y0, height, d0, d1 = _piece(at, bottom, left, bottom, slopes)
        slope = height / width
        rise, bend = at - y0, d0 + d1 - 2 * slope
        a = height * (slope - d0) + rise * bend
        b = height * d0 - rise * bend
        c = -slope * rise
        root = torch.sqrt((b.square() - 4 * a * c).clamp(min=0))
        # Of the two ways to write the solution, the one without cancellation: the source's (b > 0)
        # loses all digits of float32 where slopes differ much.
        direct = b > 0
        t = torch.where(direct, -2 * c, root - b) / torch.where(direct, b + root, 2 * a)
        t = t.clamp(0, 1)  # rounding must not lead out of the piece
        _, log_slope = _evaluate(t, y0, height, slope, d0, d1)
        x = torch.where(inside, t * width + x0, z)
        return x, -torch.where(inside, log_slope, 0.0).sum(dim=1)

    def _knots(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the knots on both axes and slopes there, each (batch, dim, bins + 1)."""
        raw = parameters.view(len(parameters), x.shape[1], self.n_parameters)
        raw = raw.expand(len(x), -1, -1)
        sizes = torch.stack([raw[..., : self.bins], raw[..., self.bins : 2 * self.bins]])
        sizes = SMALLEST_BIN + (1 - SMALLEST_BIN * self.bins) * F.softmax(sizes, dim=-1)
        knots = F.pad(sizes.cumsum(dim=-1)[..., :-1], (1, 0))
        knots = F.pad(2 * self.bound * knots - self.bound, (0, 1), value=self.bound)
        slopes = SMALLEST_SLOPE + F.softplus(raw[..., 2 * self.bins :] + SLOPE_ONE)
        return knots[0], knots[1], F.pad(slopes, (1, 1), value=1.0)


def _piece(at: Tensor, axis: Tensor, left: Tensor, bottom: Tensor, slopes: Tensor) -> list[Tensor]:
    """Find the piece that holds `at` on `axis`: its corner, sizes, and slopes at both ends."""
    index = (at.unsqueeze(-1) >= axis[..., 1:-1]).sum(dim=-1, keepdim=True)
    ends = torch.cat([index, index + 1], dim=-1)
    (x0, x1), (y0, y1), (d0, d1) = (
        knots.gather(-1, ends).unbind(-1) for knots in (left, bottom, slopes)
    )
    return [x0, x1 - x0, y0, y1 - y0, d0, d1]


def _evaluate(
    t: Tensor, y0: Tensor, height: Tensor, slope: Tensor, d0: Tensor, d1: Tensor
) -> tuple[Tensor, Tensor]:
    """Value and log slope at the share `t` of the way through a piece."""
    tt = t * (1 - t)
    below = slope + (d0 + d1 - 2 * slope) * tt
    z = y0 + height * (slope * t.square() + d0 * tt) / below
    rate = d1 * t.square() + 2 * slope * tt + d0 * (1 - t).square()
    return z, 2 * slope.log() + rate.log() - 2 * below.log()
