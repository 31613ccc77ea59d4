"""Does a product of two columns predict scores? What one of them says may depend on the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sbi_inn.typing import FloatArray, IntArray

MOST = 20_000_000_000  # multiplications: two seconds
_CONSTANT = 1e-9  # of the norm of a product that does not vary, relative to others


@dataclass(frozen=True)
class Products:
    """For each of s scores, the product of two of p columns that goes with it most.

    Attributes
    ----------
    columns : int array, shape (s, 2)
        Which two: twice the same for a square.
    z : array, shape (s,)
        Projection of the score onto the centred product, in standard errors.
    looks : int
        How many products there are for one score; 0 if there are too many to look at.
    """

    columns: IntArray
    z: FloatArray
    looks: int


def best_products(columns: FloatArray, scores: FloatArray) -> Products:
    """Find the product of two columns that goes with each score most.

    Among many columns the interaction of two is lost in a test of all products together, or in one
    of their principal components. Each product is centred and of length 1: for independent scores
    of mean 0 and variance 1 so is z.

    Parameters
    ----------
    columns : array, shape (n, p)
        Their own means are taken out.
    scores : array, shape (n, s)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = rng.normal(size=(1_000, 20))
    >>> scores = 0.3 * y[:, 3:4] * y[:, 7:8] + rng.normal(size=(1_000, 1))
    >>> found = best_products(y, scores)
    >>> found.columns.tolist(), bool(abs(found.z[0]) > 6), found.looks
    ([[3, 7]], True, 210)
    """
    (n, p), s = columns.shape, scores.shape[1]
    pairs, z = np.zeros((s, 2), np.int64), np.zeros(s)
    if n * p * p * s > MOST:
        return Products(pairs, z, 0)
    centred = columns - columns.mean(axis=0)
    middle = centred.T @ centred / n
    squares = centred**2
    norms = np.sqrt(np.maximum(squares.T @ squares - n * middle**2, 0))
    varies = np.triu(norms > _CONSTANT * max(norms.max(initial=0.0), _CONSTANT))
    scale = np.divide(1.0, norms, out=np.zeros_like(norms), where=varies)
    for i, score in enumerate(scores.T):
        found = (centred.T @ (centred * score[:, None]) - middle * score.sum()) * scale
        best = np.unravel_index(np.abs(found).argmax(), found.shape)
        pairs[i], z[i] = best, found[best]
    return Products(pairs, z, int(varies.sum()))
