"""Do ranks depend on the observation? Not if the posterior uses all of it.

Whatever y is, the rank of a truth among the draws of its exact posterior is uniform, so its normal
score is N(0, 1). No function of y can predict it, nor one of truth and draws that treats them all
alike: the squared length of n scores, projected onto k such features that are orthonormal and have
mean zero, is chi-squared with k degrees of freedom, exactly and for any n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray

ROWS_A_FEATURE = 10  # rows that a feature takes at least
WAVES = 150  # random Fourier features at the most
SCALES = (0.3, 1.0, 3.0)  # of their frequencies, for columns of variance 1
NEAREST = (100, 400)  # rows whose mean stands for a neighbourhood
SCORE_OF_CORRELATION = 0.95  # mean score of the product of two parameters, over the correlation
_SMALLEST_RANK = 2.0**-50  # ranks of exactly 0 and 1 have no normal score
_SINGULAR = 1e-9  # relative eigenvalues below it are rounding
_TOGETHER = 32  # columns that are ranked together, which stay in the cache
_ROWS = 200  # the same, of rows whose distance is measured

Map = Callable[[FloatArray], FloatArray]


# -- scores ----------------------------------------------------------------------------------------


def location_scores(ranks: ArrayLike) -> FloatArray:
    """Return the normal scores of ranks: N(0, 1) if the posterior is right.

    Positive where the truth lies above the draws. Their mean is, in posterior standard deviations,
    how far the draws lie too low.

    Examples
    --------
    >>> location_scores([0.5, 0.84]).round(2)
    array([0.  , 0.99])
    """
    inside = np.clip(np.asarray(ranks, dtype=float), _SMALLEST_RANK, 1 - _SMALLEST_RANK)
    return special.ndtri(inside)


def width_scores(ranks: ArrayLike) -> FloatArray:
    """Return normal scores of how far out truths lie: N(0, 1) if the posterior is right.

    Positive where the truth lies in a tail of the draws. `width_of_score` says what their mean
    means.

    Examples
    --------
    >>> width_scores([0.84, 0.999]).round(2)
    array([0.47, 2.88])
    """
    return location_scores(np.abs(2 * np.asarray(ranks, dtype=float) - 1))


def width_of_score(score: float) -> float:
    """Return the width, relative to the right one, of Gaussians whose width scores have this mean.

    Examples
    --------
    >>> [round(width_of_score(score), 1) for score in (0.0, 1.04, -0.68)]
    [1.0, 0.5, 2.0]
    """
    widths, scores = _mean_width_scores()
    return float(np.exp(np.interp(-score, -scores, np.log(widths))))


def score_of_width(width: float) -> float:
    """Return the mean width score of Gaussians of this width: the inverse of `width_of_score`.

    Examples
    --------
    >>> [round(score_of_width(width), 2) for width in (0.5, 2.0)]
    [1.04, -0.68]
    """
    widths, scores = _mean_width_scores()
    return float(np.interp(np.log(width), np.log(widths), scores))


@cache
def _mean_width_scores() -> tuple[FloatArray, FloatArray]:
    """Give widths of Gaussians, and their mean width scores: those fall."""
    widths, z = np.geomspace(1e-3, 1e3, 121), np.linspace(1e-4, 9, 4_001)
    outside = z[:, None] / widths
    scores = np.where(
        outside < 1,
        special.ndtri(np.maximum(special.erf(outside / np.sqrt(2)), _SMALLEST_RANK)),
        -special.ndtri(np.maximum(special.erfc(outside / np.sqrt(2)), _SMALLEST_RANK)),
    )
    return widths, np.trapezoid(2 * stats.norm.pdf(z)[:, None] * scores, z, axis=0)


# -- features --------------------------------------------------------------------------------------


def column_scores(usual: ArrayLike, rows: ArrayLike) -> FloatArray:
    """Return normal scores of the columns of rows, by their ranks among the usual rows.

    Parameters
    ----------
    usual : array, shape (n, p)
        NaN is passed over.
    rows : array, shape (m, p)
        NaN gets the score 0; what lies beyond the usual rows, that of the outermost.

    Returns
    -------
    array, shape (m, p)

    Examples
    --------
    >>> column_scores([[1.0], [10.0], [100.0]], [[10.0], [1e9]]).round(2)
    array([[0.  ],
           [0.97]])
    """
    among_themselves = rows is usual
    usual, rows = np.asarray(usual, dtype=float), np.asarray(rows, dtype=float)
    if usual.ndim != 2 or rows.ndim != 2 or usual.shape[1] != rows.shape[1]:
        raise ShapeError(
            "column_scores: expected usual of shape (n, p) and rows of shape (m, p); "
            f"got {usual.shape} and {rows.shape}"
        )
    found = np.empty(rows.shape)
    for first in range(0, rows.shape[1], _TOGETHER):
        here = slice(first, first + _TOGETHER)
        # Each column in one piece of memory, which halves the time.
        some = np.ascontiguousarray(usual[:, here].T)
        if among_themselves and not np.isnan(some).any():
            found[:, here] = _own_scores(some).T
        else:
            found[:, here] = np.stack(list(map(_scores_among, some, rows[:, here].T)), axis=1)
    return found


def _own_scores(columns: FloatArray) -> FloatArray:
    """Do as `_scores_among` of columns (k, n) among themselves, in a tenth of the time."""
    k, n = columns.shape
    order = np.argsort(columns, axis=1)
    ordered = np.take_along_axis(columns, order, axis=1)
    differs = np.ones((k, n), bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=differs[:, 1:])
    # Where those that are equal begin, and where the next ones do, in their column.
    first = np.flatnonzero(differs)
    places = first + np.append(first[1:], k * n) - 2 * n * (first // n)
    scores = _scores_of_places(n)[places][np.cumsum(differs) - 1]
    found = np.empty((k, n))
    np.put_along_axis(found, order, scores.reshape(k, n), axis=1)
    return found


@lru_cache(maxsize=8)
def _scores_of_places(n: int) -> FloatArray:
    """Give the normal score of every place among n sorted values, in halves of a place."""
    return special.ndtri(np.clip(np.arange(2 * n + 1) / (2 * n), 0.5 / n, 1 - 0.5 / n))


def _scores_among(column: FloatArray, values: FloatArray) -> FloatArray:
    """Give normal scores by rank among a column; ties count one half, and what is missing is 0."""
    known = np.sort(column[~np.isnan(column)])
    if not len(known):
        return np.zeros(len(values))
    below, up_to = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
    n = len(known)
    scores = special.ndtri(np.clip((below + up_to) / (2 * n), 0.5 / n, 1 - 0.5 / n))
    return np.where(np.isnan(values), 0.0, scores)


@dataclass(frozen=True)
class Features:
    """Orthonormal features of n rows, each of mean zero.

    Attributes
    ----------
    basis : array, shape (n, k)
    middle : array, shape (p,)
        Mean of the columns that they come from.
    onto : array, shape (p, k)
        What takes centred columns to the basis.
    """

    basis: FloatArray
    middle: FloatArray
    onto: FloatArray

    @classmethod
    def of(cls, columns: FloatArray, most: int) -> Features:
        """Take the leading principal components of columns (n, p), at most so many."""
        middle = columns.mean(axis=0)
        centred = columns - middle
        squares, vectors = np.linalg.eigh(centred.T @ centred)
        kept = np.flatnonzero(squares > _SINGULAR * squares.max(initial=0.0))[::-1][:most]
        onto = vectors[:, kept] / np.sqrt(squares[kept])
        return cls(centred @ onto, middle, onto)

    def weights(self, row: FloatArray) -> FloatArray:
        """Give the weight of each row in what least squares predict at a further row, (n,)."""
        return 1 / len(self.basis) + self.basis @ ((row - self.middle) @ self.onto)


# Families by which scores are predicted at one further row.
FITS = ("linear", "quadratic")


@dataclass(frozen=True)
class Design:
    """Features of n observations: linear ones, with squares and products, and waves.

    Attributes
    ----------
    columns : array, shape (n, p)
        Normal scores, from `column_scores`.
    families : dict of str to (callable, Features)
        What makes columns of a family, and its features.
    """

    columns: FloatArray
    families: dict[str, tuple[Map, Features]]

    @classmethod
    def of(cls, columns: FloatArray, rng: np.random.Generator) -> Design:
        """Choose features, never more than a tenth of the rows.

        Parameters
        ----------
        columns : array, shape (n, p)
            From `column_scores`. Of many, the leading principal components.
        rng : numpy.random.Generator
            Chooses the waves: random Fourier features of one, two or all columns at three scales
            (Rahimi and Recht 2007).
        """
        n, p = columns.shape
        most = max(1, n // ROWS_A_FEATURE)
        # So many that they, their squares and their products are no more than that.
        few = max(1, int((np.sqrt(9 + 8 * most) - 3) / 2))
        linear = Features.of(columns, most)
        middle, leading = linear.middle, linear.onto[:, :few]
        waves = _waves(p, min(WAVES, most), rng)
        maps: dict[str, Map] = {
            "quadratic": lambda rows: _quadratic(np.sqrt(n) * (rows - middle) @ leading),
            "waves": waves,
        }
        families = {k: (m, Features.of(m(columns), most)) for k, m in maps.items()}
        return cls(columns, {"linear": (lambda rows: rows, linear)} | families)

    @property
    def features(self) -> dict[str, Features]:
        """The features, by family."""
        return {name: features for name, (_, features) in self.families.items()}

    def residuals(self, scores: FloatArray) -> FloatArray:
        """Give what quadratic features leave of scores (n, s), as large as that of other rows."""
        basis = self.features["quadratic"].basis
        n, k = basis.shape
        left = scores - scores.mean(axis=0) - basis @ (basis.T @ scores)
        return left * np.sqrt(n / max(n - k - 1, 1))

    def weights(self, row: FloatArray) -> dict[str, FloatArray]:
        """Give weights of the n rows that stand for a further row (p,), each of sum 1.

        Least squares, linear and with squares and products; means of the 100 and 400 nearest rows.

        Returns
        -------
        dict of str to array, shape (n,)
        """
        found = {}
        for name in FITS:
            make, features = self.families[name]
            found[name] = features.weights(make(row[None])[0])
        return found | self.nearest(row)

    def off(self, row: FloatArray) -> dict[str, FloatArray]:
        """Say how far predictions are off over the 100 rows nearest to a further row, by weights.

        Weights of the n rows whose product with their scores is the mean of what the prediction
        says of the nearest, less the mean of their scores.

        Returns
        -------
        dict of str to array, shape (n,)
            But for the mean over these rows themselves.
        """
        means = self.nearest(row)
        nearest = next(iter(means.values()))
        bases = {name: self.features[name].basis for name in FITS}
        fits = {k: 1 / len(b) + b @ (nearest @ b) - nearest for k, b in bases.items()}
        return fits | beyond_nearest(means)

    def nearest(
        self, row: FloatArray, columns: Sequence[int] | None = None, of: str = ""
    ) -> dict[str, FloatArray]:
        """Give the weights of the means of the 100 and 400 nearest rows, by some of the columns.

        Returns
        -------
        dict of str to array, shape (n,)
            By names such as "100 nearest", which `of` is put behind.
        """
        n, chosen = len(self.columns), slice(None) if columns is None else list(columns)
        far = np.empty(n)
        for first in range(0, n, _ROWS):
            here = slice(first, first + _ROWS)
            far[here] = ((self.columns[here, chosen] - row[chosen]) ** 2).sum(axis=1)
        order = np.argsort(far, kind="stable")
        sizes = sorted({min(k, n) for k in NEAREST})
        return {f"{k} nearest{of}": np.bincount(order[:k], minlength=n) / k for k in sizes}


def beyond_nearest(means: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Give what means over more rows say beside the one over the nearest, by weights.

    Parameters
    ----------
    means : dict of str to array, shape (n,)
        Weights from `Design.nearest`.
    """
    nearest, *_ = means.values()
    return {name: weights - nearest for name, weights in list(means.items())[1:]}


def _quadratic(rows: FloatArray) -> FloatArray:
    """Put squares and products of columns beside them."""
    i, j = np.triu_indices(rows.shape[1])
    return np.concatenate([rows, rows[:, i] * rows[:, j]], axis=1)


def _waves(p: int, k: int, rng: np.random.Generator) -> Map:
    """Make k cosines of random combinations of one, two or all of p columns."""
    taken = np.resize([1, 2, p], k)
    chosen = np.stack([rng.permutation(p) < some for some in taken])
    scales = np.resize(np.repeat(SCALES, 3), k)[:, None]
    scales = scales / np.sqrt(chosen.sum(axis=1, keepdims=True))
    frequencies = scales * chosen * rng.standard_normal((k, p))
    phases = rng.uniform(0, 2 * np.pi, k)
    return lambda rows: np.cos(rows @ frequencies.T + phases)


# -- tests -----------------------------------------------------------------------------------------


def explained(scores: FloatArray, features: Features) -> tuple[FloatArray, FloatArray]:
    """Return how much of scores features predict, and how often uniform ranks show as much.

    Parameters
    ----------
    scores : array, shape (n, s)
    features : Features

    Returns
    -------
    rms : array, shape (s,)
        Root-mean-square of what is predicted, without what chance predicts: 0 if it is no more.
    p_value : array, shape (s,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(1_000, 1))
    >>> rms, p = explained(0.5 * y + rng.normal(size=(1_000, 1)), Features.of(y, 100))
    >>> rms.round(1), bool(p[0] < 1e-9)
    (array([0.5]), True)
    """
    n, k = features.basis.shape
    length = ((features.basis.T @ scores) ** 2).sum(axis=0)
    return np.sqrt(np.maximum(length - k, 0) / n), stats.chi2.sf(length, max(k, 1))


def smallest_explained(n: int, k: int, p_value: float, power: float = 0.9) -> float:
    """Return the rms effect that k features of n rows show at this p-value with this probability.

    Examples
    --------
    >>> round(smallest_explained(1_000, 6, 0.001), 2)
    0.17
    """
    beyond = stats.chi2.isf(p_value, k)
    return float(np.sqrt(special.chndtrinc(beyond, k, 1 - power) / n))
