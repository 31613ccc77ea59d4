"""Draws beside reference draws: how far off, how much too wide, and whether they can be told apart.

All functions take flat draws: arrays (n, k).
"""

from __future__ import annotations

import numpy as np

NORMAL_IQR = 1.3489795  # of a normal distribution, in standard deviations
FEWEST = 10  # draws that can be judged
FARTHEST = 50.0  # standard deviations that the classifier sees


def compare(reference, draws, columns):
    """Compare each parameter by mean and sd, and by median and interquartile range.

    Returns
    -------
    list of dict
        One for each parameter: shifts in sds of the reference (of a normal distribution with its
        interquartile range, where it is the median that shifts), and ratios of widths.
    """
    scale = reference.std(axis=0)
    spread, drawn = _iqr(reference), _iqr(draws)
    found = {
        "shift": (draws.mean(axis=0) - reference.mean(axis=0)) / scale,
        "width": draws.std(axis=0) / scale,
        "median shift": (np.median(draws, axis=0) - np.median(reference, axis=0))
        / (spread / NORMAL_IQR),
        "iqr": drawn / spread,
    }
    return [
        {"parameter": name} | {key: float(value[i]) for key, value in found.items()}
        for i, name in enumerate(columns)
    ]


def _iqr(draws):
    low, high = np.quantile(draws, [0.25, 0.75], axis=0)
    return high - low


def told_apart(reference, draws, n, seed):
    """Score the first draws by C2ST against as many of the reference; 1 if hardly any is finite.

    What is further than 50 standard deviations from the reference counts as that far: the
    classifier tells it apart all the same, and would not train on larger numbers.
    """
    from sbi_inn.diagnostics.two_samples import c2st

    draws = draws[np.isfinite(draws).all(axis=1)][:n]
    if len(draws) < FEWEST:
        return 1.0
    middle, reach = reference.mean(axis=0), FARTHEST * reference.std(axis=0)
    draws = np.clip(draws, middle - reach, middle + reach)
    return c2st(reference[: len(draws)], draws, rng=np.random.default_rng(seed))
