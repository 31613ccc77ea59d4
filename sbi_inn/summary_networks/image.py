"""Images: a small residual network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sbi_inn.summary_networks.standard import Standard

HEADS = 4  # averages over all places, each with weights of its own
PATCH = 4  # pixels along a side that are read at once, at most
COARSEST = 8  # pixels along the longer side, below which an image is not shrunk any more
BLOCKS = 2  # residual blocks: each sees two places further
PLACES = 8  # along each side, at most, that stand by themselves and say what is where
PLACE_WIDTH = 8  # numbers of such a place: few, as there are up to 64 places
SMALLEST_VARIANCE = 1e-6  # of scaled pixels, so that the log of a constant image is finite


class ImageNet(nn.Module):
    """Features of images of one size: what is there, and where.

    Patches of up to 4 x 4 pixels are read by one linear layer each, again and again until the
    longer side has at most 8 places or so; residual blocks of 3 x 3 convolutions follow. What they
    find is averaged over all places, with weights that the places choose (which also give mean
    positions), and stands place by place, or over blocks of them where there are more than 8 along
    a side. There is no normalisation across a batch: a batch of images equals its members.

    Mean and log standard deviation of each channel pass beside the learned features. Where pixels
    may be missing, they are those of the pixels that are there. Their share passes too, with its
    log, since how much was seen decides how wide a posterior is, and so does the mean with zeros
    for what is missing, which is close to zero where little was seen.

    Parameters
    ----------
    channels, height, width : int
        A profile is an image of height 1.
    features : int
        Number of features learned beside the statistics.
    hidden : int
        Channels within the network; a multiple of 4.
    gaps : bool
        As many planes of flags follow the channels, 1 where a pixel is missing.

    References
    ----------
    He et al. (2016), Deep residual learning, for the blocks; Dosovitskiy et al. (2021), An image is
    worth 16 x 16 words, for reading patches at once.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks import ImageNet
    >>> net = ImageNet(3, 32, 20, features=8, hidden=16)
    >>> net(torch.randn(5, 3, 32, 20)).shape == (5, net.features)
    True
    """

    place: Tensor

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        *,
        features: int,
        hidden: int,
        gaps: bool = False,
    ) -> None:
        super().__init__()
        self.seen = Standard(channels) if gaps else None
        statistics = (5 if gaps else 2) * channels
        self.features = statistics + features
        sides, layers, inside = (height, width), [], (2 if gaps else 1) * channels
        while not layers or max(sides) > 2 * COARSEST:
            patch = _patch(max(sides))
            tall = 1 if height == 1 else patch
            layers.append(_Patches(inside, hidden, tall, patch))
            sides, inside = (-(-sides[0] // tall), -(-sides[1] // patch)), hidden
        self.patches = nn.Sequential(*layers)
        self.blocks = nn.Sequential(*(_Residual(hidden) for _ in range(BLOCKS)))
        self.score = nn.Linear(hidden, HEADS)
        self.register_buffer("place", _places(*sides), persistent=False)
        self.coarse = nn.Conv2d(hidden, PLACE_WIDTH, 1)
        kept = min(PLACES, sides[0]), min(PLACES, sides[1])
        self.pool = nn.AdaptiveAvgPool2d(kept)
        pooled = 2 * hidden + 2 * HEADS + PLACE_WIDTH * math.prod(kept)
        self.rho = nn.Sequential(
            nn.Linear(statistics + pooled, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, features)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (batch, planes, height, width) to features, shape (batch, features)."""
        statistics = self._statistics(pixels.flatten(2))
        found = self.blocks(self.patches(pixels.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        parts = [statistics, found.mean(dim=(2, 3)), *self._attended(found)]
        parts.append(self.pool(self.coarse(found)).flatten(1))
        return torch.cat([statistics, self.rho(torch.cat(parts, dim=1))], dim=1)

    def _statistics(self, planes: Tensor) -> Tensor:
        """Sum up flat planes (batch, planes, pixels), as the docstring of the class says."""
        if self.seen is None:
            return torch.cat(_moments(planes, torch.ones_like(planes)), dim=1)
        pixels, gone = planes.chunk(2, dim=1)
        there = 1 - gone
        share, log_share = there.mean(dim=2), (there.sum(dim=2) + 1).log()
        moments = _moments(pixels, there)
        return torch.cat([*moments, self.seen(log_share), pixels.mean(dim=2), share], dim=1)

    def _attended(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """Average what was found, and where, by the weights of each head."""
        places = found.flatten(2).transpose(1, 2)  # (batch, places, hidden)
        weights = self.score(places).softmax(dim=1).transpose(1, 2)
        heads = places.unflatten(2, (HEADS, -1)).transpose(1, 2)  # (batch, heads, places, ...)
        average = (weights.unsqueeze(2) @ heads).flatten(1)
        return average, (weights @ self.place).flatten(1)


class _Patches(nn.Module):
    """Read patches that do not overlap: (batch, height, width, n_in) to a coarser grid."""

    def __init__(self, n_in: int, hidden: int, tall: int, wide: int) -> None:
        super().__init__()
        self.patch = tall, wide
        self.read = nn.Linear(n_in * tall * wide, hidden)

    def forward(self, x: Tensor) -> Tensor:
        p, q = self.patch
        _, height, width, _ = x.shape
        # An incomplete patch at the border is filled with zeros, which is the median pixel.
        x = nn.functional.pad(x, (0, 0, 0, -width % q, 0, -height % p))
        x = x.unflatten(2, (-(-width // q), q)).unflatten(1, (-(-height // p), p)).transpose(2, 3)
        return nn.functional.silu(self.read(x.flatten(3)))


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity, which is all that it is at the start."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, hidden, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.silu(self.first(nn.functional.silu(x)))
        return x + self.second(y)


def _moments(pixels: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Give mean and log deviation of the pixels that are there; the others are 0."""
    count = there.sum(dim=2).clamp(min=1)
    mean = pixels.sum(dim=2) / count
    squares = (there * (pixels - mean.unsqueeze(2)).square()).sum(dim=2)
    return mean, 0.5 * (squares / count + SMALLEST_VARIANCE).log()


def _patch(side: int) -> int:
    """Choose how many pixels along a side are read at once: 1, 2 or 4."""
    needed = max(1, side / COARSEST)
    return min(PATCH, 2 ** math.ceil(math.log2(needed) - 0.1))


def _places(height: int, width: int) -> Tensor:
    """Centres of the places, from -1 to 1 along each side, shape (places, 2)."""
    rows, columns = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
    return torch.cartesian_prod(rows, columns)
