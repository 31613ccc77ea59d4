"""All parts of an observation in one feature vector."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from sbi_inn.summary_networks.batch import Batch
from sbi_inn.summary_networks.deepset import DeepSet, Pooling
from sbi_inn.summary_networks.image import ImageNet
from sbi_inn.summary_networks.series import SeriesNet
from sbi_inn.summary_networks.vector import VectorNet
from sbi_inn.summary_networks.widths import Widths

# The prefixes keep the users' names apart from those a module already has, such as items.
SET = "set:"
IMAGE = "image:"


class Fusion(nn.Module):
    """Features of the vector part and of every set, series and image, side by side.

    Parameters
    ----------
    vector : int
        Width of the vector part, 0 if there is none.
    sets : mapping of str to int
        Columns of each set and series.
    series : mapping of str to int
        Which of them are series, and the entries from one window to the next of each.
    beside : int
        Steps that a window of a series reaches over on either side of its own.
    images : mapping of str to (channels, height, width)
    gaps : collection of str
        Which of the images have flags of missing pixels.
    features : int
        Learned features of each part.
    hidden : int
        Width of the hidden layers.
    pooling : {"mean", "attention"}
        Of the sets.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import Batch, Fusion, SetBatch
    >>> trials = SetBatch(torch.randn(7, 2), torch.tensor([3, 4]))
    >>> net = Fusion(5, {"n_trials": 2}, features=8, hidden=16)
    >>> net(Batch(torch.randn(2, 5), {"n_trials": trials})).shape == (2, net.features)
    True
    """

    def __init__(
        self,
        vector: int,
        sets: Mapping[str, int],
        *,
        series: Mapping[str, int] | None = None,
        beside: int = 1,
        images: Mapping[str, tuple[int, int, int]] | None = None,
        gaps: Collection[str] = (),
        features: int,
        hidden: int,
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__()
        patches = series or {}
        self.vector = VectorNet(vector, features=features, hidden=hidden) if vector else None
        ordered: dict[str, DeepSet | SeriesNet] = {
            f"{SET}{name}": SeriesNet(
                columns, features=features, hidden=hidden, patch=patches[name], beside=beside
            )
            if name in patches
            else DeepSet(columns, features=features, hidden=hidden, pooling=pooling)
            for name, columns in sets.items()
        }
        pictures = {
            f"{IMAGE}{name}": ImageNet(
                *shape, features=features, hidden=hidden // 2, gaps=name in gaps
            )
            for name, shape in (images or {}).items()
        }
        self.sets, self.images = nn.ModuleDict(ordered), nn.ModuleDict(pictures)
        parts = [*([self.vector] if self.vector else []), *ordered.values(), *pictures.values()]
        self.features = sum(part.features for part in parts)

    @classmethod
    def of(cls, widths: Widths, *, features: int, hidden: int, pooling: Pooling = "mean") -> Fusion:
        """Make one for observations of these widths and kinds."""
        return cls(
            widths.vector,
            widths.sets,
            series=widths.series,
            beside=widths.beside,
            images=widths.images,
            gaps=widths.image_gaps,
            features=features,
            hidden=hidden,
            pooling=pooling,
        )

    def forward(self, batch: Batch) -> Tensor:
        """Map a batch of observations to features, shape (batch, features)."""
        parts = [self.vector(batch.vector)] if self.vector is not None else []
        parts += [net(batch.sets[name.removeprefix(SET)]) for name, net in self.sets.items()]
        parts += [net(batch.images[name.removeprefix(IMAGE)]) for name, net in self.images.items()]
        return torch.cat(parts, dim=1)
