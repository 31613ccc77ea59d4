"""Two-sided conditional coupling blocks (dissertation, sec. 3.3, eq. 3.10)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sbi_inn.flows.bijection import Bijection


class Elementwise(ABC):
    """A monotone map of single numbers, each steered by `n_parameters` numbers of its own.

    All parameters zero must give the identity: networks start there.
    """

    n_parameters: int

    @abstractmethod
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Map `x` (batch, dim) by `parameters` (batch, dim * n_parameters).

        Returns
        -------
        z : Tensor, shape (batch, dim)
        log_slope : Tensor, shape (batch,)
            log |dz/dx|, summed over the dimensions.
        """

    @abstractmethod
    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`; the log slope is that of the inverse."""


class Affine(Elementwise):
    """z = x exp(s) + t with the soft clamp s = clamp * tanh(raw / clamp) (eqs. 3.10, 3.13).

    The inverse printed below eq. 3.9 lacks a minus sign: it is x = (z - t) exp(-s).

    Parameters
    ----------
    clamp : float
        Bound on |s|, "alpha" in the source.

    Raises
    ------
    ValueError
        If the clamp is not positive.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Affine
    >>> far = torch.tensor([[1e6, 0.5]])  # raw log scale, shift
    >>> z, log_slope = Affine(clamp=2.0).forward(torch.tensor([[1.0]]), far)
    >>> z, log_slope
    (tensor([[7.8891]]), tensor([2.]))
    """

    n_parameters = 2

    def __init__(self, clamp: float = 2.0) -> None:
        if not clamp > 0:
            raise ValueError(f"Affine(clamp=...) must be positive; got {clamp!r}")
        self.clamp = clamp

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Scale, then shift."""
        log_scale, shift = self._read(parameters)
        return torch.addcmul(shift, x, log_scale.exp()), log_scale.sum(dim=1).expand(len(x))

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the shift, then the scale."""
        log_scale, shift = self._read(parameters)
        return (z - shift) * torch.exp(-log_scale), -log_scale.sum(dim=1).expand(len(z))

    def _read(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Give log scales and shifts, (batch or 1, dim) each."""
        raw, shift = parameters.chunk(2, dim=1)
        return self.clamp * torch.tanh(raw / self.clamp), shift


class Coupling(Bijection):
    """Transform one half given the other and the context, then the other way round.

    With one dimension there is no other half: the transform then depends on the context alone.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    transform : Elementwise
        What happens to each number, such as `Affine` or `RationalQuadraticSpline`.
    subnet : callable (n_in, n_out) -> Module
        Makes the networks; each is called with a half (batch, n_in) and the context, and gives
        (batch, n_out), or (1, n_out) if neither varies.

    Examples
    --------
    >>> import torch
    >>> from functools import partial
    >>> from sbi_inn.flows import MLP, Affine, Coupling
    >>> coupling = Coupling(3, Affine(), partial(MLP, context=2, hidden=16, depth=1))
    >>> x, context = torch.ones(5, 3), torch.zeros(1, 2)
    >>> z, log_det = coupling(x, context)
    >>> torch.equal(z, x), log_det.shape
    (True, torch.Size([5]))
    """

    def __init__(
        self, dim: int, transform: Elementwise, subnet: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        self.first = dim // 2
        self.second = dim - self.first
        self.transform = transform
        self.net_second = subnet(self.first, self.second * transform.n_parameters)
        self.net_first = (
            subnet(self.second, self.first * transform.n_parameters) if self.first else None
        )

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Transform the second half given the first, then the first given the new second."""
        first, second = x.split([self.first, self.second], dim=1)
        second, log_det = self.transform.forward(second, self.net_second(first, context))
        if self.net_first is None:
            return second, log_det
        first, more = self.transform.forward(first, self.net_first(second, context))
        return torch.cat([first, second], dim=1), log_det + more

    def inverse(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Undo the two steps in reverse order."""
        first, second = z.split([self.first, self.second], dim=1)
        log_det = z.new_zeros(len(z))
        if self.net_first is not None:
            first, log_det = self.transform.inverse(first, self.net_first(second, context))
        second, more = self.transform.inverse(second, self.net_second(first, context))
        return torch.cat([first, second], dim=1), log_det + more
