"""From the entries of each set or series to one row of numbers, whatever their number."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def rows_of(sizes: Tensor) -> Tensor:
    """Say to which row each packed entry belongs, shape (sum of sizes,).

    >>> rows_of(torch.tensor([1, 3]))
    tensor([0, 1, 1, 1])
    """
    return torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)


def mean(values: Tensor, row: Tensor, sizes: Tensor) -> Tensor:
    """Average the entries of each row: (sum of sizes, width) to (batch, width)."""
    total = values.new_zeros(len(sizes), values.shape[1]).index_add(0, row, values)
    return total / sizes.unsqueeze(1)


class Attention(nn.Module):
    """Averages of the entries, each head with weights of its own that the entries choose.

    The weights of a row are positive and of sum 1: the average of one entry is itself, and entries
    that say nothing can be passed over, which a plain mean cannot.

    Parameters
    ----------
    width : int
        Numbers of an entry; a multiple of `heads`.
    heads : int
        Each averages its own share of the numbers.

    Examples
    --------
    >>> entries, sizes = torch.tensor([[1.0, 5.0], [2.0, 6.0], [2.0, 6.0]]), torch.tensor([1, 2])
    >>> Attention(2, heads=2)(entries, rows_of(sizes), sizes).detach()
    tensor([[1., 5.],
            [2., 6.]])
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.score = nn.Linear(width, heads)

    def forward(self, entries: Tensor, row: Tensor, sizes: Tensor) -> Tensor:
        """Average the entries of each row: (sum of sizes, width) to (batch, width)."""
        scores = self.score(entries)
        index = row.unsqueeze(1).expand_as(scores)
        largest = scores.detach().new_full((len(sizes), self.heads), -torch.inf)
        largest = largest.scatter_reduce(0, index, scores.detach(), "amax")
        weights = (scores - largest[row]).exp()
        weighted = entries.view(len(row), self.heads, -1) * weights.unsqueeze(2)
        total = entries.new_zeros(len(sizes), entries.shape[1]).index_add(
            0, row, weighted.flatten(1)
        )
        sums = weights.new_zeros(len(sizes), self.heads).index_add(0, row, weights)
        return (total.view(len(sizes), self.heads, -1) / sums.unsqueeze(2)).flatten(1)
