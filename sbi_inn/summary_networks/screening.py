"""Which observables say anything about the parameters: the others are noise to learn by heart.

A network that reads eight informative numbers among ninety-two others learns the others' values in
its training rows before it learns what the eight mean. An observable is kept if one of these
depends on a parameter by a rank test, across all of them at level `LEVEL`: its value, its distance
from its median, its product with another observable (two may have to be read together). Those
left over are kept too if a regression on all of them at once predicts fresh rows: each may say
too little to be seen alone.

What shows in none of these, such as an observable that has to be read together with two more, is
left out. The posterior is then that given the others, and just as calibrated.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm, rankdata

from sbi_inn.typing import BoolArray, FloatArray, IntArray

LEVEL = 0.01  # probability that a column is kept by chance, over all tests of a kind
WAVES = 8  # across the prior that a parameter is looked at through
SLOW_WAVES = 2  # of these, for products: there are many of them
FEWEST_ROWS = 500  # with fewer, what is weak cannot be told from noise
MOST_ROWS = 20_000  # that are looked at: with as many, what is left unseen is of no use
MOST_COLUMNS = 1_000  # with more, the products take too long
FEWEST_USELESS = 10  # columns: fewer do little harm
PAIR_TERMS = 10**10  # of the sums over pairs that are computed: they bound the rows looked at
RIDGES = (1.0, 10.0)  # in units of the columns: for what explains a half, and a tenth


def informative(latent: FloatArray, vector: FloatArray) -> IntArray:
    """Return the columns of observables to read, in order.

    Parameters
    ----------
    latent : array, shape (rows, dim)
        Parameters, on any scale.
    vector : array, shape (rows, columns)
        Observables, on any scale; NaN where one is missing, which may say something too.

    Returns
    -------
    array of int, shape (k,)
        All columns, where there are too few rows to tell or too many columns, where fewer than
        `FEWEST_USELESS` say nothing, or all do.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> parameter, noise = rng.normal(size=(1_000, 1)), rng.normal(size=(1_000, 50))
    >>> noise[:, [7]] += parameter
    >>> informative(parameter, noise)
    array([7])
    """
    everything = np.arange(vector.shape[1])
    latent, vector = latent[:MOST_ROWS], vector[:MOST_ROWS]
    if len(vector) < FEWEST_ROWS or not FEWEST_USELESS < len(everything) <= MOST_COLUMNS:
        return everything
    scores = _normal_scores(vector)
    waves = _waves(latent)
    says = _seen_alone(scores, waves) | _seen_in_pairs(scores, waves)
    gone = np.isnan(vector)
    if gone.any():
        says |= _seen_alone(_standard(gone.astype(np.float64)), waves)
    useless = np.flatnonzero(~says)
    if not FEWEST_USELESS <= len(useless) < len(everything):
        return everything
    if _seen_together(scores[:, useless], waves):
        return everything
    return np.flatnonzero(says)


def _normal_scores(table: FloatArray) -> FloatArray:
    """Give the normal scores of the ranks in each column, standardised.

    Zero for a constant, and where a value is missing.
    """
    gone = np.isnan(table)
    ranks = rankdata(table, axis=0, nan_policy="omit" if gone.any() else "propagate")
    scores = ndtri((ranks - 0.5) / np.maximum(1, (~gone).sum(axis=0)))
    return _standard(np.where(gone, 0.0, scores))


def _waves(latent: FloatArray) -> FloatArray:
    """Cosines across the quantiles of each parameter, standardised, shape (waves, rows, dim)."""
    quantiles = (rankdata(latent, axis=0) - 0.5) / len(latent)
    return np.stack([_standard(np.cos(k * math.pi * quantiles)) for k in range(1, WAVES + 1)])


def _seen_alone(scores: FloatArray, waves: FloatArray) -> BoolArray:
    """Whether each column, or its square, depends on a parameter."""
    effects = np.hstack(waves)  # type: ignore[call-overload]
    found = [np.abs(_standard(s).T @ effects) for s in (scores, scores**2)]
    largest = np.maximum(*found).max(axis=1) / math.sqrt(len(scores))
    return np.asarray(largest > _threshold(2 * found[0].size))


def _seen_in_pairs(scores: FloatArray, waves: FloatArray) -> BoolArray:
    """Whether the product of each column with another one depends on a parameter."""
    slow = np.hstack(waves[:SLOW_WAVES])  # type: ignore[call-overload]
    columns = scores.shape[1]
    rows = max(FEWEST_ROWS, PAIR_TERMS // (columns**2 * slow.shape[1]))
    values = scores[:rows].astype(np.float32)
    squares, products = values**2, values.T @ values
    # Under independence, of the sum over rows of a product times a standardised wave.
    variance = squares.T @ squares - products**2 / len(values)
    largest = np.zeros_like(products)
    for wave in slow[:rows].T.astype(np.float32):
        np.maximum(largest, np.abs((values * wave[:, None]).T @ values), out=largest)
    np.fill_diagonal(largest, 0.0)  # squares have been looked at
    largest /= np.sqrt(np.maximum(variance, 1.0))
    return np.asarray(largest.max(axis=1) > _threshold(columns**2 * slow.shape[1]))


def _seen_together(scores: FloatArray, waves: FloatArray) -> bool:
    """Whether a regression on columns and their squares predicts a parameter on fresh rows."""
    inputs = np.hstack([scores, _standard(scores**2)])
    targets = np.hstack(waves[:SLOW_WAVES])  # type: ignore[call-overload]
    cut = 3 * len(inputs) // 4
    gram, moment = inputs[:cut].T @ inputs[:cut], inputs[:cut].T @ targets[:cut]
    fresh, unit = _standard(targets[cut:]), np.eye(len(gram)) * len(gram)
    largest = 0.0
    for ridge in RIDGES:
        predicted = _standard(inputs[cut:] @ np.linalg.solve(gram + ridge * unit, moment))
        largest = max(largest, float((predicted * fresh).sum(axis=0).max()))
    return largest / math.sqrt(len(fresh)) > _threshold(len(RIDGES) * targets.shape[1])


def _standard(table: FloatArray) -> FloatArray:
    """Give columns mean 0 and variance 1; zero for a constant."""
    centred = table - table.mean(axis=0)
    sd = centred.std(axis=0)
    return np.asarray(centred / np.where(sd > 1e-9, sd, 1.0))


def _threshold(tests: int) -> float:
    """Give the size that one of so many standard normal numbers exceeds at `LEVEL`."""
    return float(norm.isf(LEVEL / 2 / tests))
