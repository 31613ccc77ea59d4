"""What training covers of the givens: their ranges, shapes and gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sbi_inn.observation.description import Range, scalar_names
from sbi_inn.typing import AnyArray

OUTERMOST = 20
"""Values at either end of a given, whose mean spacing says how much a sample may miss there."""

REACHED = 10.0
"""Spacings from the last value, within which a distribution's own end counts as seen.

Of values drawn evenly, one in 3,000 samples ends earlier: (1 + 10 / 20)^-20.
"""

BEYOND = 3.0
"""Spacings beyond the last value that count as seen where no such end is known or near."""


def ranges(
    givens: Mapping[str, AnyArray], stated: Mapping[str, Any] | None = None
) -> dict[str, Range]:
    """Give the range that training covers of every number of givens, by its own name.

    A sample ends a little before what it was drawn from. Its range is taken up to the end of the
    distribution, such as the 500 of `randint(5, 501)`, where the values come near to that; else a
    little further than the values, by what is usual between the outermost ones.

    Parameters
    ----------
    givens : mapping of str to array, shape (rows, ...)
        NaN is passed over.
    stated : mapping, optional
        The givens of the problem, whose distributions know their ends.
    """
    found = {}
    for name, value in givens.items():
        support = getattr((stated or {}).get(name), "support", lambda: (-np.inf, np.inf))
        low, high = map(float, support())
        for column, numbers in columns_of(name, value).items():
            known = numbers[np.isfinite(numbers)].astype(np.float64)
            if known.size:
                found[column] = -_end(-known, -low), _end(known, high)
    return found


def _end(values: AnyArray, bound: float) -> float:
    """Give the upper end of what values cover, which lie below `bound`."""
    last = float(values.max())
    k = min(OUTERMOST, len(values) // 2)
    spacing = (last - np.partition(values, -k - 1)[-k - 1]) / k if k else 0.0
    if bound - last <= REACHED * spacing:
        return max(bound, last)
    whole = (values == np.rint(values)).all()
    return last + float(np.floor(BEYOND * spacing) if whole else BEYOND * spacing)


def columns_of(name: str, value: AnyArray) -> dict[str, AnyArray]:
    """Cut an array (rows, ...) into columns of numbers, each under its own name."""
    columns = value.reshape(len(value), math.prod(value.shape[1:])).T
    return dict(zip(scalar_names(name, value.shape[1:]), columns, strict=True))


def shapes_of(givens: Mapping[str, AnyArray]) -> dict[str, tuple[int, ...]]:
    """Give the shapes of givens (rows, ...) that are more than a number."""
    return {name: value.shape[1:] for name, value in givens.items() if value.ndim > 1}


def missing_of(givens: Mapping[str, AnyArray]) -> dict[str, float]:
    """Name the givens of which some are missing; how much of each is found with the observables."""
    return {name: 0.0 for name, value in givens.items() if np.isnan(value).any()}
