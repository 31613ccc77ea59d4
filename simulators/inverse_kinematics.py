"""A robot arm: which poses put its hand where it was seen?

The arm slides up and down a rail and turns at three joints. With all angles zero it reaches straight
out from the rail. Four numbers decide two, so that most end points are reached by many poses, and remote
ones by two distinct families: elbow up and elbow down.

Lengths are in metres, with the third arm, of length 1, as the thesis's unit; angles in radians.

>>> end = arm(height=0.1, shoulder=0.0, elbow=0.0, wrist=0.0)
>>> float(end["across"]), float(end["up"])
(2.0, 0.1)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

LENGTHS = (0.5, 0.5, 1.0)


@simulator(batched=True)
def arm(height: Array, shoulder: Array, elbow: Array, wrist: Array) -> dict[str, Any]:
    """End point of an articulated arm on a rail, from its height and three joint angles."""
    angles = (shoulder, elbow - shoulder, wrist - shoulder - elbow)
    return {
        "across": sum(l * np.cos(a) for l, a in zip(LENGTHS, angles, strict=True)),
        "up": height + sum(l * np.sin(a) for l, a in zip(LENGTHS, angles, strict=True)),
    }


problem = Problem(
    arm,
    Prior(
        height=st.norm(0, 0.25),
        shoulder=st.norm(0, 0.5),
        elbow=st.norm(0, 0.5),
        wrist=st.norm(0, 0.5),
    ),
    units={
        "height": "m", "shoulder": "rad", "elbow": "rad", "wrist": "rad", "across": "m", "up": "m"
    },
    labels={
        "height": "height on the rail",
        "shoulder": "shoulder angle",
        "elbow": "elbow angle",
        "wrist": "wrist angle",
        "across": "distance from the rail",
        "up": "height of the hand",
    },
    source="Ardizzone, Conditional Invertible Generative Models for Supervised Problems "
    "(Heidelberg), sec. 4.2.2, eqs. 4.3 (up) and 4.4 (across)",
)
