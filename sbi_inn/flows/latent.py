"""Latent distributions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Distance between the means of a mixture, at the start.
DISTANCE = 5.0


class Normal:
    """The standard normal distribution in `dim` dimensions.

    Parameters
    ----------
    dim : int
        Number of dimensions.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Normal
    >>> Normal(2).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    >>> Normal(2).sample(3, torch.Generator().manual_seed(1)).shape
    torch.Size([3, 2])
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of `z` (batch, dim), shape (batch,)."""
        return -0.5 * (z.square().sum(dim=1) + self.dim * math.log(2 * math.pi))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw (n, dim)."""
        return torch.randn(n, self.dim, generator=generator, device=generator.device)


class Mixture(nn.Module):
    """One normal distribution N(mu_k, I) a class, whose means are learned (sec. 5.2).

    Parameters
    ----------
    components : int
        Number of classes.
    dim : int
        Number of dimensions.
    rate : float
        How much faster than other weights the means move: an optimiser such as Adam takes steps of
        one size, and the means are this many times what it moves.
    learned : bool
        Whether the means move at all.

    References
    ----------
    Ardizzone, dissertation (Heidelberg), sections 5.2 and C.2.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Mixture
    >>> mixture = Mixture(2, 3)
    >>> round(torch.pdist(mixture.means.detach()).item(), 3)
    5.0
    >>> mixture.log_each(torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(
        self, components: int, dim: int, *, rate: float = 3.0, learned: bool = True
    ) -> None:
        super().__init__()
        self.components, self.dim, self.rate = components, dim, rate
        self.raw = nn.Parameter(_apart(components, dim) / rate, requires_grad=learned)

    @property
    def means(self) -> Tensor:
        """The means, shape (components, dim)."""
        return self.rate * self.raw

    def log_each(self, z: Tensor) -> Tensor:
        """Log density of `z` (batch, dim) under each component, shape (batch, components)."""
        means = self.means
        # The squares that z and all components share are subtracted out: |z|^2 may be large.
        along = z @ means.t() - 0.5 * means.square().sum(dim=1)
        common = -0.5 * (z.square().sum(dim=1, keepdim=True) + self.dim * math.log(2 * math.pi))
        return along + common

    def log_prob(self, z: Tensor, log_weights: Tensor) -> Tensor:
        """Log density of the mixture, shape (batch,), under weights of the components."""
        return torch.logsumexp(self.log_each(z) + log_weights, dim=1)

    def parts(self, z: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
        """Log density in the span of the means, and across it (eqs. 5.31 to 5.34).

        Returns
        -------
        class_part, style_part : Tensor, shape (batch,)
            Their sum is `log_prob`. The span is that of the differences between the means: along
            it, classes are told apart; across it, they are all alike.
        """
        means = self.means
        centre = means.mean(dim=0)
        basis = _basis(means - centre)
        inside, middle = (z - centre) @ basis, (means - centre) @ basis
        across = (z - centre).square().sum(dim=1) - inside.square().sum(dim=1)
        flat = 0.5 * math.log(2 * math.pi)
        style = -0.5 * across.clamp(min=0) - (self.dim - basis.shape[1]) * flat
        apart = -0.5 * torch.cdist(inside, middle).square() - basis.shape[1] * flat
        return torch.logsumexp(apart + log_weights, dim=1), style


def _apart(components: int, dim: int) -> Tensor:
    """Place means at a distance of `DISTANCE` from each other, or of that on average."""
    if components <= dim:
        axes = torch.linalg.qr(torch.randn(dim, components))[0].t()
        return axes * DISTANCE / math.sqrt(2)
    if dim == 1:
        places = torch.arange(components, dtype=torch.float32) - (components - 1) / 2
        return DISTANCE * places[:, None]
    means = torch.randn(components, dim)
    return means * DISTANCE / torch.pdist(means).mean()


def _basis(vectors: Tensor) -> Tensor:
    """Give an orthonormal basis (dim, rank) of what vectors (k, dim) span."""
    _, sizes, right = torch.linalg.svd(vectors, full_matrices=False)
    return right[sizes > 1e-4 * sizes[0].clamp(min=1e-12)].t()
