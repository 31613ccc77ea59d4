"""Weighted draws: how many they are worth, and the rank of a truth among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.arguments import truth_and_draws
from sbi_inn.errors import ShapeError
from sbi_inn.typing import BoolArray, FloatArray, IntArray


def effective_sample_size(log_weights: ArrayLike) -> FloatArray:
    """Return how many draws of equal weight the weighted draws are worth (Kish).

    Parameters
    ----------
    log_weights : array, shape (..., m)
        Logarithms of weights, up to a constant a row; -inf is a weight of zero.

    Returns
    -------
    float64 array, shape (...)
        (sum of w)^2 / (sum of w^2): m for equal weights, near 1 where one has it all, 0 where all
        are zero.

    Raises
    ------
    ShapeError
        If there are no draws, or a value is NaN or +inf.

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7.

    Examples
    --------
    >>> effective_sample_size([[0.0, 0.0, 0.0, 0.0], [5.0, 5.0, -np.inf, -np.inf]])
    array([4., 2.])
    """
    weights = _weights("effective_sample_size", np.asarray(log_weights, dtype=float))
    squares = np.sum(weights**2, axis=-1)
    return weights.sum(axis=-1) ** 2 / np.maximum(squares, 1)  # 1 or more, unless all are 0


def _weights(where: str, log_weights: FloatArray) -> FloatArray:
    """Return weights whose largest in a row is 1; all of a row are 0 if its weights are."""
    if log_weights.ndim == 0 or log_weights.shape[-1] == 0:
        raise ShapeError(
            f"{where}: log_weights must have shape (..., m) with m > 0; got {log_weights.shape}"
        )
    if not np.all(log_weights < np.inf):
        raise ShapeError(
            f"{where}: log weights must be finite or -inf; got {np.isnan(log_weights).sum()} NaN "
            f"and {np.isposinf(log_weights).sum()} +inf"
        )
    largest = log_weights.max(axis=-1, keepdims=True)
    return np.exp(log_weights - np.where(np.isfinite(largest), largest, 0.0))


def systematic(weights: FloatArray, rng: np.random.Generator, n: int | None = None) -> IntArray:
    """Choose rows in proportion to their weights, with one random number.

    Of as many rows as there are weights, one of mean weight comes once, one of twice that weight
    twice; rows come in order.

    Parameters
    ----------
    weights : array, shape (m,)
        Not negative, and not all zero.
    rng : numpy.random.Generator
    n : int, optional
        Rows to choose; by default m.

    Returns
    -------
    array of int, shape (n,)

    References
    ----------
    Kitagawa (1996), Journal of Computational and Graphical Statistics 5, 1.

    Examples
    --------
    >>> systematic(np.array([1.0, 1.0, 2.0, 0.0]), np.random.default_rng(1))
    array([0, 1, 2, 2])
    """
    n = len(weights) if n is None else n
    marks = (np.arange(n) + rng.random()) / n
    edges = np.cumsum(weights)
    return np.searchsorted(edges / edges[-1], marks, side="right").astype(np.int64)


def weighted_ranks(
    truth: ArrayLike,
    draws: ArrayLike,
    log_weights: ArrayLike,
    rng: np.random.Generator,
    *,
    truth_log_weights: ArrayLike | None = None,
) -> FloatArray:
    """Return the rank of each true parameter among weighted draws, as a fraction.

    The truth takes part in the sample with a weight of its own, and its rank is drawn uniformly
    within it, ties included. Equal weights give `calibration.ranks`.

    Parameters
    ----------
    truth : array, shape (n, d)
        True parameters of n observations.
    draws : array, shape (n, m, d)
        m draws for each observation.
    log_weights : array, shape (n, m)
        Logarithms of their weights, up to a constant a row; -inf is a weight of zero.
    rng : numpy.random.Generator
        For the ranks within the truth's own weight.
    truth_log_weights : array, shape (n,), optional
        The same function at the truth, with the same constant: ranks are then exactly uniform
        where the weighted draws follow the posterior, however few they are worth. Without it, the
        weight that such a truth has on average (the sum of w^2 over that of w), with which they
        are nearly so.

    Returns
    -------
    float64 array, shape (n, d)
        In [0, 1]; NaN where all weights of an observation are zero.

    Raises
    ------
    ShapeError
        If the shapes do not fit, there are no draws, a value is NaN, or a weight infinite.

    References
    ----------
    Tibshirani et al. (2019), arXiv:1904.06019, lemma 3 (weighted exchangeability).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> weighted_ranks([[0.5]], [[[0.0], [1.0]]], [[0.0, -np.inf]], rng).round(2)
    array([[0.82]])
    """
    truth, draws = truth_and_draws("weighted_ranks", truth, draws)
    log_weights = np.asarray(log_weights, dtype=float)
    if log_weights.shape != draws.shape[:2]:
        raise ShapeError(
            f"weighted_ranks: log_weights must have shape {draws.shape[:2]}; "
            f"got {log_weights.shape}"
        )
    weights, own = _weights_and_own(log_weights, truth_log_weights)
    below = _weight_where(draws < truth[:, None], weights)
    ties = _weight_where(draws == truth[:, None], weights)
    total = weights.sum(axis=1, keepdims=True) + own
    found = np.full(truth.shape, np.nan)
    some = np.broadcast_to(~np.isneginf(log_weights).all(axis=1, keepdims=True), truth.shape)
    np.divide(below + rng.random(truth.shape) * (ties + own), total, out=found, where=some)
    # A sum of some weights may exceed the sum of all of them, by rounding.
    return np.minimum(found, 1)


def _weights_and_own(
    log_weights: FloatArray, truth_log_weights: ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    """Return the weights of the draws (n, m) and of the truth (n, 1), on one scale."""
    if truth_log_weights is None:
        weights = _weights("weighted_ranks", log_weights)
        total = weights.sum(axis=1, keepdims=True)
        squares = np.sum(weights**2, axis=1, keepdims=True)
        return weights, squares / np.maximum(total, 1)  # 1 or more, unless all are 0
    log_own = np.asarray(truth_log_weights, dtype=float)
    if log_own.shape != log_weights.shape[:1]:
        raise ShapeError(
            f"weighted_ranks: truth_log_weights must have shape {log_weights.shape[:1]}; "
            f"got {log_own.shape}"
        )
    joined = _weights("weighted_ranks", np.concatenate([log_weights, log_own[:, None]], axis=1))
    return joined[:, :-1], joined[:, -1:]


def _weight_where(mask: BoolArray, weights: FloatArray) -> FloatArray:
    """Return the weight (n, d) of the draws that a mask (n, m, d) picks."""
    return np.einsum("nm,nmd->nd", weights, mask)
