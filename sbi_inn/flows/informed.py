"""Blocks that go on from a start in closed form, and are told what it says."""

from __future__ import annotations

from torch import Tensor

from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.gaussian_start import GaussianStart


class Informed(Bijection):
    """What a start leaves, and a bijection of it.

    The context ends with the means and log widths that the start predicts: it reads more of an
    observation than the blocks do, and predicts once for all draws there.

    Parameters
    ----------
    start : GaussianStart
    rest : Bijection
        Its context is all of the context.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ActNorm, GaussianStart, Informed
    >>> start = GaussianStart(2, 3)
    >>> flow = Informed(start, ActNorm(2))
    >>> x, seen = torch.ones(4, 2), torch.zeros(4, 3)
    >>> context = torch.cat([torch.zeros(4, 5), *start.predict(seen)], dim=1)
    >>> z, _ = flow(x, context)
    >>> torch.allclose(flow.inverse(z, context)[0], x)
    True
    """

    def __init__(self, start: GaussianStart, rest: Bijection) -> None:
        super().__init__()
        self.start, self.rest = start, rest

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the start, then the rest."""
        z, log_det = self.start.whitened(x, *self._said(context))
        z, more = self.rest(z, context)
        return z, log_det + more

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the rest, then the start."""
        x, log_det = self.rest.inverse(z, context)
        x, more = self.start.coloured(x, *self._said(context))
        return x, log_det + more

    def _said(self, context: Tensor) -> tuple[Tensor, ...]:
        return context[:, -2 * self.start.dim :].chunk(2, dim=1)
