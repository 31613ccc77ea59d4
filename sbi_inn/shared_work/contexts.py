"""Rows of a context that several rows of what is mapped share."""

from __future__ import annotations

from torch import Tensor


def for_each(shared: Tensor, rows: int) -> Tensor:
    """Repeat what was computed of a context, so that there is one for each of the rows.

    A single one stays as it is: it is broadcast.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.shared_work.contexts import for_each
    >>> for_each(torch.tensor([[1], [2]]), 6)[:, 0]
    tensor([1, 1, 1, 2, 2, 2])
    """
    sharing = len(shared)
    return shared if sharing in (1, rows) else shared.repeat_interleave(rows // sharing, dim=0)


def side_by_side(x: Tensor, context: int) -> Tensor:
    """Put rows (batch, dim) that share a row of the context together: (context, ..., dim).

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.shared_work.contexts import side_by_side
    >>> side_by_side(torch.zeros(6, 5), 2).shape
    torch.Size([2, 3, 5])
    """
    return x.unflatten(0, (context, len(x) // max(context, 1)))
