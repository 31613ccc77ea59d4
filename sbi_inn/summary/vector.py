"""Observations of fixed shape."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class VectorNet(nn.Module):
    """A small multilayer perceptron beside the vector itself.

    The vector passes unchanged, so that nothing is lost where the posterior is narrow.

    Parameters
    ----------
    n_in : int
        Width of the vector.
    features : int
        Number of features learned beside it.
    hidden : int
        Width of the hidden layer.
    """

    def __init__(self, n_in: int, *, features: int, hidden: int) -> None:
        super().__init__()
        self.features = n_in + features
        self.net = nn.Sequential(nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, features))

    def forward(self, vector: Tensor) -> Tensor:
        """Map (batch, n_in) to (batch, features)."""
        return torch.cat([vector, self.net(vector)], dim=1)
