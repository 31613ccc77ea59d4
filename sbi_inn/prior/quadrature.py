"""Where to evaluate a density within the latent intervals of discrete values."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.stats.qmc import Sobol

from sbi_inn.errors import NoDensityError
from sbi_inn.typing import FloatArray

FINE = (32, 16, 10)
"""Places an axis for one, two and three discrete parameters, for densities."""

COARSE = (4, 3, 2)
"""The same, for ranks."""

FINE_POINTS = 2**10
"""Quasi-random places for more discrete parameters, for densities."""

COARSE_POINTS = 2**4
"""The same, for ranks."""

MOST = 8
"""Discrete parameters, beyond which a thousand places are too few."""


def places(discrete: int, *, coarse: bool = False) -> tuple[FloatArray, FloatArray]:
    """Give places within the cells of discrete parameters, and their weights in a mean.

    Up to three parameters a product of Gauss-Legendre rules, beyond that Sobol's points, always the
    same ones.

    Parameters
    ----------
    discrete : int
        How many discrete parameters there are.
    coarse : bool
        Few places, where a few percent do not matter.

    Returns
    -------
    places : array, shape (m, discrete)
        Between 0 and 1, as `Prior.to_latent` takes them.
    weights : array, shape (m,)
        Their sum is 1.

    Raises
    ------
    NoDensityError
        For more than eight discrete parameters.

    Examples
    --------
    >>> where, weights = places(1, coarse=True)
    >>> where.shape, round(float(weights @ where[:, 0] ** 7), 6)  # of v^7 the mean is 1 / 8
    ((4, 1), 0.125)
    """
    if discrete > MOST:
        raise NoDensityError(
            f"the probability of {discrete} discrete parameters is a mean over as many dimensions, "
            f"and is evaluated for {MOST} at most; draws are not affected"
        )
    if discrete == 0:
        return np.empty((1, 0)), np.ones(1)
    if discrete > len(FINE):
        points = COARSE_POINTS if coarse else FINE_POINTS
        where = Sobol(discrete, scramble=False).random(points) + 0.5 / points
        return where, np.full(points, 1 / points)
    nodes, weights = leggauss((COARSE if coarse else FINE)[discrete - 1])
    grid = np.meshgrid(*[(1 + nodes) / 2] * discrete, indexing="ij")
    mass = np.meshgrid(*[weights / 2] * discrete, indexing="ij")
    return np.stack(grid, -1).reshape(-1, discrete), np.prod(mass, axis=0).ravel()
