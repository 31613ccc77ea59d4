"""All parts of an observation in one feature vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sbi_inn.summary.batch import Batch
from sbi_inn.summary.deepset import DeepSet
from sbi_inn.summary.vector import VectorNet


class Fusion(nn.Module):
    """Features of the vector part and of every set, side by side.

    Parameters
    ----------
    vector : int
        Width of the vector part, 0 if there is none.
    sets : mapping of str to int
        Columns of each set.
    features : int
        Learned features of each part.
    hidden : int
        Width of the hidden layers.
    """

    def __init__(self, vector: int, sets: Mapping[str, int], *, features: int, hidden: int) -> None:
        super().__init__()
        self.vector = VectorNet(vector, features=features, hidden=hidden) if vector else None
        self.sets = nn.ModuleDict(
            {n: DeepSet(columns, features=features, hidden=hidden) for n, columns in sets.items()}
        )
        parts = [self.vector] if self.vector is not None else []
        self.features = sum(int(part.features) for part in [*parts, *self.sets.values()])

    def forward(self, batch: Batch) -> Tensor:
        """Map a batch of observations to features, shape (batch, features)."""
        parts = [self.vector(batch.vector)] if self.vector is not None else []
        parts += [net(batch.sets[name]) for name, net in self.sets.items()]
        return torch.cat(parts, dim=1)
