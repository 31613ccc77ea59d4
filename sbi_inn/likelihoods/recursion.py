"""Numbers each of which follows from the one before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Recursion(torch.autograd.Function):
    """x_t = drive_t + share x_(t - 1), and its slopes, which run the other way."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, share: Tensor) -> Tensor:
        found = torch.empty_like(drive)
        found[0] = drive[0]
        for now in range(1, len(drive)):
            torch.addcmul(drive[now], share, found[now - 1], out=found[now])
        ctx.save_for_backward(share, found)
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor]:
        share, found = ctx.saved_tensors
        of_drive = slopes[0].clone(memory_format=torch.contiguous_format)
        for now in range(len(of_drive) - 2, -1, -1):
            of_drive[now].addcmul_(share, of_drive[now + 1])
        return of_drive, (of_drive[1:] * found[:-1]).sum(dim=0)


def recursed(drive: Tensor, share: Tensor) -> Tensor:
    """Give x_t = drive_t + share x_(t - 1), where x_0 = drive_0.

    Parameters
    ----------
    drive : Tensor, shape (length, ...)
    share : Tensor, shape (...)

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.recursion import recursed
    >>> recursed(torch.ones(4), torch.tensor(0.5))
    tensor([1.0000, 1.5000, 1.7500, 1.8750])
    """
    found = _Recursion.apply(drive, share)
    assert isinstance(found, Tensor)
    return found


def before(values: Tensor, lag: int = 1) -> Tensor:
    """Give what was `lag` steps before, (length, ...); zeros before the first one."""
    none = values.new_zeros(min(lag, len(values)), *values.shape[1:])
    return torch.cat([none, values[: len(values) - len(none)]])


def carried(values: Tensor, shares: Tensor) -> Tensor:
    """Give the sum over lags of shares of what was so many steps before.

    Parameters
    ----------
    values : Tensor, shape (length, ...)
    shares : Tensor, shape (lags, ...)
        Of the value before, of the one before that, and so on.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.likelihoods.recursion import carried
    >>> carried(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([10.0, 1.0]))
    tensor([ 0., 10., 21.])
    """
    shape = torch.broadcast_shapes(values[0].shape, shares[0].shape)
    found = values.new_zeros(len(values), *shape)
    for lag, share in enumerate(shares, 1):
        found[lag:] += share * values[:-lag]
    return found
