"""A linear regression of what is mapped on its context: where a flow starts from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sbi_inn.flows.bijection import Bijection

# Strengths of the ridge that are tried, in units of the context's mean square.
RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
SMALLEST_VARIANCE = 1e-10  # of what is left of x, whose scale is 1: keeps it invertible


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
    >>> regression.fit(x[:900], c[:900], x[900:], c[900:])
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
        return (x - self._mean(context)) @ self.whiten, self.log_det().expand(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Add the regression's prediction again."""
        return z @ self.colour + self._mean(context), -self.log_det().expand(len(z))

    def log_det(self) -> Tensor:
        """Log |det dz/dx|, the same for all rows."""
        return self.whiten.diagonal().abs().log().sum()

    @torch.no_grad()
    def fit(self, x: Tensor, context: Tensor, x_held_out: Tensor, c_held_out: Tensor) -> None:
        """Fit to rows of x (rows, dim) and context (rows, n_context).

        The ridge is the one that predicts the held-out rows best.
        """
        x, c, x_new, c_new = (t.double() for t in (x, context, x_held_out, c_held_out))
        x_mean, c_mean = x.mean(dim=0), c.mean(dim=0)
        x, c, x_new, c_new = x - x_mean, c - c_mean, x_new - x_mean, c_new - c_mean
        slopes = ridge_slopes(x, c)
        errors = [(x_new - c_new @ s).square().mean(dim=0).log().sum() for s in slopes]
        slope = slopes[int(torch.stack(errors).argmin())]
        # Of the held-out rows' own residuals there are too few to learn a covariance from.
        residual = x - c @ slope
        covariance = residual.T @ residual / len(x)
        floor = SMALLEST_VARIANCE * torch.eye(len(covariance), dtype=covariance.dtype)
        colour = torch.linalg.cholesky(covariance + floor)
        self.slope.copy_(slope)
        self.offset.copy_(x_mean - c_mean @ slope)
        self.colour.copy_(colour.T)
        self.whiten.copy_(torch.linalg.inv(colour).T)

    def _mean(self, context: Tensor) -> Tensor:
        return torch.addmm(self.offset, context[:, : len(self.slope)], self.slope)


def ridge_slopes(x: Tensor, c: Tensor) -> list[Tensor]:
    """Slopes (n_context, dim) of the regression of centred x on centred c, for each ridge."""
    gram, moment = c.T @ c, c.T @ x
    if not len(gram):
        return [moment]
    unit = gram.diagonal().mean().clamp(min=1e-12) * torch.eye(len(gram), dtype=gram.dtype)
    return [torch.linalg.solve(gram + ridge * unit, moment) for ridge in RIDGES]
