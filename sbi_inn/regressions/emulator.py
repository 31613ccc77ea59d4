"""What a first prediction of the parameters does not explain of the observables.

To regress parameters on observables is to invert a simulator along straight lines. The simulator
itself is smooth: observables are close to a quadratic function of the parameters, where these are
known roughly, and as many slopes as that has are learned from few rows. What is left between the
observables and those that it expects at a first prediction says two things: which way the
prediction has to be moved (a step of Gauss and Newton), and by its size how large the noise is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sbi_inn.regressions.left_out import left_out

# Strength of the ridge, as a share of the rows: only what is not determined is held.
RIDGE = 1e-6
# What is left counts up to so many times its usual size.
MOST = 5.0
# Share of the usual square that is added to each square before its logarithm is taken.
SMALLEST = 1e-2


class Emulator(nn.Module):
    """Observables as a polynomial of parameters, and what is left of them.

    Parameters
    ----------
    n_features : int
        Of the parameters: themselves and products.
    n_observables : int
    """

    slope: Tensor
    offset: Tensor
    size: Tensor

    def __init__(self, n_features: int, n_observables: int) -> None:
        super().__init__()
        self.register_buffer("slope", torch.zeros(n_features, n_observables))
        self.register_buffer("offset", torch.zeros(n_observables))
        self.register_buffer("size", torch.ones(n_observables))

    def forward(self, first: Tensor, observables: Tensor) -> Tensor:
        """Give what is left, scaled, and the logarithms of its squares, (batch, 2 observables)."""
        return _described((observables - self.offset - first @ self.slope) / self.size)

    def fit(self, true: Tensor, first: Tensor, observables: Tensor) -> Tensor:
        """Learn from rows of true parameters, and give what it would say of rows left out.

        Parameters
        ----------
        true, first : Tensor, shape (rows, features)
            Parameters, and a first prediction of them that has not seen its own row.
        observables : Tensor, shape (rows, observables)
        """
        left = torch.empty_like(observables)
        for part, others in left_out(len(true)):
            slope, offset = regressed(true[others], observables[others])
            left[part] = observables[part] - offset - first[part] @ slope
        size = left.square().mean(dim=0).sqrt()
        size = torch.where(size > 0, size, 1.0)
        slope, offset = regressed(true, observables)
        self.slope.zero_()[: len(slope)] = slope  # of fewer features the others have none
        self.offset.copy_(offset)
        self.size.copy_(size)
        return _described(left / size)


def regressed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Give slopes and offset of y on x."""
    centre, middle = x.mean(dim=0), y.mean(dim=0)
    x, y = x - centre, y - middle
    square = x.T @ x
    square.diagonal().add_(RIDGE * square.diagonal().mean().clamp(min=1e-12))
    slope = torch.linalg.solve(square, x.T @ y)
    return slope, middle - centre @ slope


def _described(left: Tensor) -> Tensor:
    bounded = left.clamp(-MOST, MOST)
    return torch.cat([bounded, (bounded.square() + SMALLEST).log()], dim=1)
