"""Do many observations together come from the simulator? A test by maximum mean discrepancy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sbi_inn.diagnostics.arguments import two_sets
from sbi_inn.diagnostics.two_samples import kernel, mean_kernel, median_widths
from sbi_inn.typing import FloatArray

_TESTED = 1_000  # rows at most


@dataclass(frozen=True)
class MMDTest:
    """Whether a set of rows could come from the reference's distribution.

    Attributes
    ----------
    value : float
        Squared MMD of the rows from the reference, biased estimate.
    p_value : float
        Share of `null` at or above it, itself counted among them: at least 1 / (repetitions + 1).
    null : float64 array, shape (repetitions,)
        The same of as many rows from the reference.
    """

    value: float
    p_value: float
    null: FloatArray


def mmd_test(
    reference: ArrayLike, rows: ArrayLike, *, rng: np.random.Generator, repetitions: int = 500
) -> MMDTest:
    """Test whether many rows together could come from the reference's distribution.

    One half of the reference (at most 1,000) is what the rows are compared with, by `mmd`; the null
    distribution comes from sets of as many rows, drawn from the other half (at most 1,000) and the
    tested rows together. That these are among them makes the
    p-value exact whatever the numbers, and costs power only where they are many.

    Parameters
    ----------
    reference : array, shape (n, k)
        n at least 4. Columns should be of comparable scale.
    rows : array, shape (m, k)
        One row is enough. Of more than 1,000, as many are chosen by `rng`.
    rng : numpy.random.Generator
        For the halves and the null distribution.
    repetitions : int
        Sets drawn for the null distribution.

    Returns
    -------
    MMDTest
        A small p-value: the rows are not, as a set, what the reference is. Each may still be.

    Raises
    ------
    ShapeError
        If the shapes are not (n, k), n > 3, and (m, k), m > 0, or a value is not finite.

    References
    ----------
    Schmitt et al. (2021), arXiv:2112.08866. Drawing from both sets: Gretton et al. (2012), Journal
    of Machine Learning Research 13, 723, section 5.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> reference, shifted = rng.normal(size=(500, 2)), rng.normal(0.7, 1.0, size=(50, 2))
    >>> mmd_test(reference, shifted, rng=rng).p_value < 0.01
    True
    """
    reference, rows = two_sets("mmd_test", reference, rows, fewest=4, fewest_rows=1)
    reference, rows = rng.permutation(reference), rng.permutation(rows)[:_TESTED]
    half, m = len(reference) // 2, len(rows)
    anchor = reference[: min(half, _TESTED)]
    pool = np.concatenate([rows, reference[half : half + _TESTED]])
    # Each set is a row of 0 and 1 / m, the tested rows first: its MMD is a quadratic form.
    sets = np.zeros((repetitions + 1, len(pool)))
    sets[0, :m] = 1 / m
    for weights in sets[1:]:
        weights[rng.permutation(len(pool))[:m]] = 1 / m
    squares = np.square(median_widths(anchor))
    within = np.sum(sets @ kernel(pool, pool, squares) * sets, axis=1)
    between = sets @ kernel(pool, anchor, squares).mean(axis=1)
    found = within - 2 * between + mean_kernel(anchor, anchor, squares)
    value, null = found[0], found[1:]
    # Sums in another order differ by rounding: a set that is the same must count as the same.
    exceeding = np.count_nonzero(null >= value - 1e-12)
    return MMDTest(float(value), float(1 + exceeding) / (1 + repetitions), null)
