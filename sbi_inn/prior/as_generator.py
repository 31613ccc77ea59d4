"""A generator of random numbers, from whatever a user gives for one."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np


def as_generator(rng: Any = None, seed: Any = None) -> np.random.Generator:
    """Take a Generator, or make one of a seed; without either, of fresh entropy.

    Raises
    ------
    TypeError
        If `rng` is neither a Generator nor a seed, or both are given.
    ValueError
        If a seed is negative or no whole number.

    Examples
    --------
    >>> as_generator(seed=1).random() == as_generator(1).random()
    True
    """
    if isinstance(rng, np.random.Generator):
        if seed is not None:
            raise TypeError("expected a generator or a seed; got both")
        return rng
    if rng is not None and seed is not None:
        raise TypeError(f"expected one seed; got {rng!r:.40} and {seed!r:.40}")
    seed = rng if seed is None else seed
    if seed is None:
        return np.random.default_rng()
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise TypeError(
            f"expected a numpy.random.Generator, or a whole number as its seed; got {seed!r:.80}"
        )
    if seed < 0:
        raise ValueError(f"a seed must not be negative; got {seed}")
    return np.random.default_rng(int(seed))
