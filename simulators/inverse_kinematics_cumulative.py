"""The robot arm of `inverse_kinematics` as the benchmarks of its authors program it.

Every joint turns all that lies beyond it: a segment points along the sum of the angles so far. The
thesis prints differences instead. Prior, lengths and what is seen are the same.

>>> end = arm(height=0.0, shoulder=np.pi / 2, elbow=-np.pi / 2, wrist=0.0)
>>> float(end["across"]), float(end["up"])
(1.5, 0.5)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from sbi_inn.simulators import inverse_kinematics

from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]


@simulator(batched=True)
def arm(height: Array, shoulder: Array, elbow: Array, wrist: Array) -> dict[str, Array]:
    """Find the end point of an arm on a rail whose joints turn all that lies beyond them."""
    angles = (shoulder, shoulder + elbow, shoulder + elbow + wrist)
    return inverse_kinematics.end_point(height, angles)


problem = replace(
    inverse_kinematics.problem,
    simulator=arm,
    source="Kruse et al., Benchmarking Invertible Architectures on Inverse Problems (2021)",
)
