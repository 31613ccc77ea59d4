"""Everything random in a training batch, drawn beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sbi_inn.methods.bidirectional.network import Triples
from sbi_inn.methods.bidirectional.sides import Sides
from sbi_inn.methods.blur import blurred


@dataclass(frozen=True)
class Noisy:
    """A batch and the noise that its losses need.

    Attributes
    ----------
    pairs : Triples
    padding : tuple of Tensor
        For x, and for y and z.
    z : Tensor, shape (batch, latent)
    x : Tensor, shape (batch, parameters)
        Draws of the prior, independent of the pairs.
    order : Tensor of int, shape (batch,)
        Whose observation goes with which latent on the way back.
    done : float
        Share of the training that is over.
    """

    pairs: Triples
    padding: tuple[Tensor, Tensor]
    z: Tensor
    x: Tensor
    order: Tensor
    done: float


@dataclass(frozen=True)
class BlurAndNoise:
    """Blurs the observations of a training batch and draws the noise that goes with it.

    Parameters
    ----------
    sides : Sides
    padding : float
        Standard deviation of the padding.
    blur : (float, float)
        Standard deviation on scaled observations, at the start and the end of the training.
    """

    sides: Sides
    padding: float
    blur: tuple[float, float]

    def __call__(self, pairs: Triples, done: float, generator: torch.Generator) -> Noisy:
        """Prepare a training batch."""
        y = blurred(pairs.y, self.blur, done, generator)
        return self._around(replace(pairs, y=y), done, generator)

    def fixed(self, pairs: Triples) -> Noisy:
        """Prepare validation rows: without blur, the same at every call."""
        return self._around(pairs, 1.0, torch.Generator().manual_seed(0))

    def _around(self, pairs: Triples, done: float, generator: torch.Generator) -> Noisy:
        n, (before, after) = len(pairs), self.sides.padding

        def normal(width: int) -> Tensor:
            return torch.randn(n, width, generator=generator).to(pairs.x.device)

        return Noisy(
            pairs=pairs,
            padding=(self.padding * normal(before), self.padding * normal(after)),
            z=normal(self.sides.latent),
            x=normal(self.sides.parameters),
            order=torch.randperm(n, generator=generator).to(pairs.x.device),
            done=done,
        )
