"""Two-sample tests: can two sets of draws be told apart, and how far apart are they."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist, pdist

from sbi_inn.diagnostics.arguments import finite, two_sets
from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray

_WIDTHS = (0.1, 0.3, 1.0)  # of the kernel, in median distances
_MEDIAN_OF = 1_000  # reference draws at most, for the median distance
_PIECE = 1_000_000  # kernel values held at once


def c2st(
    reference: ArrayLike, draws: ArrayLike, *, rng: np.random.Generator, folds: int = 5
) -> float:
    """Return the accuracy of a classifier that tells draws from reference draws (C2ST).

    Both sets are scaled by the reference's mean and standard deviation. The classifier is a
    perceptron with two hidden layers of 10 d units and ReLU, judged by cross-validation.

    Parameters
    ----------
    reference, draws : array, shape (m, d)
        As many draws of the one as of the other.
    rng : numpy.random.Generator
        For the folds and the classifier's weights.
    folds : int
        Folds of the cross-validation.

    Returns
    -------
    float
        .5 where the sets cannot be told apart (noise at m = 2,000: .008), 1 where they can be
        always. Fewer draws read a little lower: compare at one m.

    Raises
    ------
    ShapeError
        If the shapes are not the same (m, d), or a value is not finite.
    ImportError
        If scikit-learn is not installed.

    References
    ----------
    Lueckmann et al. (2021), arXiv:2101.04653; the settings are those of sbibm 1.1.0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> c2st(rng.normal(size=(200, 1)), rng.normal(9, 1, size=(200, 1)), rng=rng) > 0.99
    True
    """
    reference, draws = np.asarray(reference, dtype=float), np.asarray(draws, dtype=float)
    if reference.ndim != 2 or reference.shape != draws.shape:
        raise ShapeError(
            "c2st: reference and draws must have the same shape (m, d); "
            f"got {reference.shape} and {draws.shape}"
        )
    finite("c2st", reference, draws)
    try:
        from sklearn.model_selection import KFold, cross_val_score
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise ImportError(
            "c2st needs scikit-learn, which is not installed: pip install scikit-learn"
        ) from error
    fold_seed, network_seed = (int(seed) for seed in rng.integers(2**31, size=2))
    width = 10 * reference.shape[1]
    classifier = MLPClassifier((width, width), max_iter=10_000, random_state=network_seed)
    scaled = np.concatenate([_scaled(reference, reference), _scaled(draws, reference)])
    features = scaled.astype(np.float32)  # as sbibm does: no less exact, and a fifth faster
    origin = np.repeat([0, 1], len(reference))
    splits = KFold(folds, shuffle=True, random_state=fold_seed)
    scores = cross_val_score(classifier, features, origin, cv=splits, scoring="accuracy")
    return float(np.mean(scores))


def _scaled(draws: FloatArray, reference: FloatArray) -> FloatArray:
    """Scale by the reference's mean and sd; a constant column is only shifted."""
    sd = reference.std(axis=0, ddof=1)
    return (draws - reference.mean(axis=0)) / np.where(sd > 0, sd, 1.0)


def mmd(
    reference: ArrayLike,
    draws: ArrayLike,
    *,
    widths: Sequence[float] | None = None,
    biased: bool = False,
) -> float:
    """Return the squared maximum mean discrepancy of two sets of draws.

    The kernel is the inverse multiquadratic 1 / (1 + |d / h|^2), its mean over several widths h:
    k(0) = 1 however many. Values are taken as they are, as published numbers do: scale them first
    where their units differ.

    Parameters
    ----------
    reference : array, shape (n, d)
    draws : array, shape (m, d)
        n and m may differ.
    widths : sequence of float, optional
        In the units of the values. By default .1, .3 and 1 times the median distance between
        reference draws (of at most 1,000, evenly spaced): the same whatever is compared with
        them.
    biased : bool
        By default the unbiased estimate, without the distance of a draw from itself. The biased one
        counts it, as training losses do, and is larger by about (1 - mean of k within the sets)
        (1/n + 1/m).

    Returns
    -------
    float
        0 for the same distribution, on average if unbiased: noise then makes it negative half of
        the time (sd at n = m = 1,000, two dimensions: .0004; it falls as 1 / n). Never above 2.

    Raises
    ------
    ShapeError
        If the shapes are not (n, d) and (m, d), a set has fewer than two draws, or a value is not
        finite.
    ValueError
        If a width is not positive, or there is none.

    References
    ----------
    Gretton et al. (2012), Journal of Machine Learning Research 13, 723: eqs. 3 (unbiased) and 5
    (biased). Kernel: Ardizzone, dissertation (Heidelberg), section 4.1.3.

    Examples
    --------
    >>> mmd([[0.0], [1.0]], [[0.0], [1.0]], widths=[1.0], biased=True)
    0.0
    >>> mmd([[0.0], [1.0]], [[0.0], [1.0]], widths=[1.0])
    -0.5
    """
    reference, draws = two_sets("mmd", reference, draws, fewest=2, fewest_rows=2)
    squares = np.square(median_widths(reference) if widths is None else _checked_widths(widths))
    between = mean_kernel(reference, draws, squares)
    within = 0.0
    for one in (reference, draws):
        mean = mean_kernel(one, one, squares)
        n = len(one)
        within += mean if biased else (n * mean - 1) / (n - 1)
    return within - 2 * between


def _checked_widths(widths: Sequence[float]) -> FloatArray:
    """Return widths as an array, or raise unless there are some and all are positive."""
    array = np.asarray(widths, dtype=float)
    if array.ndim != 1 or array.size == 0 or not np.all(array > 0):
        raise ValueError(f"mmd: widths must be a sequence of positive numbers; got {widths}")
    return array


def median_widths(reference: FloatArray) -> FloatArray:
    """Return the default widths of the kernel."""
    distances = pdist(reference[:: -(-len(reference) // _MEDIAN_OF)])
    distances = distances[distances > 0]  # draws of a discrete parameter coincide
    return np.multiply(_WIDTHS, np.median(distances) if len(distances) else 1.0)


def mean_kernel(a: FloatArray, b: FloatArray, squares: FloatArray) -> float:
    """Return the mean of the kernel over all pairs and over widths, whose squares are given."""
    rows = max(1, _PIECE // len(b))
    pieces = (a[i : i + rows] for i in range(0, len(a), rows))
    return sum(float(kernel(piece, b, squares).sum()) for piece in pieces) / (len(a) * len(b))


def kernel(a: FloatArray, b: FloatArray, squares: FloatArray) -> FloatArray:
    """Return the kernel, its mean over widths, of all pairs: shape (len(a), len(b))."""
    distances = cdist(a, b, "sqeuclidean")
    total = np.zeros_like(distances)
    for h2 in squares:
        total += h2 / (h2 + distances)
    return total / len(squares)
