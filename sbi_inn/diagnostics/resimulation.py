"""Re-simulation: draws, simulated again, should land on the observation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sbi_inn.errors import ShapeError


def resimulation_error(observed: ArrayLike, resimulated: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distance of each re-simulation from its observation.

    Parameters
    ----------
    observed : array, shape (n, k)
        n observations of k numbers.
    resimulated : array, shape (n, m, k)
        What the simulator makes of m draws from the posterior of each observation; NaN where a
        simulation failed.

    Returns
    -------
    float64 array, shape (n, m)
        In the units of the observables; NaN where a simulation failed.

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    References
    ----------
    Ardizzone, dissertation (Heidelberg), section 4.2.

    Examples
    --------
    >>> resimulation_error([[0.0, 1.0]], [[[3.0, 5.0], [0.0, 1.0]]])
    array([[5., 0.]])
    """
    observed = np.asarray(observed, dtype=float)
    resimulated = np.asarray(resimulated, dtype=float)
    fits = observed.ndim == 2 and resimulated.ndim == 3 and resimulated.shape[::2] == observed.shape
    if not fits:
        raise ShapeError(
            "resimulation_error: observed must have shape (n, k) and resimulated (n, m, k); "
            f"got {observed.shape} and {resimulated.shape}"
        )
    return np.linalg.norm(resimulated - observed[:, None, :], axis=-1)
