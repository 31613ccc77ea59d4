"""The networks inside coupling blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sbi_inn.flows.dropout import Dropout
from sbi_inn.shared_work.contexts import for_each, side_by_side


class MLP(nn.Module):
    """A multilayer perceptron of a vector and a context, with SiLU between its layers.

    Its first layer treats the two apart, so that a context that rows share costs one row. The
    last layer starts at zero: a coupling block starts as the identity.

    Parameters
    ----------
    n_in, n_out : int
        Width of the input vector (0: the context alone) and of the output.
    context : int
        Width of the context (0: the vector alone).
    hidden : int
        Width of the hidden layers.
    depth : int
        Number of hidden layers, at least one.
    dropout : Dropout, optional
        Applied to the hidden layers in training.

    Raises
    ------
    ValueError
        If there is neither a vector nor a context.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import MLP
    >>> net = MLP(2, 4, context=3, hidden=16, depth=2)
    >>> net(torch.randn(5, 2), torch.randn(1, 3)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        context: int,
        hidden: int,
        depth: int,
        dropout: Dropout | None = None,
    ) -> None:
        super().__init__()
        if not n_in + context:
            raise ValueError("MLP needs a vector or a context; got n_in = 0 and context = 0")
        self.n_in = n_in
        self.dropout = dropout
        self.steer = nn.Linear(context, hidden) if context else None
        self.enter = nn.Linear(n_in, hidden, bias=not context) if n_in else None
        self.hidden = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth - 1))
        self.leave = nn.Linear(hidden, n_out)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map `x` (batch, n_in) and the context (batch or fewer, context) to (batch, n_out)."""
        h = self._first(x, context)
        for layer in self.hidden:
            h = layer(self._passed(h))
        h = self._passed(h)
        if torch.is_grad_enabled():
            return for_each(self.leave(h), len(x))
        # Each number that comes out in one piece of memory, as splines work on them.
        out = torch.addmm(self.leave.bias[:, None], self.leave.weight, h.t()).t()
        return for_each(out, len(x))

    def _passed(self, h: Tensor) -> Tensor:
        """Pass hidden units through SiLU, and drop some in training."""
        h = F.silu(h, inplace=not torch.is_grad_enabled())
        dropout = self.dropout if self.training else None
        mask = None if dropout is None else dropout.mask(len(h), h.shape[1], h.device)
        return h if mask is None else h * mask

    def _first(self, x: Tensor, context: Tensor) -> Tensor:
        if self.enter is None:
            assert self.steer is not None
            return self.steer(context)
        if self.steer is None:
            return self.enter(x)
        if len(context) == len(x) and not torch.is_grad_enabled():
            # One product, so that what comes out of it is written once.
            weight = torch.cat([self.enter.weight, self.steer.weight], dim=1)
            return torch.addmm(self.steer.bias, torch.cat([x, context], dim=1), weight.t())
        if len(context) in (1, len(x)):
            return torch.addmm(self.steer(context), x, self.enter.weight.t())
        steered = self.steer(context)[:, None]
        entered = side_by_side(x @ self.enter.weight.t(), len(context))
        return (entered + steered).flatten(0, 1)


class Free(nn.Module):
    """Free parameters in the place of a network that has nothing to read.

    A block of a single number has no other half, and where there is no context either, it does the
    same to every row. All parameters start at zero.

    Parameters
    ----------
    n_out : int

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.flows import Free
    >>> Free(3)(torch.zeros(5, 0), torch.zeros(1, 0))
    tensor([[0., 0., 0.]], grad_fn=<UnsqueezeBackward0>)
    """

    def __init__(self, n_out: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Give the parameters, shape (1, n_out), whatever is asked."""
        return self.values.unsqueeze(0)
