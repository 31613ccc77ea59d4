"""Dropout (Srivastava et al. 2014), from few random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 256  # of a random byte


class Dropout:
    """Random masks of hidden units, for all networks of a flow.

    Each byte of a 64-bit random number decides about one unit: drawing is what takes the time, as
    much as the layer itself with a number a unit.

    Parameters
    ----------
    seed : int

    Attributes
    ----------
    rate : float
        Share of the units that a mask drops, in steps of 1/256; at first none. What trains the
        networks sets it.

    Examples
    --------
    >>> from sbi_inn.inn import Dropout
    >>> dropout = Dropout(seed=1)
    >>> dropout.mask(2, 3) is None
    True
    >>> dropout.rate = 0.25
    >>> mask = dropout.mask(1000, 8)
    >>> mask.unique().round(decimals=3), round(mask.mean().item(), 1)
    (tensor([0.0000, 1.3330]), 1.0)
    """

    def __init__(self, seed: int) -> None:
        self.rate = 0.0
        self.generator = torch.Generator().manual_seed(seed)

    def mask(self, rows: int, width: int) -> Tensor | None:
        """Give factors for units, shape (rows, width): 0 or 1 / (1 - rate); None drops nothing."""
        dropped = round(self.rate * LEVELS)
        if not dropped:
            return None
        numbers = torch.empty(-(-rows * width // 8), dtype=torch.int64)
        numbers.random_(-(2**63), None, generator=self.generator)
        bytes_ = numbers.view(torch.uint8)[: rows * width].view(rows, width)
        return (bytes_ >= dropped).float().mul_(LEVELS / (LEVELS - dropped))
