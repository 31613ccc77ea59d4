"""The covariance of many columns, learned from few rows."""

from __future__ import annotations

import numpy as np

from sbi_inn.typing import FloatArray

# Variance of a direction, as a share of the largest, below which it is what rounding leaves.
ROUNDING = 1e-12


class Shrunk:
    """A root R of the covariance C = R R^T of rows, drawn to a multiple of the identity.

    By as much as is best if columns are not few beside rows (Ledoit and Wolf 2004,
    doi:10.1016/S0047-259X(03)00096-4, eq. 14). Of more columns than rows, the root is that of what
    the rows span, and a multiple of the identity elsewhere: no matrix of all columns is made.

    Parameters
    ----------
    rows : array, shape (n, k)
        Centred.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.summary_networks.shrunk_covariance import Shrunk
    >>> rng = np.random.default_rng(1)
    >>> rows = rng.normal(size=(4_000, 2)) @ [[3.0, 1.0], [0.0, 1.0]]
    >>> np.cov(Shrunk(rows).solve(rows.T)).round(1)
    array([[1., 0.],
           [0., 1.]])
    """

    def __init__(self, rows: FloatArray) -> None:
        n, k = rows.shape
        own = np.asarray((rows.T @ rows if k <= n else rows @ rows.T) / n, float)
        usual = float(own.trace()) / k
        size = float(np.square(own).sum())
        away = size - k * usual**2
        noise = (float(np.square(np.square(rows).sum(axis=1)).sum()) / n - size) / n
        share = min(max(noise / away, ROUNDING), 1.0) if away > 0 else 1.0
        self._least, self._root = share * usual, np.empty((0, 0))
        if k <= n:
            self._root = np.linalg.cholesky((1 - share) * own + self._least * np.eye(k))
            return
        sizes, turned = np.linalg.eigh(own)
        seen = sizes > ROUNDING * sizes[-1]
        self._axes = rows.T @ (turned[:, seen] / np.sqrt(n * sizes[seen]))
        self._sizes = (1 - share) * sizes[seen] + self._least

    def solve(self, columns: FloatArray, *, transposed: bool = False) -> FloatArray:
        """Give R^-1 times columns (k, m), or the transpose of R^-1 times these."""
        if len(self._root):
            root = self._root.T if transposed else self._root
            return np.asarray(np.linalg.solve(root, columns), float)
        usual = 1 / np.sqrt(self._least)
        beside = 1 / np.sqrt(self._sizes) - usual
        return usual * columns + self._axes @ (beside[:, None] * (self._axes.T @ columns))
