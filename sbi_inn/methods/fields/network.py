"""The network that learns what the Gaussian start of a field leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from sbi_inn.flows import FieldFlow
from sbi_inn.methods.fields.settings import FieldSettings
from sbi_inn.summary_networks import Batch, Fusion, Pyramid, Widths

LOG_2_PI = math.log(2 * math.pi)


@dataclass(frozen=True, kw_only=True)
class FieldShape(Widths):
    """Widths and kinds of what goes in; its images are those on another grid than the field's.

    Attributes
    ----------
    sides : tuple of int
        Of the field.
    channels : int
        Images on its grid.
    numbers : int
        Of the other parameters.
    circular : bool
        Whether opposite sides of the field are neighbours.
    """

    sides: tuple[int, ...]
    channels: int
    numbers: int
    circular: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read back what JSON has made of the fields."""
        return super().from_config({**config, "sides": tuple(config["sides"])})

    @property
    def others(self) -> bool:
        """Whether anything was observed but images on the grid."""
        return bool(self.vector or self.sets or self.images)


@dataclass(frozen=True)
class FieldPairs:
    """Rows that the network is trained on; k is 1, or the fields of a mixture.

    Attributes
    ----------
    left : Tensor, shape (n, k, pixels)
        What the Gaussian start leaves of the field.
    log_density : Tensor, shape (n, k)
        Log of its share, and of its determinant.
    images : Tensor, shape (n, k, channels, *sides)
    numbers : Tensor, shape (n, numbers)
        The other parameters, on the latent side of the prior.
    batch : Batch
        What else was observed.
    """

    left: Tensor
    log_density: Tensor
    images: Tensor
    numbers: Tensor
    batch: Batch

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, rows: Tensor) -> FieldPairs:
        return FieldPairs(
            self.left[rows],
            self.log_density[rows],
            self.images[rows],
            self.numbers[rows],
            self.batch[rows],
        )

    def to(self, device: torch.device) -> FieldPairs:
        """Give them on a device."""
        return FieldPairs(
            self.left.to(device),
            self.log_density.to(device),
            self.images.to(device),
            self.numbers.to(device),
            self.batch.to(device),
        )


class FieldNetwork(nn.Module):
    """A pyramid of features and a multi-scale flow.

    Parameters
    ----------
    settings : FieldSettings
    shape : FieldShape
    """

    def __init__(self, settings: FieldSettings, shape: FieldShape) -> None:
        super().__init__()
        self.fusion = None
        if shape.others:
            self.fusion = Fusion.of(shape, features=settings.features, hidden=2 * settings.features)
        learned = self.fusion.features if self.fusion else 0
        vector = learned + shape.numbers
        self.pyramid = Pyramid(shape.channels, shape.sides, vector, width=settings.features)
        flow = FieldFlow(
            settings.blocks,
            settings.hidden,
            settings.depth,
            settings.transform,
            settings.clamp,
            settings.bins,
            shape.circular,
        )
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        self.flow = flow.build(shape.sides, self.pyramid.maps, generator)

    def context(self, images: Tensor, numbers: Tensor, batch: Batch) -> Tensor:
        """Give what the flow reads, (rows, ...): images (rows, channels, *sides), one a row."""
        parts = [numbers] if self.fusion is None else [self.fusion(batch), numbers]
        rows = max(len(part) for part in (images, *parts))
        vector = torch.cat([part.expand(rows, -1) for part in parts], dim=1)
        return self.pyramid(images.expand(rows, *images.shape[1:]), vector)

    def log_density(self, left: Tensor, context: Tensor) -> Tensor:
        """Log density of what is left, shape (rows,)."""
        z, log_det = self.flow(left, context)
        return log_normal(z) + log_det

    def log_prob(self, pairs: FieldPairs) -> Tensor:
        """Log density of the fields, shape (n,)."""
        each = []
        for k in range(pairs.left.shape[1]):
            context = self.context(pairs.images[:, k], pairs.numbers, pairs.batch)
            each.append(self.log_density(pairs.left[:, k], context) + pairs.log_density[:, k])
        return torch.logsumexp(torch.stack(each), dim=0)

    def loss(self, pairs: FieldPairs) -> Tensor:
        """Negative log-likelihood of each row a pixel (eq. 3.8), shape (n,)."""
        return -self.log_prob(pairs) / pairs.left.shape[2]


def log_normal(z: Tensor) -> Tensor:
    """Log density of N(0, I), shape (rows,)."""
    return -0.5 * (z.square().sum(dim=1) + z.shape[1] * LOG_2_PI)
