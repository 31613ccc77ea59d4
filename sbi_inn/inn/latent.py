"""Latent distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Normal:
    """The standard normal distribution in `dim` dimensions."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of `z` (batch, dim), shape (batch,)."""
        return -0.5 * (z.square().sum(dim=1) + self.dim * math.log(2 * math.pi))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw (n, dim)."""
        return torch.randn(n, self.dim, generator=generator)
