"""How many modes draws have, for thousands of posteriors at a time."""

from __future__ import annotations

import numpy as np

from sbi_inn.typing import FloatArray, IntArray

CELLS = 128  # cells of the density estimate: a mode of a hundredth of the range has one
OUTSIDE = 0.001  # share of the draws left out at either end, that stretches the cells
SHALLOW = 0.85  # a valley is one where the density falls below this share of the lower peak
LOW = 0.02  # a peak is one that has this share of the highest

# Standard errors by which a valley has to lie below the lower of the peaks beside it. It is the
# deepest of many valleys: of 1,000 uniform draws, the flattest there are, one set in 1,000 has one.
DEPTH = 3.0


def count_modes(draws: FloatArray) -> IntArray:
    """Count the modes of many sets of draws, each by itself.

    The density is estimated with a Gaussian kernel of the width of Silverman's rule (the robust
    one). From left to right, a further mode counts where it rises above a valley by more than
    chance: by 3 standard errors of the estimate there, from below 85 % of the lower peak. Of sets
    of 1,000 uniform draws about 1 in 1,000 shows a second mode by chance; of normal, heavy-tailed
    (t with 2 degrees of freedom) or skewed ones none of 5,000 did. Of pairs of normals, halves that
    are 4 standard deviations apart and 5 % of the draws that are 7 away are found in over 95 %.

    Parameters
    ----------
    draws : array, shape (sets, n)
        Rising along the last axis.

    Returns
    -------
    array of int, shape (sets,)

    References
    ----------
    Silverman, B. W. (1986), Density Estimation for Statistics and Data Analysis, eq. 3.31.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> one, two = rng.normal(size=(2, 1_000))
    >>> two[:300] += 5
    >>> count_modes(np.sort([one, two]))
    array([1, 2])
    """
    smooth, error = _smoothed(draws)
    highest = smooth.max(axis=1)
    modes = np.ones(len(draws), np.int64)
    peak, valley = smooth[:, 0].copy(), smooth[:, 0].copy()
    for here in smooth.T[1:]:
        np.minimum(valley, here, out=valley)
        lower = np.minimum(peak, here)
        depth = lower - valley
        found = (depth > DEPTH * np.sqrt((lower + valley) * error)) & (valley < SHALLOW * lower)
        found &= lower > LOW * highest
        modes += found
        # After a valley the search begins anew, and so it does at every higher peak.
        anew = found | (here > peak)
        peak[anew] = valley[anew] = here[anew]
    return modes


def _smoothed(draws: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Draws a cell, smoothed, (sets, CELLS); and their variance over themselves, (sets,)."""
    sets, n = draws.shape
    cut = int(OUTSIDE * n)
    low, high = draws[:, cut], draws[:, n - 1 - cut]
    with np.errstate(divide="ignore", invalid="ignore"):
        places = (draws - low[:, None]) * (CELLS / (high - low))[:, None]
        inside = (places >= 0) & (places <= CELLS)
        # Where all draws are the same there is one cell, and one mode.
        cells = np.where(inside, np.minimum(places, CELLS - 1), 0).astype(np.int64)
    cells += np.arange(sets)[:, None] * CELLS
    counts = np.bincount(cells[inside], minlength=sets * CELLS).reshape(sets, CELLS)
    width = _width(draws, (high - low) / CELLS)
    frequency = 2 * np.pi * np.fft.rfftfreq(2 * CELLS)
    damped = np.fft.rfft(counts, 2 * CELLS) * np.exp(-0.5 * (frequency * width[:, None]) ** 2)
    smooth = np.fft.irfft(damped, 2 * CELLS)[:, :CELLS]
    return np.maximum(smooth, 0.0), 1 / (2 * np.sqrt(np.pi) * width)


def _width(draws: FloatArray, cell: FloatArray) -> FloatArray:
    """Give the standard deviation of the kernel, in cells: at least one."""
    n = draws.shape[1]
    middle = (draws[:, (3 * n) // 4] - draws[:, n // 4]) / 1.349
    sd = draws.std(axis=1)
    spread = np.where(middle > 0, np.minimum(sd, middle), sd)
    found = np.divide(0.9 * n**-0.2 * spread, cell, out=np.ones(len(draws)), where=cell > 0)
    return np.maximum(found, 1.0)
