"""Blocks that go on from a start which sees more than they do."""

from __future__ import annotations

from torch import Tensor

from sbi_inn.flows.bijection import Bijection


class Informed(Bijection):
    """A bijection of what a start leaves, where the start alone reads the end of the context.

    Parameters
    ----------
    start : Bijection
        Its context is the last `n_exact` columns.
    rest : Bijection
        Its context is all others.
    n_exact : int

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import ActNorm, GaussianStart, Informed
    >>> flow = Informed(GaussianStart(2, 3), ActNorm(2), 3)
    >>> x, context = torch.ones(4, 2), torch.zeros(4, 5)
    >>> z, _ = flow(x, context)
    >>> torch.allclose(flow.inverse(z, context)[0], x)
    True
    """

    def __init__(self, start: Bijection, rest: Bijection, n_exact: int) -> None:
        super().__init__()
        self.start, self.rest, self.n_exact = start, rest, n_exact

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the start, then the rest."""
        others, exact = self._parts(context)
        z, log_det = self.start(x, exact)
        z, more = self.rest(z, others)
        return z, log_det + more

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the rest, then the start."""
        others, exact = self._parts(context)
        x, log_det = self.rest.inverse(z, others)
        x, more = self.start.inverse(x, exact)
        return x, log_det + more

    def _parts(self, context: Tensor) -> tuple[Tensor, Tensor]:
        return context[:, : -self.n_exact], context[:, -self.n_exact :]
