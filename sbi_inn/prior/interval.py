"""An exact map from an interval to the line that changes only values near the ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbi_inn.typing import FloatArray

BENT = 0.02
"""Share of an interval, at either end, where the map bends."""

DEEPEST = 30.0
"""Logarithm of how much nearer to an end than where the map bends a value can be told from it."""


@dataclass(frozen=True)
class Intervals:
    """Columns between two ends, moved and scaled, and near the ends stretched to infinity.

    Within `BENT` of an end, it is the distance to the end that falls exponentially.

    Attributes
    ----------
    low, high : array, shape (k,)
    centre, scale : array, shape (k,)
        What becomes 0, and what becomes 1 from there.

    Examples
    --------
    >>> unit = Intervals(*(np.array([x]) for x in (-1.0, 1.0, 0.0, 0.5)))
    >>> unit.to_line(np.array([[0.0], [0.5], [0.9]])).ravel().round(1).tolist()
    [0.0, 1.0, 1.8]
    >>> unit.from_line(np.array([[1.0], [1.8], [100.0]])).ravel().round(1).tolist()
    [0.5, 0.9, 1.0]
    """

    low: FloatArray
    high: FloatArray
    centre: FloatArray
    scale: FloatArray

    def to_line(self, values: FloatArray) -> FloatArray:
        """Map values (n, k) within the ends to the line."""
        place = (values - self.centre) / self.scale
        straight = np.clip(place, *self._knees)
        beyond = np.clip((place - straight) / self._bend, -1, 1)
        depth = -np.log1p(-np.minimum(np.abs(beyond), 1 - np.exp(-DEEPEST)))
        return straight + np.sign(beyond) * self._bend * depth

    def from_line(self, line: FloatArray) -> FloatArray:
        """Map any numbers (n, k) to values within the ends; the inverse of `to_line`."""
        straight, depth = self._parts(line)
        place = straight - np.sign(depth) * self._bend * np.expm1(-np.abs(depth))
        return np.clip(self.centre + self.scale * place, self.low, self.high)

    def log_slope(self, line: FloatArray) -> FloatArray:
        """Log of what a step on the line is among the values, shape (n, k)."""
        return np.log(self.scale) - np.abs(self._parts(line)[1])

    def _parts(self, line: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where on the straight part, and how deep in a bend, with its sign."""
        straight = np.clip(line, *self._knees)
        return straight, np.clip((line - straight) / self._bend, -DEEPEST, DEEPEST)

    @property
    def _bend(self) -> FloatArray:
        return BENT * (self.high - self.low) / self.scale

    @property
    def _knees(self) -> tuple[FloatArray, FloatArray]:
        low, high = ((end - self.centre) / self.scale for end in (self.low, self.high))
        return low + self._bend, high - self._bend
