"""The map of `gaussian_field`, with another noise and another hole in every observation.

The standard deviation of the noise is given, .05 to .3, and 12 x 12 pixels anywhere are not seen.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st
from sbi_inn.simulators.gaussian_field import FIELD, SIDE, blur

import sbi_inn as si
from sbi_inn.typing import FloatArray

HOLE = 12  # pixels


@si.simulator(images=["seen"])
def telescope(sky: FloatArray) -> dict[str, FloatArray]:
    """Give what would be seen without noise."""
    return {"seen": blur(sky)}


def detector(seen: FloatArray, error: float, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Add noise, and lose a square of pixels."""
    noisy = seen + rng.normal(0, error, seen.shape)
    top, left = rng.integers(SIDE - HOLE + 1, size=2)
    noisy[top : top + HOLE, left : left + HOLE] = np.nan
    return {"seen": noisy}


problem = si.Problem(
    telescope,
    si.Prior(sky=FIELD),
    given={"error": st.uniform(0.05, 0.25)},
    noise=detector,
    labels={"sky": "sky", "seen": "what is seen", "error": "noise"},
    source="a linear Gaussian problem, whose posterior is known at every noise and hole",
)
