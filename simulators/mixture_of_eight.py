"""Eight modes on a ring, of which only a label is seen.

A point in the plane comes from one of eight round Gaussians, equally likely, on the corners of a
regular octagon. Seen is the label of the nearest corner: a posterior is made of whole modes, one to
eight of them, in known shares. Three ways to label them: in the thesis's task four modes share a
label, two share the next, and two have one each; or all eight share one; or none shares any.

Neighbouring modes are 2 apart, ten standard deviations: a point is nearer to a corner that is not
its own with probability 5.7e-7, by which alone the posteriors below are not exact.

>>> four_classes(MODES[[0, 4, 7]])["label"]
array([[1., 0., 0., 0.],
       [0., 1., 0., 0.],
       [0., 0., 0., 1.]])
>>> posterior(1)
Mixture of 2 multivariate_normal of 2 entries
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Mixture, Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

FAR, NEAR = 2.4142, 1.0
MODES = np.array(  # clockwise, from the left
    [
        (-FAR, NEAR),
        (-NEAR, FAR),
        (NEAR, FAR),
        (FAR, NEAR),
        (FAR, -NEAR),
        (NEAR, -FAR),
        (-NEAR, -FAR),
        (-FAR, -NEAR),
    ]
)
SIGMA = 0.2  # of each mode, in each direction

LABELS = (0, 0, 0, 0, 1, 1, 2, 3)  # of the modes
ONE_CLASS = (0, 0, 0, 0, 0, 0, 0, 0)
EIGHT_CLASSES = (0, 1, 2, 3, 4, 5, 6, 7)


@simulator(batched=True)
def four_classes(x: Array) -> dict[str, Array]:
    """See which of four classes, of 4, 2, 1 and 1 modes, a point belongs to."""
    return {"label": nearest_label(x, LABELS)}


@simulator(batched=True)
def one_class(x: Array) -> dict[str, Array]:
    """See nothing: all eight modes have one label."""
    return {"label": nearest_label(x, ONE_CLASS)}


@simulator(batched=True)
def eight_classes(x: Array) -> dict[str, Array]:
    """See which of eight modes a point belongs to."""
    return {"label": nearest_label(x, EIGHT_CLASSES)}


def nearest_label(x: Array, labels: Sequence[int] = LABELS) -> Array:
    """Give the labels of the modes nearest to the points x (n, 2), one-hot, shape (n, classes)."""
    distance = np.linalg.norm(x[:, None, :] - MODES, axis=2)
    return np.eye(max(labels) + 1)[np.array(labels)[distance.argmin(axis=1)]]


def posterior(label: int, labels: Sequence[int] = LABELS) -> Mixture:
    """Give the exact posterior of a label, but for the overlap of the modes: those that have it.

    Raises
    ------
    ValueError
        If no mode has the label.
    """
    if label not in labels:
        raise ValueError(f"expected one of the labels {sorted(set(labels))}; got {label}")
    return round_modes(MODES[np.array(labels) == label])


def round_modes(modes: Array) -> Mixture:
    """Give the mixture of round Gaussians at `modes`, shape (K, 2), in equal shares."""
    covariance = SIGMA**2 * np.eye(2)
    components = [st.multivariate_normal(mode, covariance) for mode in modes]
    return Mixture(np.full(len(modes), 1 / len(modes)), components)


problem = Problem(
    four_classes,
    Prior(x=round_modes(MODES)),
    labels={"x": "position", "label": "label, one-hot"},
    source="Ardizzone, Conditional Invertible Generative Models for Supervised Problems "
    "(Heidelberg), sec. 4.2.1",
)
problem_one_class = replace(problem, simulator=one_class)
problem_eight_classes = replace(problem, simulator=eight_classes)
