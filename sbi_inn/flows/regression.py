"""A linear regression of what is mapped on its context: where a flow starts from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sbi_inn.flows.bijection import Bijection
from sbi_inn.regressions.ridge import SMALLEST_VARIANCE, Regressors
from sbi_inn.shared_work.contexts import for_each


class Regression(Bijection):
    """What a ridge regression on the context leaves of x, whitened: z = (x - A c - b) W.

    `fit` finds A, b and W in closed form; A and b are then trained on with the rest. Where data are
    a linear function of parameters with Gaussian noise this is the posterior, and nothing is left
    to learn. A regression on nonlinear features would leave less, but not smoothly: its own
    errors, however small, are many times the width of a sharp posterior, and the blocks that follow
    would have to undo them.

    Parameters
    ----------
    dim : int
        Number of dimensions of x.
    n_context : int
        How many of the context's features it reads: the first ones. None leaves the mean of x.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Regression
    >>> generator = torch.Generator().manual_seed(1)
    >>> c = torch.randn(1000, 1, generator=generator)
    >>> x = 3 * c + 0.1 * torch.randn(1000, 1, generator=generator)
    >>> regression = Regression(1, 1)
    >>> regression.fit(x, c)
    >>> z, log_det = regression(x, c)
    >>> round(z.std().item(), 1), round(log_det[0].exp().item())
    (1.0, 10)
    """

    whiten: Tensor
    colour: Tensor

    def __init__(self, dim: int, n_context: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(n_context, dim))
        self.offset = nn.Parameter(torch.zeros(dim))
        self.register_buffer("whiten", torch.eye(dim))
        self.register_buffer("colour", torch.eye(dim))

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Take the residual and whiten it."""
        return (x - self._mean(context, len(x))) @ self.whiten, self.log_det().expand(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Add the regression's prediction again."""
        return z @ self.colour + self._mean(context, len(z)), -self.log_det().expand(len(z))

    def log_det(self) -> Tensor:
        """Log |det dz/dx|, the same for all rows."""
        return self.whiten.diagonal().abs().log().sum()

    @torch.no_grad()
    def fit(self, x: Tensor, context: Tensor) -> None:
        """Fit to rows of x (rows, dim) and context (rows, n_context)."""
        found = Regressors(context.double(), context.shape[1]).linear(x.double())
        covariance = found.residual.T @ found.residual / len(x)
        floor = torch.diag(covariance.new_full((len(covariance),), SMALLEST_VARIANCE))
        colour = torch.linalg.cholesky(covariance + floor)
        self.slope.copy_(found.slope)
        self.offset.copy_(found.offset)
        self.colour.copy_(colour.T)
        self.whiten.copy_(torch.linalg.inv(colour).T)

    def _mean(self, context: Tensor, rows: int) -> Tensor:
        return for_each(torch.addmm(self.offset, context[:, : len(self.slope)], self.slope), rows)
