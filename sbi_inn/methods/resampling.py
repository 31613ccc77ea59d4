"""Keep draws by their weights, so many at once as fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sbi_inn.methods.row_generators import Random
from sbi_inn.typing import FloatArray, IntArray


def resampled(log_weights: FloatArray, n: int, rng: Random) -> IntArray:
    """Choose n of m by their weights (rows, m), shape (rows, n): systematic, in random order.

    Kitagawa (1996), J. Comput. Graph. Stat. 5, 1-25.
    """
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    ends = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    first = rng.random((len(weights),))
    places = (np.arange(n) + first[:, None]) / n
    found = [np.searchsorted(e, p) for e, p in zip(ends, places, strict=True)]
    chosen = np.minimum(np.stack(found), weights.shape[1] - 1)
    return rng.permuted(chosen, axis=1)


def blocks(rows: int, each: int, most: int) -> Iterator[slice]:
    """Cut rows of `each` numbers into blocks of at most so many numbers, or of one row.

    Examples
    --------
    >>> list(blocks(5, each=10, most=25))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = max(1, most // max(each, 1))
    return (slice(first, min(first + size, rows)) for first in range(0, rows, size))
