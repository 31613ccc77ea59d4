"""Fixed mixing of the dimensions between blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from sbi_inn.flows.bijection import Bijection


class Orthogonal(Bijection):
    """Multiply by a fixed random orthogonal matrix (sec. 3.5: learned ones brought nothing).

    Parameters
    ----------
    dim : int
        Number of dimensions.
    generator : torch.Generator
        Where the matrix comes from.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Orthogonal
    >>> mixing = Orthogonal(2, torch.Generator().manual_seed(1))
    >>> z, log_det = mixing(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 0))
    >>> round(z.norm().item(), 4), log_det.item()
    (5.0, 0.0)
    """

    matrix: Tensor

    def __init__(self, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        square = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
        q, r = torch.linalg.qr(square)
        # The signs make the draw uniform over the orthogonal group (Mezzadri 2007).
        self.register_buffer("matrix", (q * r.diagonal().sign()).to(torch.get_default_dtype()))

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate."""
        return x @ self.matrix, x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate back."""
        return z @ self.matrix.T, z.new_zeros(len(z))


class Permutation(Bijection):
    """Put the dimensions in another order, fixed at random.

    Unlike a rotation it keeps every dimension to itself, so that a bound or a skewed shape of one
    parameter stays in one number.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    generator : torch.Generator
        Where the order comes from; with two dimensions they always change places.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Permutation
    >>> mixing = Permutation(2, torch.Generator().manual_seed(1))
    >>> mixing(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 0))
    (tensor([[4., 3.]]), tensor([0.]))
    """

    order: Tensor

    def __init__(self, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        order = torch.tensor([1, 0]) if dim == 2 else torch.randperm(dim, generator=generator)
        self.register_buffer("order", order)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Change the order."""
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Change it back."""
        return z[:, self.order.argsort()], z.new_zeros(len(z))
