"""The equations of Lotka and Volterra, for many rows at once; an epidemic obeys them too.

    dx/dt = alpha x - beta x y,    dy/dt = delta x y - gamma y

They are solved in the logarithms of x and y, which stay accurate where few are left, by their
Taylor series: the coefficients follow from one another, so that a high order costs little, and each
row takes the steps that its own last coefficients allow.

>>> one = np.ones(1)
>>> path = log_populations(one, one, one, one, start=(1.0, 2.0), interval=1.0, times=3)
>>> np.exp(path[:, :, 0]).round(4)
array([[1.    , 2.    ],
       [0.461 , 1.4271],
       [0.4231, 0.7984]])
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ORDER = 20
TOLERANCE = 1e-11  # of the last terms of a step, in a logarithm
MOST_STEPS = 1000  # from one time to the next


def log_populations(
    alpha: Array,
    beta: Array,
    gamma: Array,
    delta: Array,
    *,
    start: tuple[float, float],
    interval: float,
    times: int,
) -> Array:
    """Solve for the logarithms of prey and predators at equally spaced times.

    Parameters
    ----------
    alpha, beta, gamma, delta : arrays, shape (B,)
        Growth of the prey; their loss, a predator; loss of the predators; their growth, a prey.
    start : tuple of float
        Prey and predators at time 0.
    interval : float
        Time from one of the times to the next.
    times : int
        How many there are, time 0 included.

    Returns
    -------
    array, shape (times, 2, B)
        nan from where on a row would take more than 1,000 steps for one interval, far more than
        the priors of the benchmark ask for.
    """
    alone, together = np.stack([alpha, -gamma]), np.stack([-beta, delta])
    path = np.empty((times, *alone.shape))
    path[0] = np.log(start)[:, None]
    with np.errstate(all="ignore"):  # what overflows becomes nan
        for i in range(1, times):
            path[i] = _advance(path[i - 1], interval, alone, together)
    return path


def _advance(state: Array, interval: float, alone: Array, together: Array) -> Array:
    """Follow the states, shape (2, B), for an interval, each row in steps of its own."""
    state, left = state.copy(), np.full(state.shape[1], interval)
    for _ in range(MOST_STEPS):
        rows = np.flatnonzero(left > 0)
        if not len(rows):
            break
        change = _series(state[:, rows], alone[:, rows], together[:, rows])
        step = np.minimum(_step(change), left[rows])
        state[:, rows] += _sum(change, step)
        left[rows] -= step
    state[:, left > 0] = np.nan
    return state


def _series(state: Array, alone: Array, together: Array) -> Array:
    """Give the Taylor coefficients of the logarithms' derivatives, shape (ORDER, 2, B).

    With z the logarithms and a = exp(z): z' = alone + together * (a, swapped), and a' = a z'.
    """
    change = np.empty((ORDER, *state.shape))
    size = np.empty_like(change)
    size[0] = np.exp(state)
    change[0] = alone + together * size[0, ::-1]
    for k in range(1, ORDER):
        size[k] = (size[:k] * change[k - 1 :: -1]).sum(axis=0) / k
        change[k] = together * size[k, ::-1]
    return change


def _step(change: Array) -> Array:
    """Give the steps, shape (B,), that bring the last two terms of the series to the tolerance."""
    steps = [
        (TOLERANCE * k / np.abs(change[k - 1]).max(axis=0)) ** (1 / k) for k in (ORDER - 1, ORDER)
    ]
    return np.minimum(*steps)


def _sum(change: Array, step: Array) -> Array:
    """Integrate the series of the derivatives over the steps."""
    total = change[-1] / ORDER
    for k in range(ORDER - 1, 0, -1):
        total = total * step + change[k - 1] / k
    return total * step
