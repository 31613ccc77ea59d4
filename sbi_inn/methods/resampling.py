"""Keep draws by their weights."""

from __future__ import annotations

import numpy as np

from sbi_inn.methods.row_generators import Random
from sbi_inn.typing import FloatArray, IntArray


def resampled(log_weights: FloatArray, n: int, rng: Random) -> IntArray:
    """Choose n of m by their weights (rows, m), shape (rows, n): systematic, in random order."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    ends = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    first = rng.random((len(weights),))
    places = (np.arange(n) + first[:, None]) / n
    found = [np.searchsorted(e, p) for e, p in zip(ends, places, strict=True)]
    chosen = np.minimum(np.stack(found), weights.shape[1] - 1)
    return rng.permuted(chosen, axis=1)
