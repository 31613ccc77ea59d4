"""How a start chooses what it is made of: by the losses of rows that are left out."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Widths that are added to those of a normal law, in spreads of the parameters: how far a mode is
# off where the likelihood is not learned well. Rows left out say which one is kept.
FLOORS = (0.0005, 0.002, 0.01, 0.05, 0.15)
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


def sharp_from(sharpness: Tensor, plain: Tensor, mended: Tensor, log_det: Tensor) -> float:
    """Say from which sharpness on normal laws are left as they are; infinite if nowhere.

    Normal laws are exact where posteriors are sharp, and what mends them everywhere looks at others
    most: so they are mended only where rows left out are likelier by it, from the sharpest down.

    Parameters
    ----------
    sharpness : Tensor, shape (rows,)
    plain, mended : Tensor, shape (rows, dim)
        Rows left out in units of normal laws as they are, and mended.
    log_det : Tensor, shape (rows,)
        Of what mends them.

    Examples
    --------
    >>> sharpness, plain = torch.arange(6.0), torch.zeros(6, 1)
    >>> mended = torch.tensor([[0.0], [0.0], [0.0], [1.5], [1.6], [1.5]])
    >>> sharp_from(sharpness, plain, mended, torch.full((6,), 0.5))
    3.0
    >>> sharp_from(sharpness, plain, plain, torch.full((6,), 0.5))
    inf
    """
    losses = [scored(0.5 * z.double().square().sum(dim=1)) for z in (plain, mended)]
    order = sharpness.argsort(descending=True)
    gains = (losses[1] - log_det - losses[0])[order]
    best = int(gains.cumsum(0).argmax()) + 1
    gained = gains[:best]
    surely = gained.sum() > gained.square().sum().sqrt()
    return float(sharpness[order[best - 1]]) if surely else math.inf


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
