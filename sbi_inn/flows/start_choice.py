"""How a start chooses what it is made of: by the losses of rows that are left out."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Rows that the choice looks at.
MOST_TRIED = 4_000
# One in so many of these is left out for it.
HELD = 5
# Share of the prior that is mixed in where rows are scored.
PRIOR_SHARE = 1e-3
# Nats that a row may cost where the choice is made: tails are what the blocks are for.
WORST = 25.0


class Tried(NamedTuple):
    """How rows left out fare by a start.

    Attributes
    ----------
    losses : Tensor, shape (rows,)
        Negative log densities, but for a constant, as `scored` gives them.
    floor : float
        What was added to the widths of its normal laws.
    reads : bool
        Whether it reads contexts besides.
    """

    losses: Tensor
    floor: float
    reads: bool


def held_out(rows: int) -> Tensor:
    """Say which of the first rows are left out, (as many as the choice looks at,)."""
    return torch.arange(min(rows, MOST_TRIED)) % HELD == 0


def scored(losses: Tensor, x: Tensor | None = None) -> Tensor:
    """Cut losses of rows where they are hopeless.

    Given their parameters x (rows, dim), it mixes a little of the prior in before, as networks are
    scored: for where many rows may be far off.
    """
    if x is not None:
        prior = math.log(PRIOR_SHARE) - 0.5 * x.square().sum(dim=1)
        losses = -torch.logaddexp(-losses, prior)
    return losses.clamp(max=WORST)
