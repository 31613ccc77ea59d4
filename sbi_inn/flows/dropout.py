"""Dropout (Srivastava et al. 2014), from random numbers that are drawn once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

LEVELS = 256  # of the rate: all masks are made anew when it reaches another
SUPPLY = 2**19  # factors, or twice as many as the largest mask has


class Dropout:
    """Random masks of hidden units, for all networks of a flow.

    A mask is a piece, from a random place, of one long row of factors. Drawing random numbers for
    every mask takes as long as the layer that it is for.

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
    >>> from sbi_inn.flows import Dropout
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
        self._generator = torch.Generator().manual_seed(seed)
        self._places = random.Random(seed)
        self._levels = torch.empty(0, dtype=torch.uint8)
        self._factors = torch.empty(0)
        self._dropped = 0

    def mask(self, rows: int, width: int, device: torch.device | None = None) -> Tensor | None:
        """Give factors for units, shape (rows, width): 0 or 1 / (1 - rate); None drops nothing.

        They are read from a store: not to be changed in place. They are drawn on the processor,
        the same for any device.
        """
        dropped = round(self.rate * LEVELS)
        if not dropped:
            return None
        size = rows * width
        if dropped != self._dropped or len(self._factors) < 2 * size:
            self._supply(dropped, max(SUPPLY, 2 * size))
        if device is not None and self._factors.device != device:
            self._factors = self._factors.to(device)
        start = self._places.randrange(len(self._factors) - size)
        return self._factors[start : start + size].view(rows, width)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give all that decides the masks to come: what JSON can hold, and arrays."""
        version, numbers, gauss = self._places.getstate()
        places = {"version": version, "numbers": list(numbers), "gauss": gauss}
        arrays = {"generator": self._generator.get_state().numpy(), "levels": self._levels.numpy()}
        return places, arrays

    def restore(self, config: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        self._places.setstate((config["version"], tuple(config["numbers"]), config["gauss"]))
        self._generator.set_state(torch.from_numpy(arrays["generator"]))
        self._levels, self._dropped = torch.from_numpy(arrays["levels"]), 0

    def _supply(self, dropped: int, size: int) -> None:
        """Make factors for this rate."""
        if len(self._levels) < size:
            levels = torch.randint(LEVELS, (size,), generator=self._generator, dtype=torch.uint8)
            self._levels = levels
        self._factors = (self._levels >= dropped).float().mul_(LEVELS / (LEVELS - dropped))
        self._dropped = dropped
