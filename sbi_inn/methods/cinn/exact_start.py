"""What a start in closed form reads: no more than there are rows to learn it from."""

from __future__ import annotations

import numpy as np
import torch

from sbi_inn.flows.gaussian_start import left_out_losses, surely_less
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.summary_networks.exact import Exact

# Training rows for each feature that an exact start reads, at least.
ROWS_A_FEATURE = 1


def as_rows_allow(exact: Exact, data: TrainingData) -> Exact | None:
    """Add what neighbours say, where rows left out become likelier by it; None of too few rows."""
    if not _enough(exact, data):
        return None
    # A row whose noise is drawn anew would be its own nearest neighbour.
    if data.renew or data.fresh or data.stream:
        return exact
    latents, seen = data.latents[data.train], data.observations[data.train]
    more = exact.with_neighbours(latents, seen)
    if not _enough(more, data):
        return exact
    x = torch.from_numpy(latents.astype(np.float32))
    (asked,), (others,) = (
        left_out_losses(x, torch.from_numpy(each(seen)), exact.own) for each in (more, exact)
    )
    return more if surely_less(asked, others) else exact


def _enough(exact: Exact, data: TrainingData) -> bool:
    return exact.width * ROWS_A_FEATURE <= len(data.train)
