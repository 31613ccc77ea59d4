"""Principal components of observables, each by its own spread.

Observables that move together hide what is small in them: 62 points along a line share one
direction of a spread of 1,000, beside which their noise of 1 cannot be seen. Among principal
components each of the small ones stands by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sbi_inn.summary_networks.columns import SCORES, named, prefixed
from sbi_inn.summary_networks.location import location_scale, squash, standardised
from sbi_inn.summary_networks.scores import Scores
from sbi_inn.typing import AnyArray, FloatArray

# Variance of a component, as a share of the largest, below which it is what rounding leaves.
ROUNDING = 1e-14
# How often axes are found again, and the least that a row may leave, in those of the median row.
PASSES = 2
LEAST = 1e-3
# Components left out at the head, before the log of what is left in the others is taken.
HEADS = (0, 1, 2, 4, 8, 16, 32)
SIZE_SCORES = "scores of sizes:"  # how the names of their arrays begin in files
SMALLEST = 1e-12  # root mean square, so that the log of nothing is finite


@dataclass(frozen=True)
class Whitened:
    """Principal components of scaled columns, their normal scores, and how large they are together.

    Attributes
    ----------
    scale : array, shape (2, columns)
        Median and spread of each column.
    rotation : array, shape (columns, components)
    components : array, shape (2, components)
        Median and spread of each component.
    scores : Scores
        Of the components whose law is far from normal.
    sizes : array, shape (2, k)
        Median and spread of the log root mean square of all components but the first few
        (`HEADS`): of their noise, where the others are noise.
    size_scores : Scores
        Of these logs.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.summary_networks.whitening import Whitened
    >>> rng = np.random.default_rng(1)
    >>> signal, noise = rng.normal(size=(1_000, 1)), rng.normal(size=(1_000, 2))
    >>> table = signal + 1e-3 * noise
    >>> components = Whitened.fit(table)(table)[:, :2]
    >>> np.abs(components).mean(axis=0).round(1)  # the second is a thousandth of the first
    array([0.8, 0.8], dtype=float32)
    """

    scale: FloatArray
    rotation: FloatArray
    components: FloatArray
    scores: Scores
    sizes: FloatArray
    size_scores: Scores

    @classmethod
    def fit(cls, table: FloatArray) -> Whitened:
        """Learn it from (rows, columns); missing values count as the median."""
        scale = location_scale(table)
        scaled = standardised(table, scale)
        rotation = _rotation(scaled)
        turned = scaled @ rotation
        components = location_scale(turned)
        sizes = _sizes(turned - components[0])
        # Parameters are normal under their priors: what tells one directly is its normal score.
        size_scores = Scores.fit(sizes, alike=1.0)
        scores = Scores.fit(turned)
        return cls(scale, rotation, components, scores, location_scale(sizes), size_scores)

    def __call__(self, table: FloatArray) -> npt.NDArray[np.float32]:
        """Give components, normal scores and log sizes side by side, shape (rows, ...)."""
        turned = standardised(table, self.scale) @ self.rotation
        sizes = _sizes(turned - self.components[0])
        parts = (
            squash(turned, self.components),
            self.scores(turned),
            squash(sizes, self.sizes),
            self.size_scores(sizes),
        )
        return np.hstack(parts)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if "scores" not in f.name}
        found = own | prefixed(SCORES, vars(self.scores))
        return found | prefixed(SIZE_SCORES, vars(self.size_scores))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Whitened:
        """Read back what `to_arrays` gave."""
        own = {f.name: arrays[f.name] for f in fields(cls) if "scores" not in f.name}
        scores, sizes = (Scores(**named(prefix, arrays)) for prefix in (SCORES, SIZE_SCORES))
        return cls(**own, scores=scores, size_scores=sizes)


def _rotation(scaled: FloatArray) -> FloatArray:
    """Find the principal axes.

    Rows far out count by their direction alone. Then every row counts by how little it leaves
    beyond the largest gap between variances: rows of little noise say best where signals lie.
    """
    radius = np.linalg.norm(scaled, axis=1)
    weights = np.minimum(1.0, np.median(radius) / np.where(radius > 0, radius, 1.0))
    axes, head = _axes(scaled, weights)
    for _ in range(PASSES):
        left = np.linalg.norm(scaled @ axes[:, head:], axis=1)
        usual = np.median(left) or left.mean() or 1.0  # of labels most rows may leave nothing
        axes, head = _axes(scaled, 1 / np.maximum(left, LEAST * usual))
    return axes


def _axes(scaled: FloatArray, weights: FloatArray) -> tuple[FloatArray, int]:
    """Give the axes of weighted rows, largest variance first, and how many come before the gap."""
    rows = scaled * weights[:, None]
    variance, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = variance > ROUNDING * variance[-1]
    variance, axes = variance[kept][::-1], axes[:, kept][:, ::-1]
    gaps = variance[:-1] / variance[1:]
    return axes, 1 + int(gaps[: max(1, len(gaps) // 2)].argmax()) if len(gaps) else 0


def _sizes(turned: FloatArray) -> FloatArray:
    heads = [head for head in HEADS if head < turned.shape[1] - 1]
    squares = [np.mean(turned[:, head:] ** 2, axis=1) for head in heads]
    return np.log(np.sqrt(np.array(squares).reshape(len(heads), len(turned)).T) + SMALLEST)
