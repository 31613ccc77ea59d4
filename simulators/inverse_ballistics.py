"""A throw with air resistance, and the throws that land where this one did.

Something is thrown over level ground; what is known is where it came down. Four numbers decide one:
every place is reached by a three-dimensional family of throws, steep and flat ones, from nearby and
from further back.

Drag is in proportion to speed, so that the path can be written down, and the time of impact is the
later root of the height. The source clips the height at zero and draws a whole number for the
speed; here both are continuous: a normal truncated at zero, and a gamma with the mean and variance
of the source's Poisson.

>>> end = throw(x1=0.0, x2=1.5, angle=45.0, speed=15.0)
>>> round(float(end["impact"]), 3)
7.693
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

GRAVITY = 9.81  # m / s^2
DRAG = 0.25  # kg / s
MASS = 0.2  # kg
WEIGHT = MASS * GRAVITY  # N

NEWTON_STEPS = 6  # two more than it takes to the last bit


@simulator(batched=True)
def throw(x1: Array, x2: Array, angle: Array, speed: Array) -> dict[str, Array]:
    """Find where something lands that is thrown from (x1, x2) at an angle above the horizon."""
    slope = np.radians(angle)
    time = impact_time(x2, speed * np.sin(slope))
    return {"impact": x1 - speed * np.cos(slope) * MASS / DRAG * np.expm1(-DRAG * time / MASS)}


def height(time: Array, x2: Array, rise: Array) -> Array:
    """Height (m) some time (s) after a throw from height x2 (m) that rises at first (m/s)."""
    fading = np.expm1(-DRAG * time / MASS)
    return x2 - MASS / DRAG * ((WEIGHT / DRAG + rise) * fading + WEIGHT * time / MASS)


def climb(time: Array, rise: Array) -> Array:
    """Upward speed (m/s): the derivative of the height."""
    fading = np.expm1(-DRAG * time / MASS)
    return rise + (WEIGHT / DRAG + rise) * fading


def impact_time(x2: Array, rise: Array) -> Array:
    """Find the time (s) when the height is zero, after the peak, by Newton's method.

    It starts at the time of impact without drag, which is after the peak with drag. The height is
    concave: from there the second step and all later ones approach the root from beyond it.
    """
    time = (rise + np.sqrt(rise**2 + 2 * GRAVITY * x2)) / GRAVITY
    for _ in range(NEWTON_STEPS):
        time = time - height(time, x2, rise) / climb(time, rise)
    return time


problem = Problem(
    throw,
    Prior(
        x1=st.norm(0, 0.5),
        x2=st.truncnorm(-3, np.inf, 1.5, 0.5),
        angle=st.uniform(9, 72),
        speed=st.gamma(15),
    ),
    units={"x1": "m", "x2": "m", "angle": "deg", "speed": "m/s", "impact": "m"},
    labels={
        "x1": "place of the throw",
        "x2": "height of the throw",
        "angle": "angle above the horizon",
        "speed": "speed of the throw",
        "impact": "place of impact",
    },
    source="Kruse et al., Benchmarking Invertible Architectures on Inverse Problems (2021); "
    "continuous prior",
)
