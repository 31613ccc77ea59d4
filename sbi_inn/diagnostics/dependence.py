"""Is the dependence between parameters right? Ranks of products of centred pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.arguments import finite, truth_and_draws
from sbi_inn.diagnostics.calibration import ranks
from sbi_inn.errors import ShapeError
from sbi_inn.observation.statistics import spread
from sbi_inn.typing import FloatArray, IntArray


def choose_pairs(d: int, most: int, rng: np.random.Generator) -> IntArray:
    """Return pairs of parameters: all of them, or some at random where they are many.

    Parameters
    ----------
    d : int
        Number of parameters.
    most : int
        How many pairs to return at most.
    rng : numpy.random.Generator
        Chooses among more than that.

    Returns
    -------
    int array, shape (p, 2)
        In order, the first of a pair before the second; p = 0 where d is 1.

    Examples
    --------
    >>> choose_pairs(3, 10, np.random.default_rng(0)).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    pairs = np.stack(np.triu_indices(d, 1), axis=1)
    if len(pairs) <= most:
        return pairs
    return pairs[np.sort(rng.choice(len(pairs), size=most, replace=False))]


def product_ranks(
    truth: ArrayLike,
    draws: ArrayLike,
    pairs: ArrayLike,
    rng: np.random.Generator,
    *,
    sizes: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Return the rank of the truth's product of each pair among the products of its draws.

    Parameters are centred and divided by the standard deviation first: the product is then an
    estimate of the correlation. Every other draw serves to centre, the ones between to rank:
    draws ranked among themselves after centring on themselves are not uniform.

    Parameters
    ----------
    truth : array, shape (n, d)
        True parameters of n observations.
    draws : array, shape (n, m, d)
        m independent draws from the posterior of each observation, m at least 4.
    pairs : int array, shape (p, 2)
        Columns of the parameters to multiply, as from `choose_pairs`.
    rng : numpy.random.Generator
        Jitters the ranks, as in `calibration.ranks`.
    sizes : bool
        Whether to multiply distances from the middle, whatever their signs: parameters that are
        not correlated may go together in these.

    Returns
    -------
    ranks : float64 array, shape (n, p)
        Uniform on [0, 1] where the posterior is exact.
    excess : float64 array, shape (n, p)
        The truth's product less the mean product of the draws. Where location and width are
        right, its mean over observations is the true correlation less the claimed one. A parameter
        whose centring draws are all equal has no correlation: product and excess are zero.

    Raises
    ------
    ShapeError
        If the shapes do not fit, draws are fewer than 4, or a value is not finite.

    References
    ----------
    Talts et al. (2018), arXiv:1804.06788; test quantities: Modrák et al. (2023), arXiv:2211.02383.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=2_000)
    >>> independent = rng.normal(size=(2_000, 100, 2))
    >>> _, excess = product_ranks(truth, independent, [[0, 1]], rng)
    >>> excess.mean().round(1).item()
    0.5
    """
    truth, draws = truth_and_draws("product_ranks", truth, draws, fewest=4)
    finite("product_ranks", truth, draws)
    pairs, d = np.asarray(pairs, dtype=int), truth.shape[1]
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.all((pairs >= 0) & (pairs < d)):
        raise ShapeError(
            f"product_ranks: pairs must have shape (p, 2) and name columns 0 to {d - 1}; "
            f"got shape {pairs.shape} and {pairs.tolist()}"
        )
    truth, draws = _standardised(truth, draws, sizes=sizes)
    found, excess = np.empty((len(truth), len(pairs))), np.empty((len(truth), len(pairs)))
    for column, (i, j) in enumerate(pairs):  # one at a time: all pairs would not fit into memory
        true, claimed = truth[:, i] * truth[:, j], draws[..., i] * draws[..., j]
        found[:, column] = ranks(true[:, None], claimed[..., None], rng)[:, 0]
        excess[:, column] = true - claimed.mean(axis=1)
    return found, excess


def _standardised(
    truth: FloatArray, draws: FloatArray, *, sizes: bool
) -> tuple[FloatArray, FloatArray]:
    """Scale truth and every second draw by mean and sd of the others; to 0 where those are equal.

    Alternating, because draws that come in an order (of a chain, of a distance) change slowly.
    """
    others, kept = draws[:, ::2], draws[:, 1::2]
    if sizes:
        middle = np.median(others, axis=1)
        truth = np.abs(truth - middle)
        others, kept = (np.abs(half - middle[:, None]) for half in (others, kept))
    mean, sd = others.mean(axis=1), others.std(axis=1, ddof=1)
    # The sd of equal numbers is a rounding error, not zero.
    factor = np.divide(1.0, sd, out=np.zeros_like(sd), where=np.ptp(others, axis=1) > 0)
    return (truth - mean) * factor, (kept - mean[:, None]) * factor[:, None]


def with_right_marginals(excess: FloatArray, standard: FloatArray, pairs: IntArray) -> FloatArray:
    """Take out of the excess what a wrong location or width makes of it.

    A shift of both parameters makes their true product larger, as a correlation would. Truths that
    are standardised over all test simulations have the true correlation whatever the posteriors'
    location and width.

    Parameters
    ----------
    excess : array, shape (n, p)
        From `product_ranks`.
    standard : array, shape (n, dim)
        Truths minus the mean of the draws, over their standard deviation.
    pairs : int array, shape (p, 2)
    """
    i, j = pairs.T
    # One truth far from all others would decide on the standard deviation of all.
    middle, most = np.median(standard, axis=0), 9 * spread(standard)
    bounded = np.clip(standard, middle - most, middle + most)
    sd = bounded.std(axis=0)
    right = (bounded - bounded.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    return excess - standard[:, i] * standard[:, j] + right[:, i] * right[:, j]
