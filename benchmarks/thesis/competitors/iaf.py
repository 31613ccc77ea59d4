"""Inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# A fresh step passes its input nearly unchanged: the gate starts at sigmoid(2) = .88.
OPEN = 2.0


class AutoregressiveStep(nn.Module):
    """z' = g z + (1 - g) m, the gate g and m of each number a function of those before it.

    The functions are one masked network with a hidden layer (MADE, Germain et al. 2015). Unit k
    sees the inputs up to its degree, k modulo dim, and all of the context; output j sees the
    units of lower degree than j.
    """

    sees: Tensor
    tells: Tensor

    def __init__(self, dim: int, context: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(dim, hidden)
        self.steer = nn.Linear(context, hidden, bias=False)
        self.leave = nn.Linear(hidden, 2 * dim)
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.bias)
        degree, order = torch.arange(hidden) % dim, torch.arange(1, dim + 1)
        self.register_buffer("sees", (order <= degree[:, None]).float())
        self.register_buffer("tells", (degree < order.repeat(2)[:, None]).float())

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Transform `z` (batch, dim); with it log |det dz'/dz|, shape (batch,)."""
        h = F.linear(z, self.enter.weight * self.sees, self.enter.bias) + self.steer(context)
        out = F.linear(F.relu(h), self.leave.weight * self.tells, self.leave.bias)
        mean, gate = out.chunk(2, dim=1)
        log_gate = F.logsigmoid(gate + OPEN)
        gate = log_gate.exp()
        return gate * z + (1 - gate) * mean, log_gate.sum(dim=1)


class InverseAutoregressiveFlow(nn.Module):
    """Several steps, the order of the numbers reversed after each."""

    def __init__(self, dim: int, context: int, *, hidden: int, steps: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(AutoregressiveStep(dim, context, hidden) for _ in range(steps))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Transform `z` (batch, dim); with it log |det dz'/dz|, shape (batch,)."""
        total = z.new_zeros(len(z))
        for step in self.steps:
            z, log_det = step(z, context)
            z, total = z.flip(1), total + log_det
        return z, total
