"""Does a number in a row not fit the others? Each number minus its prediction from the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.errors import ShapeError
from sbi_inn.observation.statistics import spread
from sbi_inn.typing import FloatArray

_CLIP = 10.0  # spreads: one wild row shall not decide a covariance
_FLATTEST = 1e-3  # sd of a direction, at least, in that of the widest
_MEDIAN_OF_NORMAL = 0.6745  # of the absolute value
_FARTHEST = 1e100  # spreads, whose square is finite


@dataclass(frozen=True)
class Residuals:
    """Each column of a row, less what the other columns predict of it by least squares.

    Attributes
    ----------
    center, scale : array, shape (k,)
        Median and robust standard deviation of each column.
    predict : array, shape (k, k)
        What takes scaled rows to residuals: the columns of the inverse covariance, each over its
        diagonal element.
    usual : array, shape (k,)
        Spread of the residuals of rows that the covariance does not come from.
    own : array, shape (n // 2,)
        `largest` of these rows.
    suspects : int
        How many columns, the first, may be what does not go with the others.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> usual = rng.normal(size=(1_000, 1)) + 0.1 * rng.normal(size=(1_000, 6))
    >>> residuals = Residuals.fit(usual)
    >>> row = np.array([[0.0, 0.0, 0.6, 0.0, 0.0, 0.0]])  # .6 is no unusual value
    >>> int(residuals.of(row)[0].argmax()), bool(residuals.largest(row) > residuals.own.max())
    (2, True)
    """

    center: FloatArray
    scale: FloatArray
    predict: FloatArray
    usual: FloatArray
    own: FloatArray
    suspects: int

    @classmethod
    def fit(cls, rows: ArrayLike, suspects: int | None = None) -> Residuals:
        """Learn it from rows (n, k): the covariance from every second one, the rest from others.

        Raises
        ------
        ShapeError
            If the shape is not (n, k), n > 3, k > 0, or a value is not finite.
        """
        rows = np.asarray(rows, dtype=float)
        if rows.ndim != 2 or len(rows) < 4 or not rows.shape[1] or not np.isfinite(rows).all():
            raise ShapeError(
                "Residuals.fit: rows must be finite and of shape (n, k), n > 3 and k > 0; "
                f"got {rows.shape} with {np.sum(~np.isfinite(rows))} values that are not finite"
            )
        center, scale = np.median(rows, axis=0), spread(rows)
        scaled = np.clip((rows[::2] - center) / scale, -_CLIP, _CLIP)
        inverse = _inverse_covariance(scaled)
        first = cls(center, scale, inverse / np.diag(inverse), np.ones(len(center)), center, 0)
        left = first.of(rows[1::2])
        middle = np.median(left, axis=0) / _MEDIAN_OF_NORMAL
        usual = np.maximum(np.where(middle > 0, middle, left.std(axis=0)), _FLATTEST)
        known = cls(center, scale, first.predict, usual, center, suspects or rows.shape[1])
        return cls(center, scale, first.predict, usual, known.largest(rows[1::2]), known.suspects)

    def of(self, rows: FloatArray) -> FloatArray:
        """Return how far each column is from what the others predict, 1 being usual, (m, k)."""
        limit = _FARTHEST * self.scale
        scaled = np.clip(rows - self.center, -limit, limit) / self.scale
        return np.abs(scaled @ self.predict) / self.usual

    def largest(self, rows: FloatArray) -> FloatArray:
        """Return the square of the largest of the suspected columns, shape (m,).

        Squares of normal numbers have an exponential tail, by which `tail_p_value` continues.
        """
        return self.of(rows)[:, : self.suspects].max(axis=1) ** 2


def _inverse_covariance(rows: FloatArray) -> FloatArray:
    """Invert the covariance of rows (n, k), whose directions are no flatter than `_FLATTEST`."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    # Of rows, not of their covariance: of more columns than rows it takes a fraction of the time.
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    least = _FLATTEST**2 * max(sizes[0] ** 2, 1e-12)
    beside = 1 / np.maximum(sizes**2, least) - 1 / least
    return np.eye(rows.shape[1]) / least + axes.T * beside @ axes
