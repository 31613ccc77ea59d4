"""Counts among observables, as they were before logarithms were taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sbi_inn.likelihoods.counts import FEWEST_VALUES
from sbi_inn.typing import AnyArray, FloatArray, IntArray

# What was a logarithm is whole up to so large a share of it.
WHOLE = 1e-9
# A smallest count that is larger is none: all numbers that large look whole.
LARGEST = 1e6

# Largest logarithm of a count.
HIGHEST = 700.0


@dataclass(frozen=True)
class Counted:
    """Which columns of a table are counts.

    Attributes
    ----------
    columns : array of int, shape (k,)
    added : array, shape (k,)
        The column is log(n + added); or NaN, and it is n.
    """

    columns: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    added: FloatArray = field(default_factory=lambda: np.empty(0))

    @classmethod
    def fit(cls, table: FloatArray) -> Counted:
        """Find them in a table (rows, columns); none, where most that vary are something else.

        Examples
        --------
        >>> import numpy as np
        >>> from sbi_inn.summary_networks.counted import Counted
        >>> n = np.arange(6.0)
        >>> counted = Counted.fit(np.stack([n, np.log(n + 1), n / 7], axis=1))
        >>> counted.columns, counted.added
        (array([0, 1]), array([nan,  1.]))
        """
        found = {at: _added(column) for at, column in enumerate(table.T)}
        found = {at: added for at, added in found.items() if added is not None}
        varied = int((table != table[:1]).any(axis=0).sum())
        if 2 * len(found) <= varied:
            return cls()
        return cls(np.array(list(found)), np.array(list(found.values())))

    def __bool__(self) -> bool:
        return len(self.columns) > 0

    def __call__(self, table: FloatArray) -> FloatArray:
        """Give log(1 + n) of each, shape (rows, k)."""
        told = table[:, self.columns]
        plain = np.isnan(self.added)
        logs = np.exp(np.clip(np.where(plain, 0.0, told), None, HIGHEST))
        n = np.where(plain, told, logs - np.nan_to_num(self.added))
        return np.log1p(np.maximum(n, 0.0))

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return vars(self).copy() if self else {}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Counted:
        """Read back what `to_arrays` gave."""
        return cls(**arrays)


def _added(column: FloatArray) -> float | None:
    """Say how a column holds counts, if it does."""
    if not np.isfinite(column).all() or len(np.unique(column)) < FEWEST_VALUES:
        return None
    if column.min() >= 0 and (column == column.round()).all():
        return np.nan if column.min() <= LARGEST else None
    values = np.exp(np.minimum(column, HIGHEST))
    if (abs(values - values.round()) > WHOLE * (1 + values)).any() or values.min() > LARGEST:
        return None
    return 1.0 if values.min() < 1.5 else 0.0
