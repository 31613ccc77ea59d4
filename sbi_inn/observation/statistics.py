"""Observations as plain rows of numbers, so that a distance between two of them has a meaning."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from sbi_inn.observation import set_moments as moments
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.image import Grid
from sbi_inn.observation.schema import Schema
from sbi_inn.typing import FloatArray, IntArray

# Largest number whose square, summed over many, is a number.
FURTHEST = 1e150
SHORT = 32
"""Entries of a series of fixed length, up to which they stand as they are."""


def statistics(observations: Observations, schema: Schema) -> FloatArray:
    """Write the observables of each observation as one row of numbers.

    Observables of fixed shape stand as they are, and so do series that have the same length of at
    most 32 entries in every simulation. An exchangeable set has no order to compare by: each of
    its columns gives its mean, standard deviation and five quantiles. Other series give these too,
    and autocorrelations at lags 1, 2 and 5 and the means of their quarters. An image gives, for
    each channel, mean, standard deviation, five quantiles, and means over 4 x 4 blocks. Givens are
    left out. NaN where a value is missing; a set is described by the entries that are there.

    Returns
    -------
    array, shape (batch, k)

    Examples
    --------
    >>> from sbi_inn.observation.schema import Schema
    >>> from sbi_inn.observation.statistics import statistics
    >>> schema = Schema({"x": ()}, sets={"n": ("x",)}, givens=(), constants={}, trained={})
    >>> statistics(schema.read({"x": [3.0, 1.0, 2.0]}), schema).round(2)
    array([[2.  , 0.82, 1.1 , 1.5 , 2.  , 2.5 , 2.9 ]])
    """
    parts = [observations.vector[:, _plain(schema)]]
    for length in schema.sets:
        padded = observations.sets[length]
        if _stands(schema, length):
            parts.append(padded.values.reshape(len(observations), -1))
            continue
        parts.append(moments.in_pieces(padded, moments.describe))
        if length in schema.series:
            parts.append(moments.in_pieces(padded, moments.order))
    parts += [moments.image(g.cut(observations.vector)) for g in schema.seen_grids.values()]
    return np.concatenate(parts, axis=1)


def names(schema: Schema) -> tuple[str, ...]:
    """Name each column of `statistics`, as a reader would.

    Examples
    --------
    >>> from sbi_inn.observation.schema import Schema
    >>> from sbi_inn.observation.statistics import names
    >>> observables = {"flux": (2,), "rt": ()}
    >>> schema = Schema(observables, sets={"n": ("rt",)}, givens=(), constants={}, trained={})
    >>> names(schema)[:5]
    ('flux[0]', 'flux[1]', 'mean of rt', 'sd of rt', '5 % quantile of rt')
    """
    found = [
        scalar
        for name in schema.fixed
        if name not in schema.images
        for scalar in schema.scalars(name)
    ]
    for length in schema.sets:
        scalars = _scalars(schema, length)
        if _stands(schema, length):
            found += [
                f"{scalar} at {i}" for i in range(schema.lengths[length]) for scalar in scalars
            ]
            continue
        labels = moments.DESCRIBED + (moments.ORDER if length in schema.series else ())
        found += [f"{label} {scalar}" for label in labels for scalar in scalars]
    for name, grid in schema.seen_grids.items():
        found += moments.image_names(name, grid)
    return tuple(found)


def shapes(observations: Observations, schema: Schema) -> FloatArray:
    """Write the shape of each set and series: what a mean and standard deviation cannot absorb.

    Each column of a set, or of a series that does not stand as it is, gives its skewness, its
    excess kurtosis, and its smallest and largest entry in standard deviations from the mean. They
    are 0 where the entries are all the same or fewer than four.

    Returns
    -------
    array, shape (batch, 4 * columns of sets)

    Examples
    --------
    >>> from sbi_inn.observation.schema import Schema
    >>> from sbi_inn.observation.statistics import shapes
    >>> schema = Schema({"x": ()}, sets={"n": ("x",)}, givens=(), constants={}, trained={})
    >>> shapes(schema.read({"x": [0.0, 0.0, 0.0, 4.0]}), schema).round(2)
    array([[ 1.15, -0.67, -0.58,  1.73]])
    """
    sets = (observations.sets[length] for length in _summed_up(schema))
    parts = [moments.in_pieces(padded, moments.shape) for padded in sets]
    return np.concatenate([np.empty((len(observations), 0)), *parts], axis=1)


def shape_names(schema: Schema) -> tuple[str, ...]:
    """Name each column of `shapes`: `skewness of rt`, `kurtosis of rt`, `smallest rt`, ..."""
    return tuple(
        f"{label} {scalar}"
        for length in _summed_up(schema)
        for label in moments.SHAPES
        for scalar in _scalars(schema, length)
    )


def finer(observations: Observations, schema: Schema) -> FloatArray:
    """Write what `described` leaves out of sets and series that do not stand as they are.

    Correlations of their columns, and of series further autocorrelations: what somebody looks at
    who asks whether a posterior has read all of them.

    Returns
    -------
    array, shape (batch, len(finer_names(schema)))
    """
    parts = [np.empty((len(observations), 0))]
    for length in _summed_up(schema):
        padded = observations.sets[length]
        parts.append(moments.in_pieces(padded, moments.correlations))
        if length in schema.series:
            parts.append(moments.in_pieces(padded, moments.further_order))
    return np.concatenate(parts, axis=1)


def finer_names(schema: Schema) -> tuple[str, ...]:
    """Name each column of `finer`.

    Examples
    --------
    >>> from sbi_inn.observation.schema import Schema
    >>> observables, sets = {"x": (), "y": ()}, {"n": ("x", "y")}
    >>> schema = Schema(observables, sets, givens=(), constants={}, trained={})
    >>> finer_names(schema)
    ('correlation of x and y',)
    """
    found = []
    for length in _summed_up(schema):
        scalars = _scalars(schema, length)
        found += [f"correlation of {a} and {b}" for a, b in combinations(scalars, 2)]
        if length in schema.series:
            found += [f"{label} {scalar}" for label in moments.FURTHER_ORDER for scalar in scalars]
    return tuple(found)


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


def described_with_givens(observations: Observations, schema: Schema) -> FloatArray:
    """Statistics of the observables, then the givens and set sizes, shape (batch, k).

    Givens that are images are described as observables are that are images.
    """
    vector, plain, pictures = observations.vector, _plain_givens(schema), _given_grids(schema)
    sizes = [padded.sizes[:, None].astype(np.float64) for padded in observations.sets.values()]
    images = [moments.image(grid.cut(vector)) for grid in pictures.values()]
    parts = [described(observations, schema), vector[:, plain], *images, *sizes]
    return np.concatenate(parts, axis=1)


def given_names(schema: Schema) -> tuple[str, ...]:
    """Name what `described_with_givens` has of the givens, without set sizes.

    Examples
    --------
    >>> shapes, given = {"sky": (8, 8)}, {"exposure": (8, 8)}
    >>> schema = Schema(shapes, {}, ("t", "exposure"), {}, {}, given, images=("sky", "exposure"))
    >>> given_names(schema)[:3]
    ('t', 'mean of exposure', 'sd of exposure')
    """
    pictures = _given_grids(schema).items()
    plain = (column for name in schema.plain_givens for column in schema.scalars(name))
    return (*plain, *(n for name, grid in pictures for n in moments.image_names(name, grid)))


def given_numbers(observations: Observations, schema: Schema) -> dict[str, FloatArray]:
    """Give every number that is given, by name, shape (batch,); of an image its mean."""
    names = [column for name in schema.plain_givens for column in schema.scalars(name)]
    plain = observations.vector[:, _plain_givens(schema)].T
    return dict(zip(names, plain, strict=True)) | {
        f"mean of {name}": grid.cut(observations.vector).mean(axis=(1, 2, 3))
        for name, grid in _given_grids(schema).items()
    }


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
    >>> from sbi_inn.observation.statistics import spread
    >>> spread(np.array([[-1.0, 0.1], [0.0, 0.1], [1.0, 0.1], [1e6, 0.1]])).round(2)
    array([1.48, 1.  ])
    """
    if np.isnan(rows).any():
        known = (column[~np.isnan(column)] for column in rows.T)
        return np.concatenate([spread(k[:, None]) if len(k) else np.ones(1) for k in known])
    center = np.median(rows, axis=0)
    deviation = 1.4826 * np.median(np.abs(rows - center), axis=0)
    flat = deviation == 0
    deviation[flat] = rows[:, flat].std(axis=0)
    # What rounding leaves of a constant is no spread.
    return np.where(deviation > 1e-12 * np.abs(center), deviation, 1.0)


def _given_grids(schema: Schema) -> dict[str, Grid]:
    """Where the pixels of the givens that are images are."""
    return {name: grid for name, grid in schema.grids.items() if name not in schema.observables}


def _plain_givens(schema: Schema) -> IntArray:
    """Find the features of `Observations.vector` that are givens, but no pixels."""
    first = schema.observable_columns()
    plain = np.ones(first + len(schema.given_columns), bool)
    plain[:first] = False
    for grid in _given_grids(schema).values():
        plain[grid.features] = False
    return np.flatnonzero(plain)


def _plain(schema: Schema) -> IntArray:
    """Find the features of `Observations.vector` that are observables, but no pixels."""
    plain = np.ones(schema.observable_columns(), bool)
    for grid in schema.grids.values():
        plain[grid.features] = False
    return np.flatnonzero(plain)


def _stands(schema: Schema, length: str) -> bool:
    """Whether a series is so short, and always of one length, that its entries say it all."""
    return schema.lengths.get(length, SHORT + 1) <= SHORT


def _summed_up(schema: Schema) -> list[str]:
    """Name the lengths of the sets and series that do not stand as they are."""
    return [length for length in schema.sets if not _stands(schema, length)]


def _scalars(schema: Schema, length: str) -> list[str]:
    """Name each number in an entry of a set or series."""
    columns = schema.sets[length]
    return [scalar for name in columns for scalar in schema.scalars(name)]


def squarable(values: FloatArray) -> FloatArray:
    """Draw in what is so large that its square would overflow, as of tails over all decades.

    Examples
    --------
    >>> squarable(np.array([-1.5, 1e200]))
    array([-1.5e+000,  1.0e+150])
    """
    return np.clip(values, -FURTHEST, FURTHEST)


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
    squares = squarable(np.where(known, gap, 0.0)) ** 2
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


def mostly_two_valued(table: FloatArray) -> bool:
    """Whether most columns of (rows, columns) take two values, such as yes and no.

    Examples
    --------
    >>> mostly_two_valued(np.array([[0.0, 1.0, 5.0], [1.0, 1.0, 6.0], [0.0, 0.0, 7.0]]))
    True
    """
    rows = np.sort(table, axis=0)
    values = 1 + (np.diff(rows, axis=0) > 0).sum(axis=0)
    return 2 * int((values == 2).sum()) > rows.shape[1]
