"""The field of highest density, by its gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from sbi_inn.typing import FloatArray

STEPS = 300
"""Of L-BFGS, at most."""

NEAR = 1e-4
"""Distance over which the slope of a single pixel's bend is taken."""

LogDensity = Callable[[Tensor], Tensor]


def top(
    affine: Callable[[FloatArray], FloatArray],
    pixels: int,
    log_density: LogDensity | None,
    bend: Callable[[FloatArray], FloatArray] | None,
) -> FloatArray:
    """Climb from the middle of what a start leaves of a field, where it is white noise.

    Parameters
    ----------
    affine : callable
        From what is left (n, pixels) to fields.
    pixels : int
    log_density : callable, optional
        Of what is left (1, pixels), as a flow has it; by default that of white noise.
    bend : callable, optional
        By pixel, the log of the density of its own units over that of the Gaussian field's.

    Returns
    -------
    array, shape (1, pixels)
        The field.

    Examples
    --------
    >>> top(lambda left: 3 + 2 * left, 4, None, lambda field: -0.5 * field).round(3)
    array([[1., 1., 1., 1.]])
    """
    middle = affine(np.zeros((1, pixels)))
    if log_density is None and bend is None:
        return middle
    slopes = None if bend is None else affine(np.eye(pixels)) - middle

    def depth(left: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = -0.5 * float(left @ left), -left
        if log_density is not None:
            x = torch.tensor(left[None], dtype=torch.float32, requires_grad=True)
            height = log_density(x).sum()
            (found,) = torch.autograd.grad(height, x)
            value, gradient = height.item(), found[0].numpy().astype(np.float64)
        if bend is not None and slopes is not None:
            field = middle[0] + left @ slopes
            above, below = bend(field + NEAR), bend(field - NEAR)
            value += float(bend(field).sum())
            gradient = gradient + slopes @ ((above - below) / (2 * NEAR))
        return -value, -gradient

    found = minimize(
        depth, np.zeros(pixels), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
    )
    return affine(found.x[None])
