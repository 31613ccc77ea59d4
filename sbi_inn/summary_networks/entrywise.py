"""A perceptron of every entry of a batch of sets or series, computed in pieces.

With h_1 = x W_1^T + b_1, h_2 = f(h_1) W_2^T + b_2 and output f(h_2), where f is SiLU, and g_l the
gradient of h_l,

    g_2 = g f'(h_2),   dL/dW_2 = g_2^T f(h_1),   g_1 = (g_2 W_2) f'(h_1),   dL/dW_1 = g_1^T x.

Automatic differentiation finds the same. But a batch of sets has 100,000 entries, and the
activations of all of them do not fit the cache of a processor: every product waits for memory. Here
a thousand entries pass through both layers at a time; their activations are computed again on the
way back, which takes less time than to keep them. A step takes a third to a fifth of the time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

PIECE = 1_024  # entries at a time

_silu_backward = torch.ops.aten.silu_backward.grad_input


class Entrywise(nn.Module):
    """Two layers with SiLU after each, applied to every row.

    Parameters
    ----------
    n_in : int
    hidden : int
        Width of both layers.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.summary_networks.entrywise import Entrywise
    >>> Entrywise(3, hidden=16)(torch.randn(5_000, 3)).shape
    torch.Size([5000, 16])
    """

    def __init__(self, n_in: int, *, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_in, hidden)
        self.second = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, n_in) to (rows, hidden)."""
        return _Entrywise.apply(
            x, self.first.weight, self.first.bias, self.second.weight, self.second.bias
        )


class _Entrywise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, first: Tensor, bias: Tensor, second: Tensor, last_bias: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, first, bias, second, last_bias)
        found = x.new_empty(len(x), len(second))
        for piece, out in zip(x.split(PIECE), found.split(PIECE), strict=True):
            hidden = F.silu(torch.addmm(bias, piece, first.t()), inplace=True)
            torch.addmm(last_bias, hidden, second.t(), out=out)
            F.silu(out, inplace=True)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, first, bias, second, last_bias = ctx.saved_tensors
        sums = [torch.zeros_like(t) for t in (first.t(), bias, second, last_bias)]
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        for start in range(0, len(x), PIECE):
            here = slice(start, start + PIECE)
            before = torch.addmm(bias, x[here], first.t())
            hidden = F.silu(before)
            after = torch.addmm(last_bias, hidden, second.t())
            g = _silu_backward(grad[here], after, grad_input=after)
            sums[2].addmm_(g.t(), hidden)
            sums[3] += g.sum(dim=0)
            g = torch.mm(g, second, out=hidden)
            g = _silu_backward(g, before, grad_input=g)
            # The narrow side first: the linear algebra of a CPU is many times as fast with it.
            sums[0].addmm_(x[here].t(), g)
            sums[1] += g.sum(dim=0)
            if d_x is not None:
                torch.mm(g, first, out=d_x[here])
        return d_x, sums[0].t(), *sums[1:]
