"""How well are parameters recovered? Point estimates against truths, and what was learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from sbi_inn.diagnostics.arguments import finite
from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray


def r_squared(truth: ArrayLike, estimate: ArrayLike) -> FloatArray:
    """Return the share of the truth's variance that the estimates explain (R2).

    Parameters
    ----------
    truth, estimate : array, shape (n, d)
        True parameters of n observations and their estimates, such as posterior means.

    Returns
    -------
    float64 array, shape (d,)
        1 where every estimate is right, 0 where they are no better than the mean of the truths,
        negative where they are worse; NaN for a parameter whose truths are all equal.

    Raises
    ------
    ShapeError
        If the shapes are not the same (n, d), n > 0, or a value is not finite.

    Examples
    --------
    >>> r_squared([[0.0], [1.0], [2.0]], [[0.0], [1.0], [1.0]])
    array([0.5])
    """
    return 1 - nrmse(truth, estimate) ** 2


def nrmse(truth: ArrayLike, estimate: ArrayLike) -> FloatArray:
    """Return the root-mean-square error of estimates in standard deviations of the truth (NRMSE).

    Others divide by the range of the truths, which grows with their number; this one does not.

    Parameters
    ----------
    truth, estimate : array, shape (n, d)
        True parameters of n observations and their estimates, such as posterior means.

    Returns
    -------
    float64 array, shape (d,)
        0 where every estimate is right, 1 where they are no better than the mean of the truths;
        NaN for a parameter whose truths are all equal.

    Raises
    ------
    ShapeError
        If the shapes are not the same (n, d), n > 0, or a value is not finite.

    Examples
    --------
    >>> nrmse([[-1.0], [1.0]], [[-0.5], [1.5]])
    array([0.5])
    """
    truth, estimate = _tables("nrmse", truth, estimate)
    rmse = np.sqrt(np.mean((estimate - truth) ** 2, axis=0))
    # The sd of equal numbers is a rounding error, not zero.
    sd = np.where(np.ptp(truth, axis=0) > 0, truth.std(axis=0), np.nan)
    return rmse / sd


def rank_correlation(truth: ArrayLike, estimate: ArrayLike) -> FloatArray:
    """Return Spearman's rank correlation of estimates with the truth.

    Parameters
    ----------
    truth, estimate : array, shape (n, d)
        True parameters of n observations and their estimates, such as posterior medians.

    Returns
    -------
    float64 array, shape (d,)
        1 where the estimates order the observations as the truth does, whatever the scale and the
        tails; NaN for a parameter whose truths or estimates are all equal.

    Raises
    ------
    ShapeError
        If the shapes are not the same (n, d), n > 0, or a value is not finite.

    Examples
    --------
    >>> rank_correlation([[0.001], [1.0], [1000.0]], [[0.1], [0.2], [0.3]])
    array([1.])
    """
    truth, estimate = _tables("rank_correlation", truth, estimate)
    ranks = [rankdata(array, axis=0) for array in (truth, estimate)]
    first, second = (rank - (len(truth) + 1) / 2 for rank in ranks)
    with np.errstate(invalid="ignore"):
        return (first * second).sum(axis=0) / np.sqrt((first**2).sum(0) * (second**2).sum(0))


def z_scores(truth: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> FloatArray:
    """Return how many posterior standard deviations the posterior mean lies above the truth.

    Parameters
    ----------
    truth, mean, sd : array, shape (n, d)
        True parameters of n observations, means and standard deviations of their posteriors.

    Returns
    -------
    float64 array, shape (n, d)
        Of mean 0 and standard deviation 1 over the observations where the posterior is exact and
        Gaussian. Where sd is 0: infinite, or NaN if the truth was met.

    Raises
    ------
    ShapeError
        If the shapes are not the same (n, d), n > 0, a value is not finite, or an sd is negative.

    References
    ----------
    Schad, Betancourt and Vasishth (2021), arXiv:1904.12765.

    Examples
    --------
    >>> z_scores([[0.0]], [[1.0]], [[0.5]])
    array([[2.]])
    """
    truth, mean, sd = _tables("z_scores", truth, mean, sd)
    _check_not_negative("z_scores", sd)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (mean - truth) / sd


def contraction(sd: ArrayLike, prior_sd: ArrayLike) -> FloatArray:
    """Return by how much the posterior variance is smaller than the prior's, as a fraction.

    Parameters
    ----------
    sd : array, shape (n, d)
        Standard deviations of the posteriors of n observations.
    prior_sd : array, shape (d,)
        Those of the prior, positive.

    Returns
    -------
    float64 array, shape (n, d)
        1 where the observation determines the parameter, 0 where it says nothing about it, negative
        where the posterior is wider than the prior.

    Raises
    ------
    ShapeError
        If the shapes do not fit, an sd is negative or not finite, or a prior's is not positive.

    References
    ----------
    Schad, Betancourt and Vasishth (2021), arXiv:1904.12765.

    Examples
    --------
    >>> contraction([[0.5, 2.0]], [1.0, 2.0])
    array([[0.75, 0.  ]])
    """
    (sd,), prior_sd = _tables("contraction", sd), np.asarray(prior_sd, dtype=float)
    _check_not_negative("contraction", sd)
    if prior_sd.shape != sd.shape[1:] or not np.all(prior_sd > 0):
        raise ShapeError(
            f"contraction: prior_sd must be positive and have shape {sd.shape[1:]}; "
            f"got shape {prior_sd.shape} and {prior_sd}"
        )
    return 1 - (sd / prior_sd) ** 2


def _tables(where: str, *given: ArrayLike) -> list[FloatArray]:
    """Give arrays that are finite and of one shape (n, d), n > 0, or raise."""
    arrays = [np.asarray(one, dtype=float) for one in given]
    shapes = [one.shape for one in arrays]
    if len(set(shapes)) > 1 or arrays[0].ndim != 2 or len(arrays[0]) == 0:
        raise ShapeError(f"{where}: arrays must have one shape (n, d) with n > 0; got {shapes}")
    finite(where, *arrays)
    return arrays


def _check_not_negative(where: str, sd: FloatArray) -> None:
    """Raise if a standard deviation is negative."""
    if np.any(sd < 0):
        raise ShapeError(f"{where}: a standard deviation must not be negative; got {sd.min()}")
