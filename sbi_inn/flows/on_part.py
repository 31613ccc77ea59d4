"""Numbers that leave a flow early, while the others go on (dissertation, sec. 2.2.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from sbi_inn.flows.bijection import Bijection


class OnPart(Bijection):
    """Apply a bijection to the first numbers; the others are latents already.

    Parameters
    ----------
    n : int
        How many go on.
    bijection : Bijection
        Of so many dimensions.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Haar, OnPart
    >>> z, _ = OnPart(2, Haar(1, (2,)))(torch.tensor([[1.0, 1.0, 7.0]]), torch.zeros(1, 0))
    >>> z.round(decimals=2)
    tensor([[1.4100, 0.0000, 7.0000]])
    """

    def __init__(self, n: int, bijection: Bijection) -> None:
        super().__init__()
        self.n = n
        self.bijection = bijection

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map those that go on."""
        z, log_det = self.bijection(x[:, : self.n], context)
        return torch.cat([z, x[:, self.n :]], dim=1), log_det

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo it."""
        x, log_det = self.bijection.inverse(z[:, : self.n], context)
        return torch.cat([x, z[:, self.n :]], dim=1), log_det
