"""Observations as plain rows of numbers, so that a distance between two of them has a meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sbi_inn.schema import Observations, PaddedSet, Schema, scalar_names

FloatArray = npt.NDArray[np.float64]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SHAPED_FROM = 4  # entries: with fewer the kurtosis is the same number whatever they are


def statistics(observations: Observations, schema: Schema) -> FloatArray:
    """Write the observables of each observation as one row of numbers.

    Observables of fixed shape stand as they are. An exchangeable set has no order to compare by:
    each of its columns gives its mean, standard deviation and five quantiles, of the entries that
    are there. Givens are left out. NaN where a value is missing.

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
    parts = [observations.vector[:, : schema.observable_columns()]]
    parts += [_describe(padded) for padded in observations.sets.values()]
    return np.concatenate(parts, axis=1)


def names(schema: Schema) -> tuple[str, ...]:
    """Name each column of `statistics`, as a reader would.

    Examples
    --------
    >>> from sbi_inn.schema import Schema
    >>> from sbi_inn.statistics import names
    >>> observables = {"flux": (2,), "rt": ()}
    >>> schema = Schema(observables, sets={"n": ("rt",)}, givens=(), constants={}, trained={})
    >>> names(schema)[:5]
    ('flux[0]', 'flux[1]', 'mean of rt', 'sd of rt', '5 % quantile of rt')
    """
    quantiles = ("median of" if q == 0.5 else f"{100 * q:.0f} % quantile of" for q in QUANTILES)
    labels = ("mean of", "sd of", *quantiles)
    return (*schema.columns[: schema.observable_columns()], *_named(labels, schema))


def shapes(observations: Observations, schema: Schema) -> FloatArray:
    """Write the shape of each exchangeable set: what a mean and standard deviation cannot absorb.

    Each column of a set gives its skewness, its excess kurtosis, and its smallest and largest entry
    in standard deviations from the mean. They are 0 where the entries are all the same or fewer
    than four.

    Returns
    -------
    array, shape (batch, 4 * columns of sets)

    Examples
    --------
    >>> from sbi_inn.schema import Schema
    >>> from sbi_inn.statistics import shapes
    >>> schema = Schema({"x": ()}, sets={"n": ("x",)}, givens=(), constants={}, trained={})
    >>> shapes(schema.read({"x": [0.0, 0.0, 0.0, 4.0]}), schema).round(2)
    array([[ 1.15, -0.67, -0.58,  1.73]])
    """
    parts = [_shape(observations.sets[length]) for length in schema.sets]
    return np.concatenate([np.empty((len(observations), 0)), *parts], axis=1)


def shape_names(schema: Schema) -> tuple[str, ...]:
    """Name each column of `shapes`: `skewness of rt`, `kurtosis of rt`, `smallest rt`, ..."""
    return _named(("skewness of", "kurtosis of", "smallest", "largest"), schema)


def described(observations: Observations, schema: Schema) -> FloatArray:
    """Write `statistics` and `shapes` side by side; without sets there are no shapes.

    Returns
    -------
    array, shape (batch, len(described_names(schema)))
    """
    parts = [statistics(observations, schema), shapes(observations, schema)]
    return np.concatenate(parts, axis=1)


def described_names(schema: Schema) -> tuple[str, ...]:
    """Name each column of `described`."""
    return (*names(schema), *shape_names(schema))


def spread(rows: FloatArray) -> FloatArray:
    """Robust standard deviation of each column, for scaling; 1 where a column is constant.

    NaN is passed over.

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
    if np.isnan(rows).any():
        known = (column[~np.isnan(column)] for column in rows.T)
        return np.concatenate([spread(k[:, None]) if len(k) else np.ones(1) for k in known])
    center = np.median(rows, axis=0)
    deviation = 1.4826 * np.median(np.abs(rows - center), axis=0)
    deviation = np.where(deviation > 0, deviation, rows.std(axis=0))
    # What rounding leaves of a constant is no spread.
    return np.where(deviation > 1e-12 * np.abs(center), deviation, 1.0)


def distance(gap: FloatArray) -> FloatArray:
    """Give the Euclidean length of differences of statistics, over the last axis.

    Where some are missing, as if they were as large as the others; NaN where all are.

    Examples
    --------
    >>> distance(np.array([[3.0, 4.0], [3.0, np.nan], [np.nan, np.nan]])).round(2)
    array([5.  , 4.24,  nan])
    """
    known = ~np.isnan(gap)
    counts = known.sum(axis=-1)
    squares = np.where(known, gap, 0.0) ** 2
    share = np.divide(gap.shape[-1], counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return np.sqrt(squares.sum(axis=-1) * share)


def filled(rows: FloatArray, usual: FloatArray) -> FloatArray:
    """Put the median of the usual rows where a statistic is missing.

    Parameters
    ----------
    rows : array, shape (m, k)
    usual : array, shape (n, k)

    Examples
    --------
    >>> filled(np.array([[np.nan, 1.0]]), np.array([[1.0, 0.0], [3.0, 0.0], [np.nan, 0.0]]))
    array([[2., 1.]])
    """
    if not np.isnan(rows).any():
        return rows
    middle = [np.median(k) if len(k := c[~np.isnan(c)]) else 0.0 for c in usual.T]
    return np.where(np.isnan(rows), middle, rows)


def _describe(padded: PaddedSet) -> FloatArray:
    """Mean, standard deviation and quantiles of the columns, shape (batch, 7 * columns)."""
    there, counts = _there(padded)
    ordered = np.sort(np.where(there, padded.values, np.inf), axis=1)  # the rest sorts to the end
    ordered[np.isinf(ordered)] = 0.0
    last = np.maximum(counts - 1, 0)[:, None]
    mean, centred = _centred(padded)
    parts = [mean, _deviation(padded, centred)]
    for quantile in QUANTILES:
        position = quantile * last
        low = np.floor(position).astype(np.int64)
        below = np.take_along_axis(ordered, low, axis=1)[:, 0]
        above = np.take_along_axis(ordered, np.minimum(low + 1, last), axis=1)[:, 0]
        between = (position - low)[:, 0]
        parts.append(np.asarray((1 - between) * below + between * above, np.float64))
    found = np.stack(parts, axis=1)
    found = np.where(counts[:, None] > 0, found, np.nan)
    return found.reshape(len(found), -1)


def _shape(padded: PaddedSet) -> FloatArray:
    """Skewness, excess kurtosis and extremes of the columns, shape (batch, 4 * columns)."""
    _, counts = _there(padded)
    mean, centred = _centred(padded)
    deviation = _deviation(padded, centred)
    some = np.maximum(counts, 1)
    # What rounding leaves of a constant has no shape.
    shaped = (deviation > 1e-12 * np.abs(mean)) & (counts >= _SHAPED_FROM)
    # Centred padding is zero: it adds nothing to sums, and entries lie on both sides of zero.
    standard = centred / np.where(shaped, deviation, 1.0)[:, None]
    skewness = (standard**3).sum(axis=1) / some
    kurtosis = (standard**4).sum(axis=1) / some - 3
    parts = [skewness, kurtosis, standard.min(axis=1), standard.max(axis=1)]
    return np.concatenate([np.where(shaped, part, 0.0) for part in parts], axis=1)


def _there(padded: PaddedSet) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Where there is an entry, not padding and not missing, and how many there are."""
    there = padded.mask[:, :, None] & ~np.isnan(padded.values)
    return there, there.sum(axis=1)


def _centred(padded: PaddedSet) -> tuple[FloatArray, FloatArray]:
    """Mean of the columns, and entries minus the mean, zero where there is none."""
    there, counts = _there(padded)
    mean = np.where(there, padded.values, 0.0).sum(axis=1) / np.maximum(counts, 1)
    return mean, np.where(there, padded.values - mean[:, None], 0.0)


def _deviation(padded: PaddedSet, centred: FloatArray) -> FloatArray:
    _, counts = _there(padded)
    return np.sqrt((centred**2).sum(axis=1) / np.maximum(counts, 1))


def _named(labels: Sequence[str], schema: Schema) -> tuple[str, ...]:
    """Put each label before every column of a set, set by set."""
    columns = [
        [scalar for name in paired for scalar in scalar_names(name, schema.observables[name])]
        for paired in schema.sets.values()
    ]
    return tuple(f"{label} {name}" for scalars in columns for label in labels for name in scalars)
