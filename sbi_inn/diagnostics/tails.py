"""p-values from a reference sample, extrapolated beyond its largest values.

A rank among n reference values cannot be below 1 / (n + 1). That is too coarse for a catalogue with
thousands of objects. Beyond the last few values the tail is continued by a generalised Pareto
distribution, which the tail of any well-behaved distribution approaches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sbi_inn.errors import ShapeError
from sbi_inn.typing import FloatArray

_ENOUGH = 10  # reference values beyond, for a rank to be trusted as it is
_EXTRAPOLATED_FROM = 50  # reference values, below which the tail is not continued
_TAIL = 0.1  # share of the reference that the Pareto law is fitted to
_FEWEST_IN_TAIL = 20  # reference values in that fit, below which its shape is noise
_MOST_IN_TAIL = 250  # reference values in that fit: more of them lie too far inside
_END = 4  # the end of that tail holds one in so many of its values
_FEWEST_IN_END = 50  # reference values at the end of a tail, below which its width is noise


def tail_p_value(values: ArrayLike, reference: ArrayLike) -> FloatArray:
    """Return the probability that the reference's distribution reaches each value or more.

    Where ten or more reference values lie beyond, it is the rank: one more than their number, ties
    counted half, over n + 1. Further out it is continued by a generalised Pareto law fitted to the
    largest tenth (20 to 250 values). Its shape is never taken below 0, that of an exponential: so
    there is no value beyond which all is impossible, and the tail of a normal is overestimated.
    Where the fit would take it below 0, the exponential is that of the end of the tail, its largest
    quarter, if this holds 50 values: such a tail falls the faster the further out.

    Parameters
    ----------
    values : array, shape (m,)
        May be infinite.
    reference : array, shape (n,)
        Below 50 values, ranks alone are used.

    Returns
    -------
    float64 array, shape (m,)
        In (0, 1]; it never increases with the value. Uniform for values from the reference's own
        distribution, but for being a multiple of 1 / (n + 1) where it is a rank.

    Raises
    ------
    ShapeError
        If either is not one-dimensional, the reference is empty or not finite, or a value is NaN.

    References
    ----------
    Knijnenburg et al. (2009), doi:10.1093/bioinformatics/btp211; the fit is by probability-weighted
    moments: Hosking & Wallis (1987), doi:10.2307/1269343.

    Examples
    --------
    >>> tail_p_value([0.0, 2.5, 9.0], [1.0, 2.0, 3.0])
    array([1.  , 0.5 , 0.25])
    >>> reference = np.random.default_rng(0).exponential(size=1_000)
    >>> bool(1e-7 < tail_p_value([14.0], reference)[0] < 1e-5)  # the truth is 8e-7
    True
    """
    values, reference = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    _check(values, reference)
    ordered = np.sort(reference)
    n = len(ordered)
    beyond = n - np.searchsorted(ordered, values, side="right")
    ties = n - beyond - np.searchsorted(ordered, values, side="left")
    count = beyond + ties / 2
    p = (1 + count) / (n + 1)
    if n < _EXTRAPOLATED_FROM:
        return p
    far = count < _ENOUGH
    p[far] = _continued(values[far], ordered)
    return p


def two_tailed(values: ArrayLike, reference: ArrayLike) -> FloatArray:
    """Return the p-value of each value against both tails of the reference's distribution.

    Too small is as improbable as too large: an observation may also be more typical than any
    simulation.

    Parameters
    ----------
    values : array, shape (m,)
    reference : array, shape (n,)

    Returns
    -------
    float64 array, shape (m,)
        Twice the smaller of the two tails' `tail_p_value`, at most 1.

    Raises
    ------
    ShapeError
        As `tail_p_value`.

    References
    ----------
    Ardizzone, dissertation (Heidelberg), section 5.4.3.

    Examples
    --------
    >>> two_tailed([0.0, 4.5, 9.0], np.arange(1.0, 9.0)).round(2)
    array([0.22, 1.  , 0.22])
    """
    values, reference = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    smaller = np.minimum(tail_p_value(values, reference), tail_p_value(-values, -reference))
    return np.minimum(2 * smaller, 1.0)


def _continued(values: FloatArray, ordered: FloatArray) -> FloatArray:
    """Continue the ranks beyond the tenth largest of the ordered reference, shape (m,)."""
    n = len(ordered)
    size = int(np.clip(_TAIL * n, _FEWEST_IN_TAIL, _MOST_IN_TAIL))
    end = size // _END
    start, shape, scale = _pareto(ordered, size)
    if shape == 0 and end >= _FEWEST_IN_END:
        start, scale = _exponential(ordered, end)
    joined = ordered[-_ENOUGH]
    if not scale > 0:  # a tail in which all values are the same has no width to continue by
        return np.where(values > joined, 1, 1 + _ENOUGH) / (n + 1)
    law = stats.genpareto(shape, loc=start, scale=scale)
    fall = np.exp(np.minimum(law.logsf(values) - law.logsf(joined), 0.0))
    return np.maximum((1 + _ENOUGH) / (n + 1) * fall, np.finfo(float).tiny)


def _pareto(ordered: FloatArray, size: int) -> tuple[float, float, float]:
    """Fit start, shape and scale to the largest values; the shape is at least 0."""
    start, mean = _exponential(ordered, size)
    rarity = 1 - (np.arange(1, size + 1) - 0.35) / size
    weighted = float(np.mean(rarity * (ordered[-size:] - start)))
    gap = mean - 2 * weighted
    shape = 2 - mean / gap if gap > 0 else 0.0
    return (start, shape, 2 * mean * weighted / gap) if shape > 0 else (start, 0.0, mean)


def _exponential(ordered: FloatArray, size: int) -> tuple[float, float]:
    """Fit start and scale of an exponential to the largest values."""
    start = float(ordered[-size - 1] + ordered[-size]) / 2
    return start, float(np.mean(ordered[-size:] - start))


def _check(values: FloatArray, reference: FloatArray) -> None:
    """Raise unless the shapes are (m,) and (n,), n > 0, the reference finite and no value NaN."""
    if values.ndim != 1 or reference.ndim != 1 or reference.size == 0:
        raise ShapeError(
            "tail_p_value: values must have shape (m,) and reference (n,) with n > 0; "
            f"got {values.shape} and {reference.shape}"
        )
    if np.isnan(values).any() or not np.isfinite(reference).all():
        raise ShapeError(
            "tail_p_value: reference must be finite and no value NaN; got "
            f"{np.isnan(values).sum()} NaN in values and {np.sum(~np.isfinite(reference))} "
            "values in reference that are not finite"
        )
