"""Two-sample tests: can two sets of draws be told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sbi_inn.errors import ShapeError


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
    _check_sets(reference, draws)
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
    features = np.concatenate([_scaled(reference, reference), _scaled(draws, reference)])
    origin = np.repeat([0, 1], len(reference))
    splits = KFold(folds, shuffle=True, random_state=fold_seed)
    scores = cross_val_score(classifier, features, origin, cv=splits, scoring="accuracy")
    return float(np.mean(scores))


def _check_sets(reference: NDArray[np.float64], draws: NDArray[np.float64]) -> None:
    """Raise unless both sets are finite and of one shape (m, d)."""
    if reference.ndim != 2 or reference.shape != draws.shape:
        raise ShapeError(
            "c2st: reference and draws must have the same shape (m, d); "
            f"got {reference.shape} and {draws.shape}"
        )
    if not (np.isfinite(reference).all() and np.isfinite(draws).all()):
        raise ShapeError("c2st: every draw must be finite; got NaN or infinite values")


def _scaled(draws: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale by the reference's mean and sd; a constant column is only shifted."""
    sd = reference.std(axis=0, ddof=1)
    return (draws - reference.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
