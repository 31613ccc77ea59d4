"""Blocks that go on from a start in closed form, and are told what it says."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from sbi_inn.flows.bijection import Bijection


class Start(Protocol):
    """What a bijection has to be able to do, to be asked once for all draws at an observation."""

    @property
    def told(self) -> int:
        """How many of the columns of `predict`, the first ones, blocks are told."""
        ...

    def predict(self, context: Tensor) -> Tensor:
        """Give all that it needs to know of a context, (batch, ...)."""
        ...

    def whitened(self, x: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Map data to latent, with what `predict` says."""
        ...

    def coloured(self, z: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Map latent to data, with what `predict` says."""
        ...


class Informed(Bijection):
    """What a start leaves, and a bijection of it.

    The context ends with what the start predicts: it reads more of an observation than the blocks
    do, and predicts once for all draws there.

    Parameters
    ----------
    start : GaussianStart or LaplaceStart
    features : int
        So many columns of the context, the first ones, are not of the start.
    rest : Bijection
        Its context is those, and as many of the start's as it tells.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ActNorm, GaussianStart, Informed
    >>> start = GaussianStart(2, 3)
    >>> flow = Informed(start, 5, ActNorm(2))
    >>> x, seen = torch.ones(4, 2), torch.zeros(4, 3)
    >>> context = torch.cat([torch.zeros(4, 5), start.predict(seen)], dim=1)
    >>> z, _ = flow(x, context)
    >>> torch.allclose(flow.inverse(z, context)[0], x)
    True
    """

    def __init__(self, start: Start, features: int, rest: Bijection) -> None:
        super().__init__()
        self.start, self.features, self.rest = start, features, rest

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the start, then the rest."""
        z, log_det = self.start.whitened(x, context[:, self.features :])
        z, more = self.rest(z, self._told(context))
        return z, log_det + more

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the rest, then the start."""
        x, log_det = self.rest.inverse(z, self._told(context))
        x, more = self.start.coloured(x, context[:, self.features :])
        return x, log_det + more

    def _told(self, context: Tensor) -> Tensor:
        return context[:, : self.features + self.start.told]
