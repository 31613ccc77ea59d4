"""A planet: 30 radial velocities of its star over 200 days, a circular orbit.

The data say the period to a part in a thousand, where the prior allows two decades. Error bars are
known; the jitter that the star adds is not.
"""

from __future__ import annotations

import numpy as np
import scipy.stats as st

import sbi_inn as si

# Days since the first epoch: five runs of six nights or so, as telescope time is given.
EPOCHS = np.array(
    [0.0, 0.91, 3.1, 4.06, 6.89, 8.98, 30.95, 31.9, 33.1, 35.87, 38.93, 41.0, 71.0, 72.09, 75.12,
     78.16, 78.92, 83.1, 118.08, 118.95, 120.85, 124.2, 126.94, 129.93, 169.14, 171.06, 174.04,
     180.13, 187.8, 200.05]
)  # fmt: skip
ERRORS = np.array(  # m/s
    [2.1, 1.8, 2.4, 2.0, 3.1, 1.9, 2.2, 2.0, 1.7, 2.6, 2.0, 2.3, 1.8, 2.1, 2.9, 2.0, 1.9, 2.2, 2.5,
     2.0, 1.8, 2.1, 2.3, 1.9, 2.0, 2.7, 2.1, 1.8, 2.0, 2.2]
)  # fmt: skip


def orbit(period, amplitude, phase, offset):
    """Give the velocity (m/s) at the epochs, shape (n, 30)."""
    angle = 2 * np.pi * EPOCHS / period[:, None] + phase[:, None]
    return offset[:, None] + amplitude[:, None] * np.cos(angle)


@si.simulator(batched=True)
def radial_velocity(period, amplitude, phase, offset, jitter, rng):
    mean = orbit(period, amplitude, phase, offset)
    sd = np.hypot(ERRORS, jitter[:, None])
    return {"velocity": mean + sd * rng.normal(size=mean.shape)}


def log_likelihood(parameters, y):
    mean = orbit(*(parameters[name] for name in ("period", "amplitude", "phase", "offset")))
    sd = np.hypot(ERRORS, parameters["jitter"][:, None])
    return st.norm.logpdf(y["velocity"], mean, sd).sum(axis=1)


problem = si.Problem(
    radial_velocity,
    si.Prior(
        period=st.loguniform(1, 100),
        amplitude=st.loguniform(1, 200),
        phase=st.uniform(0, 2 * np.pi),
        offset=st.norm(0, 50),
        jitter=st.loguniform(0.1, 20),
    ),
    units={"period": "d", "amplitude": "m/s", "offset": "m/s", "jitter": "m/s", "velocity": "m/s"},
)

TRUTHS = (
    {"period": 14.65, "amplitude": 22.0, "phase": 2.0, "offset": 8.0, "jitter": 2.5},
    {"period": 4.23, "amplitude": 55.0, "phase": 4.2, "offset": -33.0, "jitter": 4.0},
    {"period": 41.5, "amplitude": 12.0, "phase": 3.3, "offset": 15.0, "jitter": 1.5},
)
