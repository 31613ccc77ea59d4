"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dense(nn.Module):
    """Fully connected layers, counted as the thesis counts them: the output layer is one of them.

    Dropout, where there is any, stays on when the network is used: it is a source of draws. Its
    masks come from a generator that is handed in.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        hidden: int,
        layers: int,
        activation: Callable[[Tensor], Tensor] = F.relu,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [n_in, *(layers - 1) * [hidden], n_out]
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.activation = activation
        self.dropout = dropout

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        *inner, last = self.layers
        for layer in inner:
            x = self.activation(layer(x))
            if self.dropout:
                kept = torch.empty_like(x).bernoulli_(1 - self.dropout, generator=generator)
                x = x * kept / (1 - self.dropout)
        return last(x)
