"""Networks of two hidden layers side by side, and how they are trained: few operations a step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Decays of the averages of a gradient and of its square, and what is added to the root of the
# latter: torch's own defaults.
BETAS, EPSILON = (0.9, 0.999), 1e-8
# Added to a norm before it divides, as torch does.
SMALLEST = 1e-6
# Numbers between the beginnings of two layers: the last digits of a product depend on how its
# factors lie in memory.
ALIGNED = 16

_silu_backward = torch.ops.aten.silu_backward.default


class Stacked:
    """Networks of one shape, with SiLU between their layers, trained by AdamW.

    Gradients are written out, and all weights are views of one vector: where networks are small,
    what torch does beside the arithmetic takes as long as that.

    Parameters
    ----------
    weights : list of Tensor
        A matrix (networks, wide, narrow) and offsets (networks, 1, narrow) for each layer; then, if
        what is said is to have a linear part beside, its matrix. They are copied.
    decay : float
        Of the weights.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.shared_work.stacked import Stacked
    >>> shapes = [(1, 2, 8), (1, 1, 8), (1, 8, 8), (1, 1, 8), (1, 8, 3), (1, 1, 3)]
    >>> networks = Stacked([torch.ones(shape) for shape in shapes], decay=0.0)
    >>> x = torch.ones(1, 5, 2)
    >>> before = networks(x)
    >>> networks.step(torch.ones_like(before), steepest=1.0, rate=0.1)
    >>> bool((networks(x) < before).all())
    True
    """

    def __init__(self, weights: list[Tensor], decay: float) -> None:
        self._sizes = [-(-weight.numel() // ALIGNED) * ALIGNED for weight in weights]
        self._shapes = [weight.shape for weight in weights]
        self._vector, self._gradient = weights[0].new_zeros(2, sum(self._sizes))
        self.weights, self._slopes = self._views(self._vector), self._views(self._gradient)
        for mine, weight in zip(self.weights, weights, strict=True):
            mine.copy_(weight)
        self._means, self._squares = torch.zeros_like(self._vector), torch.zeros_like(self._vector)
        self._steps, self._decay = 0, decay
        self._kept: tuple[Tensor, ...] = ()

    def _views(self, vector: Tensor) -> list[Tensor]:
        """Give the layers in a vector."""
        parts = zip(vector.split(self._sizes), self._shapes, strict=True)
        return [part[: shape.numel()].view(shape) for part, shape in parts]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Give what networks say of x (networks, rows, wide); `step` needs what comes between."""
        first, first_bias, second, second_bias, last, last_bias, *beside = self.weights
        early = torch.baddbmm(first_bias, x, first)
        h = F.silu(early)
        late = torch.baddbmm(second_bias, h, second)
        g = F.silu(late)
        self._kept = (x, early, h, late, g)
        return _with(beside, x, torch.baddbmm(last_bias, g, last))

    @torch.no_grad()
    def step(self, slope: Tensor, steepest: float, rate: float) -> None:
        """Go one step down, by how a loss changes with what was said last.

        Parameters
        ----------
        slope : Tensor, shape (networks, rows, narrow)
        steepest : float
            The largest norm of a gradient.
        rate : float
            Of learning.
        """
        x, early, h, late, g = self._kept
        for along in self._slopes[6:]:
            torch.bmm(x.mT, slope, out=along)
        self._by_layer(2, g, slope)
        slope = _silu_backward(torch.bmm(slope, self.weights[4].mT), late)
        self._by_layer(1, h, slope)
        slope = _silu_backward(torch.bmm(slope, self.weights[2].mT), early)
        self._by_layer(0, x, slope)
        self._clip(steepest)
        self._down(rate)

    def _clip(self, steepest: float) -> None:
        """Bound the norm of the gradient, as `torch.nn.utils.clip_grad_norm_` does."""
        norms = torch.stack([torch.linalg.vector_norm(part) for part in self._slopes])
        share = steepest / (torch.linalg.vector_norm(norms) + SMALLEST)
        self._gradient.mul_(share.clamp(max=1.0))

    def _down(self, rate: float) -> None:
        """Go a step of AdamW (Loshchilov and Hutter 2019), as `torch.optim.AdamW` does."""
        self._steps += 1
        first, second = BETAS
        self._vector.mul_(1 - rate * self._decay)
        self._means.lerp_(self._gradient, 1 - first)
        self._squares.mul_(second).addcmul_(self._gradient, self._gradient, value=1 - second)
        size = self._squares.sqrt().div_((1 - second**self._steps) ** 0.5).add_(EPSILON)
        self._vector.addcdiv_(self._means, size, value=-rate / (1 - first**self._steps))

    def _by_layer(self, layer: int, read: Tensor, slope: Tensor) -> None:
        """Note the slope in a layer's weights, by what it read and the slope in what it gave."""
        torch.bmm(read.mT, slope, out=self._slopes[2 * layer])
        torch.sum(slope, dim=1, keepdim=True, out=self._slopes[2 * layer + 1])

    def copy(self) -> list[Tensor]:
        """Give a copy of the weights."""
        return [weight.clone() for weight in self.weights]


def said_by(weights: list[Tensor], x: Tensor) -> Tensor:
    """Give what networks of such weights say of x (networks, rows, wide)."""
    h = torch.baddbmm(weights[1], x, weights[0])
    h = torch.baddbmm(weights[3], F.silu(h), weights[2])
    return _with(weights[6:], x, torch.baddbmm(weights[5], F.silu(h), weights[4]))


def _with(beside: list[Tensor], x: Tensor, said: Tensor) -> Tensor:
    """Add the linear part, if there is one."""
    return torch.baddbmm(said, x, beside[0]) if beside else said
