"""A robot arm, and the poses that put its hand where it was seen.

The arm slides up and down a rail and turns at three joints. With all angles zero it reaches
straight out from the rail. Four numbers decide two: every end point is reached by many poses, and
some by two distinct families, with the elbow bent up or down.

Angles are in radians. The thesis gives its lengths no unit; here they are metres.

>>> end = arm(height=0.1, shoulder=0.0, elbow=0.0, wrist=0.0)
>>> float(end["across"]), float(end["up"])
(2.0, 0.1)
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Find the end point of an arm on a rail from its height and three joint angles."""
    return end_point(height, (shoulder, elbow - shoulder, wrist - shoulder - elbow))


def end_point(height: Array, angles: Sequence[Array]) -> dict[str, Any]:
    """Put segments end to end, each at an angle to the horizon, and see where they end."""
    return {
        "across": sum(length * np.cos(a) for length, a in zip(LENGTHS, angles, strict=True)),
        "up": height + sum(length * np.sin(a) for length, a in zip(LENGTHS, angles, strict=True)),
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
        "height": "m",
        "shoulder": "rad",
        "elbow": "rad",
        "wrist": "rad",
        "across": "m",
        "up": "m",
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
