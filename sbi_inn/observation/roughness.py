"""How rough a series is for its level."""

from __future__ import annotations

import numpy as np

from sbi_inn.observation.batch import PaddedSet
from sbi_inn.typing import FloatArray

EACH = 3
"""Numbers for each column."""

SMALLEST = 1e-3
"""Of the largest entry of a series: what is smaller is taken for that before its log is taken."""

_ROUNDING = 1e-12
"""Of the size of the entries: what is left below it is what rounding leaves."""


def roughness(padded: PaddedSet) -> FloatArray:
    """Give how far entries lie from the mean of their two neighbours, shape (batch, 3 * columns).

    Of a smooth series that is its noise. Log root mean squares: of square roots, which is the same
    at every level if entries are counts; of logs; and of entries in units of the mean of the three,
    which both are the same at every level if noise is in proportion to it. Negative entries count
    as zero. Entries beside one that is missing are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.observation.batch import PaddedSet
    >>> rng = np.random.default_rng(1)
    >>> level = np.exp(np.linspace(0, 9, 500))
    >>> noisy = level * np.exp(np.array([[0.05], [0.2]]) * rng.normal(size=(2, 500)))
    >>> found = roughness(PaddedSet(noisy[:, :, None], np.array([500, 500])))
    >>> np.exp(found[:, 1:]).round(2)  # about 1.2 times the noise
    array([[0.05, 0.06],
           [0.22, 0.25]])
    """
    there = padded.mask[:, :, None] & ~np.isnan(padded.values)
    values = np.where(there, padded.values, 0.0).clip(min=0.0)
    largest = values.max(axis=1, keepdims=True, initial=0.0) + np.finfo(float).tiny
    known = there[:, 1:-1] & there[:, :-2] & there[:, 2:]
    level = (values[:, 1:-1] + values[:, :-2] + values[:, 2:]) / 3
    apart = (
        _apart(np.sqrt(values / largest)),
        _apart(np.log(np.maximum(values / largest, SMALLEST))),
        _apart(values) / (level + _ROUNDING * largest),
    )
    count = np.maximum(known.sum(axis=1), 1)
    of_root, *others = (
        0.5 * np.log(np.where(known, gap**2, 0.0).sum(axis=1) / count + _ROUNDING**2)
        for gap in apart
    )
    return np.concatenate([of_root + 0.5 * np.log(largest[:, 0]), *others], axis=1)


def _apart(values: FloatArray) -> FloatArray:
    """Take the mean of the neighbours from each entry but the first and the last."""
    return np.asarray(values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2)
