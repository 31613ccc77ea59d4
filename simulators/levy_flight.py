"""Two-choice decisions whose evidence jumps: reaction times of a Levy flight.

Evidence starts at zr a between two bounds, 0 and a, and drifts to one of them by v dt in each
millisecond, with noise dt^(1/alpha) times a symmetric alpha-stable number of scale 1 / sqrt(2):
Brownian motion where alpha is 2, the usual diffusion model, and with rare large jumps below. A
reaction takes t0 seconds beside the decision, and is counted as negative where the lower bound was
reached. Each subject has trials under two conditions, with drifts v1 up and v2 down.

A decision takes at most 5 s; the few trials that have not ended then go to the nearer bound.

>>> rng = np.random.default_rng(1)
>>> many = np.ones(20_000)
>>> times, upper = decisions(drift=many, alpha=2 * many, start=many / 2, bound=many, rng=rng)
>>> bool(abs(upper.mean() - 1 / (1 + np.exp(-1))) < 0.02)  # as Brownian motion goes up
True
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]

STEP = 1e-3  # s
MOST_STEPS = 5_000
FEWEST, MOST = 50, 500  # trials under one condition
# Trials that go at once, and steps of them all that are computed at once: the cache holds them.
TRIALS, AT_ONCE = 2_048, 2**15
# Of pi, just below 1, so that in single precision no cosine of an angle is negative.
INSIDE = np.float32(np.pi * (1 - 2.0**-21))
TINY = np.float32(1e-30)  # s that nobody waits less than, so that it has a logarithm


@simulator(batched=True, sets={"n1": ["rt1"], "n2": ["rt2"]})
def levy_flight(
    v1: Array,
    v2: Array,
    zr: Array,
    a: Array,
    t0: Array,
    alpha: Array,
    n1: Array,
    n2: Array,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Simulate reactions (s, negative at the lower bound) under two conditions."""
    return {
        name: _reactions(drift, zr, a, t0, alpha, n.astype(int), rng)
        for name, drift, n in (("rt1", v1, n1), ("rt2", v2, n2))
    }


def _reactions(
    drift: Array,
    zr: Array,
    a: Array,
    t0: Array,
    alpha: Array,
    n: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Array:
    """Simulate n reactions of each subject, padded to (B, most)."""
    row = np.repeat(np.arange(len(n)), n)
    times, upper = decisions(
        drift=drift[row], alpha=alpha[row], start=(zr * a)[row], bound=a[row], rng=rng
    )
    found = np.zeros((len(n), int(n.max())))
    found[np.arange(found.shape[1]) < n[:, None]] = np.where(upper, 1, -1) * (times + t0[row])
    return found


def decisions(
    *, drift: Array, alpha: Array, start: Array, bound: Array, rng: np.random.Generator
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Follow trials until they leave (0, bound).

    Parameters
    ----------
    drift, alpha, start, bound : arrays, shape (trials,)
        Evidence a second; index of stability, in [1, 2]; evidence at the start; upper bound.
    rng : numpy.random.Generator

    Returns
    -------
    times : array, shape (trials,)
        In seconds, a multiple of `STEP`.
    upper : array of bool
        Whether the upper bound was reached.
    """
    parts = [
        _few_decisions(*(x[i : i + TRIALS].astype(np.float32) for x in every), rng)
        for every in [(drift, alpha, start, bound)]
        for i in range(0, len(drift), TRIALS)
    ]
    steps, upper = (np.concatenate(part) for part in zip(*parts, strict=True))
    return steps * STEP, upper


def _few_decisions(
    drift: SingleArray,
    alpha: SingleArray,
    start: SingleArray,
    bound: SingleArray,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Count the steps of as many trials as go at once, and say which end at the upper bound."""
    steps, end = np.full(len(drift), MOST_STEPS), np.empty_like(start)
    scale = np.float32(STEP) ** (1 / alpha) / np.float32(np.sqrt(2))
    going, state = np.arange(len(drift)), start
    begun = 0
    while len(going) and begun < MOST_STEPS:
        some = min(AT_ONCE // len(going), MOST_STEPS - begun)
        path = stable(alpha[going, None], (len(going), some), rng)
        path *= scale[going, None]
        path += drift[going, None] * np.float32(STEP)
        path[:, 0] += state
        np.cumsum(path, axis=1, out=path)
        left = (path <= 0) | (path >= bound[going, None])
        first = left.argmax(axis=1)
        rows = np.arange(len(going))
        over = left[rows, first]
        steps[going[over]] = begun + 1 + first[over]
        end[going] = np.where(over, path[rows, first], path[:, -1])
        going, state, begun = going[~over], path[~over, -1], begun + some
    return steps, end > bound / 2


def stable(alpha: SingleArray, shape: tuple[int, ...], rng: np.random.Generator) -> SingleArray:
    """Draw symmetric alpha-stable numbers of scale 1, in single precision.

    Parameters
    ----------
    alpha : array of float32
        In [1, 2]; it broadcasts to `shape`.
    shape : tuple of int
    rng : numpy.random.Generator

    References
    ----------
    Chambers, Mallows & Stuck (1976), A method for simulating stable random variables.
    """
    angle = rng.random(shape, dtype=np.float32)
    angle -= np.float32(0.5)
    angle *= INSIDE
    waiting = rng.standard_exponential(shape, dtype=np.float32)
    waiting += TINY
    # In logarithms, as sin(alpha V) times powers of cos V and of cos((1 - alpha) V) / W.
    size = np.cos((1 - alpha) * angle)
    size /= waiting
    np.log(size, out=size)
    size *= (1 - alpha) / alpha
    np.log(np.cos(angle, out=waiting), out=waiting)
    waiting *= 1 / alpha
    size -= waiting
    np.exp(size, out=size)
    angle *= alpha
    size *= np.sin(angle, out=angle)
    return size


problem = Problem(
    levy_flight,
    Prior(
        v1=st.uniform(0, 6),
        v2=st.uniform(-6, 6),
        zr=st.uniform(0.3, 0.4),
        a=st.uniform(0.6, 2.4),
        t0=st.uniform(0.3, 0.7),
        alpha=st.uniform(1, 1),
    ),
    given={"n1": st.randint(FEWEST, MOST + 1), "n2": st.randint(FEWEST, MOST + 1)},
    units={"t0": "s", "v1": "1/s", "v2": "1/s", "rt1": "s", "rt2": "s"},
    labels={
        "v1": "drift under condition 1",
        "v2": "drift under condition 2",
        "zr": "start, as a share of the bound",
        "a": "upper bound",
        "t0": "time beside the decision",
        "alpha": "stability of the noise",
        "n1": "trials under condition 1",
        "n2": "trials under condition 2",
        "rt1": "signed reaction time under condition 1",
        "rt2": "signed reaction time under condition 2",
    },
    source="Voss et al. (2019); priors of Radev et al. (2020), arXiv:2003.06281",
)
