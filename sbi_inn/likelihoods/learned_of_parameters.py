"""What a small network says of parameters, and how that changes with them: kept, not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Names of the layers of the network.
LAYERS = ("first", "second", "last")


class LearnedOfParameters(nn.Module):
    """Buffers of double precision, among them those of a network of two hidden layers.

    The training of a flow leaves buffers alone.

    Parameters
    ----------
    dim : int
        Number of parameters.
    n_givens : int
        Number of what is known of an experiment beside its observables; read like parameters.
    hidden : int
        Width of the two layers of the network; a file that is read says which.
    n_said : int
        Numbers that the network says.
    shapes : mapping of str to tuple of int
        Names and shapes of further buffers, zero at first.
    """

    centre: Tensor
    spread: Tensor
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    last: Tensor
    last_bias: Tensor

    def __init__(
        self,
        dim: int,
        n_givens: int,
        hidden: int,
        n_said: int,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        super().__init__()
        self.dim, wide = dim, dim + n_givens
        own = {
            "centre": (wide,),
            "spread": (wide,),
            "first": (hidden, wide),
            "first_bias": (hidden,),
            "second": (hidden, hidden),
            "second_bias": (hidden,),
            "last": (n_said, hidden),
            "last_bias": (n_said,),
        }
        for name, shape in (own | dict(shapes)).items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.spread.fill_(1.0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Read a file: it says how wide the layers are."""
        for name in (*LAYERS, *(f"{name}_bias" for name in LAYERS)):
            setattr(self, name, torch.zeros_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def spreads(self) -> Tensor:
        """Those of the parameters, shape (dim,)."""
        return self.spread[: self.dim]

    def scaled(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """Scale parameters (batch, dim) and givens, side by side."""
        x = x if given is None else torch.cat([x, given], dim=1)
        return (x - self.centre) / self.spread

    def said(self, scaled: Tensor) -> Tensor:
        """Give what the network says, (batch, n_said)."""
        h = F.silu(F.linear(scaled, self.first, self.first_bias))
        h = F.silu(F.linear(h, self.second, self.second_bias))
        return F.linear(h, self.last, self.last_bias)

    def said_and_slopes(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """Give it, and how it changes with the parameters, (batch, dim, n_said)."""
        found = F.linear(scaled, self.first, self.first_bias)
        slope = (self.first[:, : self.dim] / self.spreads).T
        for name in LAYERS[1:]:
            weight, gate = getattr(self, name), torch.sigmoid(found)
            slope = slope * (gate * (1 + found * (1 - gate)))[:, None] @ weight.T
            found = F.linear(found * gate, weight, getattr(self, f"{name}_bias"))
        return found, slope
