"""An invertible network from [x, padding] to [y, z, padding] (dissertation, eq. 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sbi_inn.flows import MLP, coupling_flow
from sbi_inn.methods.bidirectional.settings import INNSettings
from sbi_inn.methods.bidirectional.sides import Sides
from sbi_inn.typing import FloatArray

# Noise as large as the signal asks for a slope of a half; an untrained network, for anything.
SLOPES = (0.5, 2.0)


@dataclass(frozen=True)
class Triples:
    """Rows of parameters and scaled observations.

    Attributes
    ----------
    x : Tensor, shape (rows, parameters)
        On the latent side of the prior.
    y : Tensor, shape (rows, observables)
    given : Tensor, shape (rows, givens)
    """

    x: Tensor
    y: Tensor
    given: Tensor

    @classmethod
    def of(cls, latent: FloatArray, vectors: npt.NDArray[np.float32], givens: int) -> Triples:
        """Cut scaled observations into observables and givens, the last features."""
        m = vectors.shape[1] - givens
        x, rows = torch.from_numpy(latent.astype(np.float32)), torch.from_numpy(vectors)
        return cls(x, rows[:, :m], rows[:, m:])

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Tensor) -> Triples:
        return Triples(self.x[rows], self.y[rows], self.given[rows])


class Outputs(NamedTuple):
    """What the forward direction gives."""

    y: Tensor
    z: Tensor
    padding: Tensor
    log_det: Tensor


class Inputs(NamedTuple):
    """What the inverse direction gives; the log-determinant is that of the inverse."""

    x: Tensor
    padding: Tensor
    log_det: Tensor


class BidirectionalNetwork(nn.Module):
    """Coupling blocks between two sides; the givens steer them.

    Parameters
    ----------
    sides : Sides
    settings : INNSettings
        Resolved.

    Examples
    --------
    >>> import torch
    >>> sides = Sides(parameters=2, observables=1, latent=2, givens=0, width=3)
    >>> network = BidirectionalNetwork(sides, INNSettings(blocks=2, hidden=16, depth=1))
    >>> x, padding, given = torch.ones(5, 2), torch.zeros(5, 1), torch.zeros(5, 0)
    >>> out = network(x, padding, given)
    >>> torch.allclose(network.inverse(out.y, out.z, out.padding, given).x, x, atol=1e-5)
    True
    """

    line: Tensor

    def __init__(self, sides: Sides, settings: INNSettings) -> None:
        super().__init__()
        assert settings.blocks is not None
        assert settings.hidden is not None
        self.sides = sides
        self.flow = coupling_flow(
            sides.width,
            settings.blocks,
            partial(MLP, context=sides.givens, hidden=settings.hidden, depth=settings.depth),
            torch.Generator().manual_seed(torch.initial_seed() % 2**63),
            transform=settings.transform,
            clamp=settings.clamp,
            bins=settings.bins,
        )
        # Offset and slope of each observable: what `align` finds after training.
        m = sides.observables
        self.register_buffer("line", torch.stack([torch.zeros(m), torch.ones(m)]))

    def forward(self, x: Tensor, padding: Tensor, given: Tensor) -> Outputs:
        """Predict what is observed, and what is left over."""
        out, log_det = self.flow(torch.cat([x, padding], dim=1), given)
        m = self.sides.observables
        y, z, rest = out.split([m, self.sides.latent, self.sides.padding[1]], dim=1)
        offset, slope = self.line
        return Outputs(offset + slope * y, z, rest, log_det + slope.log().sum())

    def inverse(self, y: Tensor, z: Tensor, padding: Tensor, given: Tensor) -> Inputs:
        """Find the parameters that an observation and a latent belong to."""
        offset, slope = self.line
        out = torch.cat([(y - offset) / slope, z, padding], dim=1)
        x, log_det = self.flow.inverse(out, given)
        parameters, rest = x.split([self.sides.parameters, self.sides.padding[0]], dim=1)
        return Inputs(parameters, rest, log_det - slope.log().sum())

    def residual(self, pairs: Triples) -> Tensor:
        """Error of the predicted observables, with the padding at its centre."""
        padding = pairs.x.new_zeros(len(pairs), self.sides.padding[0])
        return self(pairs.x, padding, pairs.given).y - pairs.y

    @torch.no_grad()
    def take_back(self) -> None:
        """Undo what `align` found: predictions are those of the training again."""
        self.line[0], self.line[1] = 0.0, 1.0

    @torch.no_grad()
    def align(self, pairs: Triples) -> None:
        """Regress observables on predictions, where that makes the typical error smaller.

        What likelihood makes of a noisy simulator is too steep by one plus the square of noise
        over signal: its model of y has no prior (Gaussian case).
        """
        before = self.residual(pairs)
        predicted = before + pairs.y
        centred = predicted - predicted.mean(dim=0)
        slope = (centred * pairs.y).mean(dim=0) / centred.square().mean(dim=0)
        slope = slope.clamp(*SLOPES)
        offset = pairs.y.mean(dim=0) - slope * predicted.mean(dim=0)
        after = offset + slope * predicted - pairs.y
        better = after.abs().median(dim=0).values < before.abs().median(dim=0).values
        self.line[0] = torch.where(better, offset + slope * self.line[0], self.line[0])
        self.line[1] = torch.where(better, slope * self.line[1], self.line[1])
