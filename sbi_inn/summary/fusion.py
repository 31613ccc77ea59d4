"""All parts of an observation in one feature vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sbi_inn.summary.batch import Batch
from sbi_inn.summary.deepset import DeepSet
from sbi_inn.summary.vector import VectorNet

SET = "set:"


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

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary import Batch, Fusion, SetBatch
    >>> trials = SetBatch(torch.randn(7, 2), torch.tensor([3, 4]))
    >>> net = Fusion(5, {"n_trials": 2}, features=8, hidden=16)
    >>> net(Batch(torch.randn(2, 5), {"n_trials": trials})).shape == (2, net.features)
    True
    """

    def __init__(self, vector: int, sets: Mapping[str, int], *, features: int, hidden: int) -> None:
        super().__init__()
        self.vector = VectorNet(vector, features=features, hidden=hidden) if vector else None
        # The prefix keeps the users' names apart from those a module already has, such as items.
        self.sets = nn.ModuleDict(
            {
                f"{SET}{name}": DeepSet(columns, features=features, hidden=hidden)
                for name, columns in sets.items()
            }
        )
        parts = [self.vector] if self.vector is not None else []
        self.features = sum(int(part.features) for part in [*parts, *self.sets.values()])

    def forward(self, batch: Batch) -> Tensor:
        """Map a batch of observations to features, shape (batch, features)."""
        parts = [self.vector(batch.vector)] if self.vector is not None else []
        parts += [net(batch.sets[name.removeprefix(SET)]) for name, net in self.sets.items()]
        return torch.cat(parts, dim=1)
