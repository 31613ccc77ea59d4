"""Monotone rational-quadratic splines with linear tails (Durkan et al. 2019)."""

from __future__ import annotations

from torch import Tensor

from sbi_inn.flows.coupling import Elementwise
from sbi_inn.flows.rational_quadratic import SMALLEST_BIN, RationalQuadratic, tables, to_slope


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
    >>> from sbi_inn.flows import RationalQuadraticSpline
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
        return RationalQuadratic.apply(x, parameters, self.bins, self.bound, False)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Solve the quadratic of the piece (eqs. 6 to 8 of the source)."""
        return RationalQuadratic.apply(z, parameters, self.bins, self.bound, True)

    def _knots(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions of the knots on both axes and slopes there, each (batch, dim, bins + 1)."""
        _, table = tables(parameters, x.shape[1], self.bins, self.bound)
        left, bottom, slopes = table.permute(0, 3, 1, 2)
        return left, bottom, to_slope(slopes)
