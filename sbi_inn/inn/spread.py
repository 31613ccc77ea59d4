"""How widely latents spread: fitted when the training is over."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sbi_inn.inn.bijection import Bijection

# Spreads that are tried, in steps of 1 %; and how many rows of spread one are added to those given.
SPREADS = tuple(1.01**step for step in range(-30, 61))
PSEUDO_ROWS = 16.0


class Spread(Bijection):
    """Divide by one number, which is 1 until it is fitted.

    A network that has learned from few rows is too sure of itself: the latents of other rows spread
    more widely than the standard normal that they should follow. Divided by how much more, they
    follow it, and the posterior is as much wider: the counterpart for flows of the temperature that
    calibrates classifiers (Guo et al. 2017).

    Parameters
    ----------
    dim : int
        Number of dimensions.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.inn import Spread
    >>> spread = Spread(2)
    >>> z = 1.2 * torch.randn(5000, 2, generator=torch.Generator().manual_seed(1))
    >>> spread.fit(z, log_det=torch.zeros(5000), floor=torch.full((5000,), -50.0))
    >>> round(spread.value.item(), 1)
    1.2
    """

    value: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("value", torch.ones(()))

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Divide."""
        return x / self.value, (-self.dim * self.value.log()).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply."""
        return z * self.value, (self.dim * self.value.log()).expand(len(z))

    @torch.no_grad()
    def fit(self, z: Tensor, *, log_det: Tensor, floor: Tensor) -> None:
        """Choose the spread under which held-out rows are most likely.

        Parameters
        ----------
        z : Tensor, shape (rows, dim)
            What is to be divided.
        log_det : Tensor, shape (rows,)
            Of the map that has led there.
        floor : Tensor, shape (rows,)
            Log density that is added to that of every row: the few that the network cannot explain
            must not decide.
        """
        squares, log_det, floor = z.double().square().sum(dim=1), log_det.double(), floor.double()
        spreads = torch.tensor(SPREADS, dtype=torch.float64, device=z.device)
        likely = torch.stack([self._likelihood(squares, log_det, floor, s) for s in spreads])
        self.value.copy_(spreads[likely.argmax()])

    def _likelihood(
        self, squares: Tensor, log_det: Tensor, floor: Tensor, spread: Tensor
    ) -> Tensor:
        """Log likelihood of the rows, and of pseudo-rows of spread one."""
        constant = self.dim * (spread.log() + 0.5 * math.log(2 * math.pi))
        rows = torch.logaddexp(log_det - 0.5 * squares / spread**2 - constant, floor)
        rows = torch.nan_to_num(rows, nan=0.0)  # a row without a density says nothing
        pseudo = -0.5 * self.dim / spread**2 - constant
        return rows.sum() + PSEUDO_ROWS * pseudo
