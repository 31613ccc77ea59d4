"""A multi-scale flow of fields: wavelets, coupling blocks, and details that leave early."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.channels import ChannelMixing, ChannelNorm
from sbi_inn.flows.convnet import ConvNet
from sbi_inn.flows.coupling import Affine, Coupling, Elementwise
from sbi_inn.flows.flow import TRANSFORMS, coupling_flow
from sbi_inn.flows.haar import Haar
from sbi_inn.flows.maps import Maps, Sides
from sbi_inn.flows.on_part import OnPart
from sbi_inn.flows.spline import RationalQuadraticSpline
from sbi_inn.flows.stack import Stack
from sbi_inn.flows.subnet import MLP

SMALLEST_SIDE = 4
"""Pixels along a side below which a field goes on as a vector."""


@dataclass(frozen=True)
class FieldFlow:
    """How a flow of fields is built.

    Each level is a Haar transform, then coupling blocks between halves of the channels, each after
    a normalisation and a mixing of the channels. Then the details, all channels but the first
    quarter of a map (half of a profile), leave as latents, and the rest goes on, until a side has
    less than 4 pixels or is odd; dense blocks end it (dissertation, secs. 3.5 to 3.7).

    Attributes
    ----------
    blocks : int
        Coupling blocks of each level, and at the end.
    hidden, depth : int
        Channels and number of the hidden layers of their networks.
    transform : {"affine", "spline", "mixed"}
        What a block does to each number; "mixed" takes turns, affine first.
    clamp : float
        Bound on the log scale of an affine block.
    bins : int
        Pieces of a spline.
    circular : bool
        Whether opposite sides are neighbours.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import FieldFlow, Maps
    >>> generator = torch.Generator().manual_seed(1)
    >>> flow = FieldFlow(blocks=1, hidden=8).build((8, 8), Maps(3), generator)
    >>> z, log_det = flow(torch.randn(5, 64), torch.randn(1, 3))
    >>> z.shape, log_det.shape
    (torch.Size([5, 64]), torch.Size([5]))
    """

    blocks: int = 2
    hidden: int = 24
    depth: int = 2
    transform: str = "mixed"
    clamp: float = 2.0
    bins: int = 8
    circular: bool = False

    def __post_init__(self) -> None:
        if self.transform not in TRANSFORMS:
            raise ValueError(
                f"transform must be one of {', '.join(map(repr, TRANSFORMS))}; got "
                f"{self.transform!r}"
            )

    def build(self, sides: Sides, maps: Maps, generator: torch.Generator) -> Bijection:
        """Build a flow of fields of one channel, flat, shape (batch, pixels).

        Parameters
        ----------
        sides : tuple of int
        maps : Maps
            What is in its context.
        generator : torch.Generator
            Where the mixings come from.
        """
        return self._level(sides, maps, generator)

    def _level(self, sides: Sides, maps: Maps, generator: torch.Generator) -> Bijection:
        if not _splits(sides):
            return self._end(sides, maps, generator)
        kinds, halved = 2 ** len(sides), tuple(side // 2 for side in sides)
        pixels = math.prod(halved)
        parts: list[Bijection] = [Haar(1, sides)]
        for block in range(self.blocks):
            if block:
                parts.append(ChannelMixing(kinds, pixels, generator))
            parts.append(ChannelNorm(kinds, pixels))
            parts.append(self._block(kinds * pixels, halved, maps, block))
        # The mixings are undone, so that what goes on are the means and what leaves the details.
        parts += [_undone(p) for p in parts if isinstance(p, ChannelMixing)][::-1]
        return Stack([*parts, OnPart(pixels, self._level(halved, maps, generator))])

    def _block(self, dim: int, sides: Sides, maps: Maps, turn: int) -> Coupling:
        spline = self.transform == "spline" or (self.transform == "mixed" and turn % 2 == 1)
        affine, pieces = Affine(self.clamp), RationalQuadraticSpline(self.bins)
        transform: Elementwise = pieces if spline else affine
        groups = (self.bins, self.bins, self.bins - 1) if spline else (1, 1)
        subnet = partial(
            ConvNet,
            maps=maps,
            sides=sides,
            hidden=self.hidden,
            depth=self.depth,
            groups=groups,
            circular=self.circular,
        )
        return Coupling(dim, transform, subnet)

    def _end(self, sides: Sides, maps: Maps, generator: torch.Generator) -> Bijection:
        """Dense blocks, which read the context's vector and its map of this size."""
        subnet = partial(
            _DenseNet, maps=maps, sides=sides, hidden=2 * self.hidden, depth=self.depth
        )
        return coupling_flow(
            math.prod(sides),
            self.blocks,
            subnet,
            generator,
            transform=self.transform,
            clamp=self.clamp,
            bins=self.bins,
        )


def wavelets(sides: Sides) -> Bijection:
    """Give the wavelet transform of a field of one channel, level by level, and nothing else.

    Its latents are ordered as those of a `FieldFlow`; it is orthonormal.

    Examples
    --------
    >>> import torch
    >>> z, _ = wavelets((8, 8))(torch.ones(1, 64), torch.zeros(1, 0))
    >>> z[0, :5].tolist()
    [4.0, 4.0, 4.0, 4.0, 0.0]
    """
    halved = tuple(side // 2 for side in sides)
    inner = [OnPart(math.prod(halved), wavelets(halved))] if _splits(halved) else []
    return Stack([Haar(1, sides), *inner])


def level_sizes(sides: Sides) -> list[int]:
    """Count the latents of each level of a `FieldFlow`, which stand in this order, coarsest first.

    Examples
    --------
    >>> level_sizes((32, 32)), level_sizes((12,))
    ([4, 12, 48, 192, 768], [3, 3, 6])
    """
    if not _splits(sides):
        return [math.prod(sides)]
    halved = tuple(side // 2 for side in sides)
    return [*level_sizes(halved), math.prod(sides) - math.prod(halved)]


def _splits(sides: Sides) -> bool:
    """Whether a field of these sides has a coarser level."""
    return min(sides) >= SMALLEST_SIDE and not any(side % 2 for side in sides)


class _DenseNet(nn.Module):
    """A perceptron that reads the vector of a context, and its map of one size."""

    def __init__(
        self, n_in: int, n_out: int, *, maps: Maps, sides: Sides, hidden: int, depth: int
    ) -> None:
        super().__init__()
        self.maps, self.sides = maps, sides
        self.seen = maps.channels(sides) * math.prod(sides)
        context = maps.vector + self.seen
        self.net = MLP(n_in, n_out, context=context, hidden=hidden, depth=depth)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map `x` (batch, n_in) and the context (batch or 1, ...) to (batch, n_out)."""
        parts = [context[:, : self.maps.vector]]
        if self.seen:
            parts.append(self.maps.at(context, self.sides).flatten(1))
        return self.net(x, torch.cat(parts, dim=1))


def _undone(mixing: ChannelMixing) -> ChannelMixing:
    other = ChannelMixing(len(mixing.each.matrix), mixing.pixels, torch.Generator())
    other.each.matrix.copy_(mixing.each.matrix.T)
    return other
