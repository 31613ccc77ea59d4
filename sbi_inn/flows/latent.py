"""Latent distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Normal:
    """The standard normal distribution in `dim` dimensions.

    Parameters
    ----------
    dim : int
        Number of dimensions.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Normal
    >>> Normal(2).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    >>> Normal(2).sample(3, torch.Generator().manual_seed(1)).shape
    torch.Size([3, 2])
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of `z` (batch, dim), shape (batch,)."""
        return -0.5 * (z.square().sum(dim=1) + self.dim * math.log(2 * math.pi))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw (n, dim)."""
        return torch.randn(n, self.dim, generator=generator)
