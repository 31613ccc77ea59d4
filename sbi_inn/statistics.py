"""Observations as plain rows of numbers, so that a distance between two of them has a meaning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sbi_inn.schema import Observations, PaddedSet, Schema

FloatArray = npt.NDArray[np.float64]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def statistics(observations: Observations, schema: Schema) -> FloatArray:
    """Write the observables of each observation as one row of numbers.

    Observables of fixed shape stand as they are. An exchangeable set has no order to compare by:
    each of its columns gives its mean, standard deviation and five quantiles. Givens are left out.

    Returns
    -------
    array, shape (batch, k)

    Examples
    --------
    >>> from sbi_inn.schema import Schema
    >>> from sbi_inn.statistics import statistics
    >>> schema = Schema({"x": ()}, sets={"n": ("x",)}, givens=(), constants={}, trained={})
    >>> statistics(schema.read({"x": [3.0, 1.0, 2.0]}), schema).round(2)
    array([[2.  , 0.82, 1.1 , 1.5 , 2.  , 2.5 , 2.9 ]])
    """
    width = len(schema.columns) - len(schema.givens)
    parts = [observations.vector[:, :width]]
    parts += [_describe(padded) for padded in observations.sets.values()]
    return np.concatenate(parts, axis=1)


def spread(rows: FloatArray) -> FloatArray:
    """Robust standard deviation of each column, for scaling; 1 where a column is constant.

    Parameters
    ----------
    rows : array, shape (n, k)

    Returns
    -------
    array, shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.statistics import spread
    >>> spread(np.array([[-1.0, 0.1], [0.0, 0.1], [1.0, 0.1], [1e6, 0.1]])).round(2)
    array([1.48, 1.  ])
    """
    center = np.median(rows, axis=0)
    deviation = 1.4826 * np.median(np.abs(rows - center), axis=0)
    deviation = np.where(deviation > 0, deviation, rows.std(axis=0))
    # What rounding leaves of a constant is no spread.
    return np.where(deviation > 1e-12 * np.abs(center), deviation, 1.0)


def _describe(padded: PaddedSet) -> FloatArray:
    """Mean, standard deviation and quantiles of the columns, shape (batch, 7 * columns)."""
    values = np.where(padded.mask[:, :, None], padded.values, np.inf)
    ordered = np.sort(values, axis=1)  # the padding sorts to the end
    last = (padded.sizes - 1)[:, None, None]
    parts: list[FloatArray] = [_moments(padded)]
    for quantile in QUANTILES:
        position = quantile * last
        low = np.floor(position).astype(np.int64)
        below = np.take_along_axis(ordered, low, axis=1)[:, 0]
        above = np.take_along_axis(ordered, np.minimum(low + 1, last), axis=1)[:, 0]
        between = (position - low)[:, 0]
        parts.append(np.asarray((1 - between) * below + between * above, np.float64))
    return np.concatenate(parts, axis=1)


def _moments(padded: PaddedSet) -> FloatArray:
    sizes = padded.sizes[:, None]
    mean = padded.values.sum(axis=1) / sizes
    centred = np.where(padded.mask[:, :, None], padded.values - mean[:, None], 0.0)
    return np.concatenate([mean, np.sqrt((centred**2).sum(axis=1) / sizes)], axis=1)
