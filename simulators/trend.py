"""Line or parabola? Ten measurements of a trend, with the evidence of either written down.

Both models are linear with Gaussian priors, so that the measurements of each are jointly Gaussian.
The parabola has all that the line has: where its curvature is small, the line is the more probable
one, but never by much.

>>> flat = np.zeros(10)
>>> line, parabola = log_evidence(flat, "line"), log_evidence(flat, "parabola")
>>> round(float(line - parabola), 2)
0.92
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]
Model = Literal["line", "parabola"]

TIMES = np.linspace(-1, 1, 10)
NOISE = 0.5  # sd of a measurement
SPREADS = {"level": 1.0, "slope": 1.0, "curvature": 1.0}  # sd of the priors
POWERS = {"line": 2, "parabola": 3}  # of time: their number


@simulator(batched=True)
def line(level: Array, slope: Array, rng: np.random.Generator) -> Array:
    """Measure a straight line at ten times."""
    return measured(level[:, None] + slope[:, None] * TIMES, rng)


@simulator(batched=True)
def parabola(level: Array, slope: Array, curvature: Array, rng: np.random.Generator) -> Array:
    """Measure a parabola at ten times."""
    straight = level[:, None] + slope[:, None] * TIMES
    return measured(straight + curvature[:, None] * TIMES**2, rng)


def measured(trend: Array, rng: np.random.Generator) -> Array:
    """Add the noise of the measurements."""
    return trend + rng.normal(0, NOISE, trend.shape)


def predictive(model: Model) -> st._multivariate.multivariate_normal_frozen:
    """Give the law of the measurements, the parameters integrated out: Gaussian, of mean zero."""
    powers = TIMES[:, None] ** np.arange(POWERS[model])
    variances = np.array(list(SPREADS.values()))[: POWERS[model]] ** 2
    covariance = (powers * variances) @ powers.T + NOISE**2 * np.eye(len(TIMES))
    return st.multivariate_normal(np.zeros(len(TIMES)), covariance)


def log_evidence(y: npt.ArrayLike, model: Model) -> Array:
    """Give the exact log evidence of measurements `y`, shape (..., 10), under a model."""
    return np.asarray(predictive(model).logpdf(np.asarray(y, np.float64)))


_PRIORS = {name: st.norm(0, spread) for name, spread in SPREADS.items()}
_LABELS = {"y": "measurement", "level": "level", "slope": "slope"}
_SOURCE = "Bishop, Pattern Recognition and Machine Learning, sec. 3.4 (evidence of linear models)"

problem_line = Problem(
    line,
    Prior(level=_PRIORS["level"], slope=_PRIORS["slope"]),
    labels=_LABELS,
    source=_SOURCE,
)
problem_parabola = Problem(
    parabola,
    Prior(**_PRIORS),
    labels=_LABELS | {"curvature": "curvature"},
    source=_SOURCE,
)
