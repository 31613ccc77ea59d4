"""Find the top of a density that can only be evaluated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ROUNDS = 60
STEPS = 200
SMALLEST = 1e-4


def climb(
    height: Callable[[FloatArray], FloatArray], start: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Climb from the best of many starting points by random steps that shrink.

    Parameters
    ----------
    height : callable
        Points (n, dim) to heights (n,).
    start : array, shape (n, dim)
        Draws of the density; their spread near the top sets the first steps.
    rng : numpy.random.Generator

    Returns
    -------
    array, shape (dim,)

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.maximum import climb
    >>> rng = np.random.default_rng(1)
    >>> draws = rng.normal(3.0, 1.0, (1000, 2))
    >>> climb(lambda points: -((points - 3) ** 2).sum(axis=1), draws, rng).round(2)
    array([3., 3.])
    """
    heights = height(start)
    order = np.argsort(heights)[::-1]
    best, top = start[order[0]], heights[order[0]]
    near = start[order[: max(2, len(start) // 10)]]
    reach, scale = near.std(axis=0), 1.0
    for _ in range(ROUNDS):
        # Steps of many sizes at once: one of them suits the slope here.
        sizes = scale * 10 ** rng.uniform(-2, 0, (STEPS, 1))
        steps = best + sizes * reach * rng.standard_normal((STEPS, len(best)))
        heights = height(steps)
        winner = heights.argmax()
        if heights[winner] > top:
            best, top = steps[winner], heights[winner]
        else:
            scale /= 2
        if scale < SMALLEST:
            break
    return best
