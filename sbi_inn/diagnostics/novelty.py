"""Could the simulations have produced this row? A nearest-neighbour density estimate, and its rank.

A row is novel if its neighbours among the simulations are further away than those of the
simulations themselves. Unlike ranges and ellipses, this detects holes and curved distributions; the
rank makes it a p-value, whatever the density.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from sbi_inn.diagnostics.tails import two_tailed
from sbi_inn.errors import ShapeError
from sbi_inn.observation.statistics import spread
from sbi_inn.typing import FloatArray, IntArray

_CLIP = 10.0  # spreads, for the covariance and for usual gaps: one wild row shall not decide them
_FLATTEST = 1e-3  # sd of a direction, at least, in that of the widest
_DIRECTIONS = 60  # searched for neighbours one by one; of the others the distance only
_WIDEST = 500  # columns, above which as many random mixtures of them are taken
_FARTHEST = 1e100  # spreads, so that their squares are finite
_GAPS_OF = 500  # fitted rows at most, for what gaps are usual


@dataclass(frozen=True)
class Whitening:
    """Rows turned and scaled to uncorrelated columns of unit variance.

    Attributes
    ----------
    center, scale : array, shape (k,)
        Median and robust standard deviation of each column.
    axes : array, shape (k, k)
        The principal directions of the scaled rows as columns, widest first, each over its own
        standard deviation. That is at least 1e-3 of the widest one's: a deterministic simulator
        leaves directions flat, and leaving the simulations along one of them is novel. Above 500
        columns, (k, 500), of so many random mixtures of them, which takes a fraction of the time.
    rest : float
        Scale of the distance in all directions beyond the first 60, in the last column.
    """

    center: FloatArray
    scale: FloatArray
    axes: FloatArray
    rest: float = 1.0

    @classmethod
    def fit(cls, rows: FloatArray) -> Whitening:
        """Learn it from rows (n, k); rows beyond ten spreads count as if they were there."""
        center, scale = np.median(rows, axis=0), spread(rows)
        scaled = np.clip((rows - center) / scale, -_CLIP, _CLIP)
        mixed = _mixtures(rows.shape[1])
        scaled = scaled if mixed is None else scaled @ mixed
        variances, directions = np.linalg.eigh(np.atleast_2d(np.cov(scaled, rowvar=False)))
        widest = variances[-1] if variances[-1] > 0 else 1.0
        floored = np.maximum(variances, _FLATTEST**2 * widest)
        axes = (directions / np.sqrt(floored))[:, ::-1]
        whitening = cls(center, scale, axes if mixed is None else mixed @ axes)
        if rows.shape[1] <= _DIRECTIONS:
            return whitening
        distance = whitening.apply(rows)[:, -1:]
        return cls(center, scale, whitening.axes, max(1.0, float(spread(distance)[0])))

    def apply(self, rows: FloatArray) -> FloatArray:
        """Whiten rows (m, k): shape (m, k), or (m, 61) where k is larger than 60."""
        limit = _FARTHEST * self.scale
        white = np.clip(rows - self.center, -limit, limit) / self.scale @ self.axes
        if white.shape[1] <= _DIRECTIONS:
            return white
        rest = np.linalg.norm(white[:, _DIRECTIONS:], axis=1, keepdims=True) / self.rest
        return np.concatenate([white[:, :_DIRECTIONS], rest], axis=1)


def _mixtures(columns: int) -> FloatArray | None:
    """Give random mixtures of so many columns, (columns, 500); None where these are fewer."""
    if columns <= _WIDEST:
        return None
    rng = np.random.default_rng(0)
    return rng.normal(0, columns**-0.5, (columns, _WIDEST))


@dataclass(frozen=True)
class Novelty:
    """How far rows lie from those that were fitted, by the distance to the k-th nearest of them.

    Attributes
    ----------
    rows : array, shape (n, k)
        What was fitted.
    neighbours : int
        Which neighbour the distance is measured to.
    whitening : Whitening
        Distances are measured in whitened columns.
    tree : KDTree
        Of the whitened fitted rows.
    around : int array, shape (n // 2, neighbours)
        The neighbours of every second fitted row among all others.
    own : array, shape (n // 2,)
        Logarithm of the distance from every second fitted row to its neighbour among all others.
        The whitening is learned from the rest: rows that shaped it lie closer to its centre than
        new ones, which in many columns would make every new row look novel.
    nearest : float
        Distances below are counted as this.
    suspects : int
        How many columns, the first, may be what is novel by itself.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 2_000)
    >>> ring = np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.1, (2_000, 2))
    >>> novelty = Novelty.fit(ring)
    >>> (novelty.p_value([[0.0, 0.0], [1.0, 0.0]]) > 0.001).tolist()
    [False, True]
    >>> int(novelty.sticking_out([[3.0, 1.0]]).argmax())
    0
    """

    rows: FloatArray
    neighbours: int
    whitening: Whitening
    tree: KDTree
    around: IntArray
    own: FloatArray
    nearest: float
    suspects: int

    @classmethod
    def fit(cls, rows: ArrayLike, neighbours: int = 5, *, suspects: int | None = None) -> Novelty:
        """Learn what is usual.

        Parameters
        ----------
        rows : array, shape (n, k)
            n observations of k numbers, from simulations, in no particular order; n at least 4.
            Constant columns and rows that occur more than once are no obstacle.
        neighbours : int
            Which neighbour the distance is measured to; n - 1 where there are fewer.
        suspects : int, optional
            How many columns, the first, `largest` looks at; by default all.

        Raises
        ------
        ShapeError
            If the shape is not (n, k), n > 3, k > 0, or a value is not finite.
        """
        rows = np.asarray(rows, dtype=float)
        fits = rows.ndim == 2 and len(rows) > 3 and rows.shape[1] > 0
        _check("Novelty.fit", rows, fits, "(n, k), n > 3 and k > 0")
        whitening = Whitening.fit(rows[::2])
        white = whitening.apply(rows)
        tree = KDTree(white)
        neighbours = min(neighbours, len(rows) - 1)
        # Each row is its own nearest.
        distances, indices = tree.query(white[1::2], k=np.arange(2, neighbours + 2))
        own, around = np.asarray(distances, dtype=float)[:, -1], np.asarray(indices, np.int64)
        # A row that occurs twice needs a log too, not far from those of rows that differ.
        nearest = float(own[own > 0].min()) / 5 if own.any() else 1.0
        own = np.log(np.maximum(own, nearest))
        first = suspects or rows.shape[1]
        return cls(rows, neighbours, whitening, tree, around, own, nearest, first)

    def score(self, rows: ArrayLike) -> FloatArray:
        """Return the log distance of new rows to their neighbour among the fitted ones.

        Parameters
        ----------
        rows : array, shape (m, k)

        Returns
        -------
        float64 array, shape (m,)
            As `own`: larger where the simulations are sparser.

        Raises
        ------
        ShapeError
            If the shape is not (m, k) with the fitted k, or a value is not finite.
        """
        white = self.whitening.apply(self._checked(rows))
        return np.log(np.maximum(_distances(self.tree, white, self.neighbours), self.nearest))

    def p_value(self, rows: ArrayLike) -> FloatArray:
        """Return the probability of a row as unusual as each of these from the simulations.

        Parameters
        ----------
        rows : array, shape (m, k)

        Returns
        -------
        float64 array, shape (m,)
            In (0, 1], two-tailed: small where a row lies further out than simulations do, or deeper
            inside. In many dimensions the very centre, without any noise, is as rare as the edge.

        Raises
        ------
        ShapeError
            As `score`.

        References
        ----------
        Ardizzone, dissertation (Heidelberg), section 5.4.3: typicality in both tails.
        """
        return two_tailed(self.score(rows), self.own)

    def sticking_out(self, rows: ArrayLike) -> FloatArray:
        """Return, column by column, how far each row is from the simulations most like it.

        Parameters
        ----------
        rows : array, shape (m, k)

        Returns
        -------
        float64 array, shape (m, k)
            Distance from the mean of the nearest neighbours, 1 being usual (root mean square) among
            the fitted rows. The column with the largest is the one that does not fit.

        Raises
        ------
        ShapeError
            As `score`.
        """
        return np.abs(self._gaps(self._checked(rows), apart_from=0)) / self._usual_gaps

    def largest(self, rows: ArrayLike) -> FloatArray:
        """Return the logarithm of how far the furthest suspected column sticks out, shape (m,).

        Among many columns a single one that is off hardly changes a distance. A p-value is its
        `tail_p_value` among `own_largest`.

        Parameters
        ----------
        rows : array, shape (m, k)

        Raises
        ------
        ShapeError
            As `score`.
        """
        return self._largest(self.sticking_out(rows))

    @cached_property
    def own_largest(self) -> FloatArray:
        """The same of every second fitted row, shape (n // 2,)."""
        gaps = self.rows[1::2] - self.rows[self.around].mean(axis=1)
        return self._largest(np.abs(gaps) / self._usual_gaps)

    def _largest(self, gaps: FloatArray) -> FloatArray:
        return np.log(np.maximum(gaps[:, : self.suspects].max(axis=1), _FLATTEST))

    @cached_property
    def _usual_gaps(self) -> FloatArray:
        """Root mean square of the gaps of fitted rows, those that shaped the whitening, (k,)."""
        some = self.rows[:: 2 * -(-len(self.rows) // (2 * _GAPS_OF))]
        scale = self.whitening.scale
        gaps = np.clip(self._gaps(some, apart_from=1) / scale, -_CLIP, _CLIP)
        return scale * np.maximum(np.sqrt(np.mean(gaps**2, axis=0)), _FLATTEST)

    def _gaps(self, rows: FloatArray, apart_from: int) -> FloatArray:
        """Rows (m, k) minus the mean of their neighbours, leaving out so many of the nearest."""
        white = self.whitening.apply(rows)
        which = np.arange(1 + apart_from, 1 + apart_from + self.neighbours)
        _, nearest = self.tree.query(white, k=which)
        return rows - self.rows[nearest].mean(axis=1)

    def _checked(self, rows: ArrayLike) -> FloatArray:
        """Return rows as an array, or raise unless they are finite with the fitted columns."""
        rows, k = np.asarray(rows, dtype=float), self.rows.shape[1]
        _check("Novelty", rows, rows.ndim == 2 and rows.shape[1] == k, f"(m, {k})")
        return rows


def _check(where: str, rows: FloatArray, fits: bool, shape: str) -> None:
    """Raise unless the shape fits, and every value is finite."""
    if not fits or not np.isfinite(rows).all():
        raise ShapeError(
            f"{where}: rows must be finite and of shape {shape}; got {rows.shape} with "
            f"{np.sum(~np.isfinite(rows))} values that are not finite"
        )


def _distances(tree: KDTree, white: FloatArray, neighbour: int) -> FloatArray:
    """Distance of whitened rows to that nearest row of the tree, shape (m,)."""
    distance, _ = tree.query(white, k=[neighbour])
    return np.asarray(distance, dtype=float)[:, 0]
