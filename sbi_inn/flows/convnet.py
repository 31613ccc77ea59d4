"""Convolutional networks inside the coupling blocks of fields."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sbi_inn.flows.maps import Maps
from sbi_inn.shared_work.contexts import for_each


class ConvNet(nn.Module):
    """A convolutional network of the channels of a field and a context, with SiLU in between.

    What it reads and gives is flat, channel after channel, as coupling blocks have it. Of the
    context it reads the vector, the same at all pixels, and the maps of its own size. A context
    shared by all rows costs one row. The last layer starts at zero: a coupling block starts as the
    identity.

    Parameters
    ----------
    n_in, n_out : int
        Numbers that go in (0: the context alone) and come out, multiples of the pixels.
    maps : Maps
        What is in the context, and where.
    sides : tuple of int
        Pixels along each side: one or two.
    hidden : int
        Channels of the hidden layers.
    depth : int
        Hidden layers, at least one; the first sees 3 pixels along each side, each further one 2
        more.
    groups : tuple of int
        Numbers of each pixel that belong together, group after group, as the transform of the
        coupling block wants them.
    circular : bool
        Whether opposite sides are neighbours; else there are zeros beyond the sides.

    Raises
    ------
    ValueError
        If what goes in or comes out is no whole number of channels.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ConvNet, Maps
    >>> net = ConvNet(32, 64, maps=Maps(3), sides=(4, 4), hidden=8, depth=1)
    >>> net(torch.randn(5, 32), torch.randn(1, 3)).shape
    torch.Size([5, 64])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        maps: Maps,
        sides: tuple[int, ...],
        hidden: int,
        depth: int,
        groups: tuple[int, ...] = (1, 1),
        circular: bool = False,
    ) -> None:
        super().__init__()
        pixels = math.prod(sides)
        if n_in % pixels or n_out % (pixels * sum(groups)):
            raise ValueError(
                f"ConvNet reads and gives whole channels of {pixels} pixels; got {n_in} and "
                f"{n_out} numbers"
            )
        self.maps, self.sides, self.groups, self.circular = maps, sides, groups, circular
        self.depth = depth
        conv = nn.Conv1d if len(sides) == 1 else nn.Conv2d
        channels, seen = n_in // pixels, maps.channels(sides)
        self.steer = nn.Linear(maps.vector, hidden) if maps.vector else None
        self.look = conv(seen, hidden, 3, bias=False) if seen else None
        self.enter = conv(channels, hidden, 3, bias=not maps.vector) if channels else None
        self.hidden = nn.ModuleList(conv(hidden, hidden, 3) for _ in range(depth - 1))
        self.leave = conv(hidden, n_out // pixels, 1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map `x` (batch, n_in) and the context (batch or fewer, ...) to (batch, n_out)."""
        h = self._first(x, context)
        for layer in self.hidden:
            h = layer(self._padded(F.silu(h)))
        return self._flat(self.leave(F.silu(h)))

    def _first(self, x: Tensor, context: Tensor) -> Tensor:
        parts: list[Tensor] = []
        if self.enter is not None:
            parts.append(self.enter(self._padded(x.unflatten(1, (-1, *self.sides)))))
        if self.look is not None:
            parts.append(self.look(self._padded(self.maps.at(context, self.sides))))
        if self.steer is not None:
            vector = self.steer(context[:, : self.maps.vector])
            parts.append(vector.reshape(*vector.shape, *[1] * len(self.sides)))
        found, *others = (for_each(part, len(x)) for part in parts)
        for part in others:
            found = found + part
        return found.expand(*found.shape[:2], *self.sides)

    def _padded(self, x: Tensor) -> Tensor:
        padding = [1] * (2 * len(self.sides))
        if not self.circular:
            return F.pad(x, padding)
        return F.pad(x, padding, mode="circular") if len(x) else F.pad(x, padding)

    def _flat(self, out: Tensor) -> Tensor:
        """Bring the numbers of each pixel into the order of the transform, (batch, n_out)."""
        if set(self.groups) == {1}:
            return out.flatten(1)
        channels = out.shape[1] // sum(self.groups)
        parts = out.split([channels * group for group in self.groups], dim=1)
        last = -1
        ordered = [
            part.unflatten(1, (channels, group)).movedim(2, last).flatten(1)
            for part, group in zip(parts, self.groups, strict=True)
        ]
        return torch.cat(ordered, dim=1)
