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

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import VectorNet
    >>> vector = torch.randn(4, 3)
    >>> features = VectorNet(3, features=8, hidden=16)(vector)
    >>> features.shape, torch.equal(features[:, :3], vector)
    (torch.Size([4, 11]), True)
    """

    def __init__(self, n_in: int, *, features: int, hidden: int) -> None:
        super().__init__()
        self.features = n_in + features
        self.net = nn.Sequential(nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, features))

    def forward(self, vector: Tensor) -> Tensor:
        """Map (batch, n_in) to (batch, features)."""
        return torch.cat([vector, self.net(vector)], dim=1)
