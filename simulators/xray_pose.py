"""The pose of a head in an X-ray image from the side, and its twin that casts the same shadow.

A head of ellipsoids stands between an X-ray tube, far away, and a detector of 24 x 24 pixels. Five
numbers say how: turned about its long axis, tilted towards the tube, rolled in the plane of the
detector, and shifted along both sides of the detector. Which pose is it?

Parallel rays cannot tell front from back of what they pass. A head is its own mirror image, right
and left; seen from the side this mirror is the plane of the detector. Turned and tilted by as much
the other way, it casts the same shadow: `twin` gives that pose, and the posterior has two modes of
equal mass. A plate of titanium on one side of the skull, in the second problem, breaks the
symmetry, and leaves one.

At rest the face looks along `across`, the top of the head along `up`, and its left side along the
beam. A ray through an ellipsoid has a chord that can be written down, so that the shadow is exact.
Angles are in degrees, lengths in millimetres, absorption per millimetre at some 60 keV.

>>> pose = {"turn": 30.0, "tilt": 5.0, "roll": -10.0, "across": 0.0, "up": 12.0}
>>> one, other = shadow(HEAD, **pose), shadow(HEAD, **twin(pose))
>>> one.shape, float(one.max().round(1)), bool(np.allclose(one, other, atol=1e-12))
((24, 24), 6.9, True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy.stats as st
from scipy.spatial.transform import Rotation

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

SIDE = 24  # pixels
PIXEL = 12.0  # mm
PLACES = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL  # of the pixels, in mm
PHOTONS = 100.0  # that a pixel counts, on average, where nothing is in the way

WATER, BONE, TITANIUM = 0.0206, 0.060, 0.345  # 1 / mm


@dataclass(frozen=True)
class Ellipsoid:
    """A part of the body.

    Attributes
    ----------
    centre : (float, float, float)
        Along `across`, `up` and the beam, in mm.
    axes : (float, float, float)
        Semi-axes along the same, in mm.
    absorption : float
        By how much it absorbs more than what it lies in, in 1 / mm.
    lean : float
        By how much it is rolled about its own centre, in degrees.
    """

    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    absorption: float
    lean: float = 0.0


def pair(part: Ellipsoid) -> tuple[Ellipsoid, Ellipsoid]:
    """Give a part on the left side, and its mirror image on the right."""
    across, up, left = part.centre
    return part, replace(part, centre=(across, up, -left))


HEAD = (
    Ellipsoid((0, 20, 0), (96, 86, 74), WATER),
    Ellipsoid((0, 20, 0), (90, 80, 68), BONE - WATER),  # the skull, and the brain within
    Ellipsoid((0, 20, 0), (83, 73, 61), WATER - BONE),
    Ellipsoid((48, -45, 0), (48, 58, 50), WATER),  # the face
    Ellipsoid((88, -18, 0), (18, 16, 12), WATER, 30),  # the nose
    Ellipsoid((-22, -100, 0), (46, 80, 50), WATER),  # the neck
    Ellipsoid((-34, -100, 0), (15, 80, 17), BONE - WATER),
    Ellipsoid((78, -72, 0), (14, 13, 24), BONE - WATER),  # the chin
    *pair(Ellipsoid((40, -62, 38), (42, 12, 8), BONE - WATER, -20)),  # the jaw
    *pair(Ellipsoid((-4, -18, 44), (14, 12, 24), BONE - WATER)),  # the inner ears
    *pair(Ellipsoid((70, -2, 30), (18, 15, 16), -WATER)),  # the sinuses, full of air
    Ellipsoid((62, -32, 0), (22, 14, 14), -WATER),  # the nasal cavity
)
PLATE = Ellipsoid((20, 62, 56), (22, 16, 4), TITANIUM)
HEAD_WITH_PLATE = (*HEAD, PLATE)


def shadow(
    body: Sequence[Ellipsoid], turn: Array, tilt: Array, roll: Array, across: Array, up: Array
) -> Array:
    """Sum up the absorption along the ray of each pixel, exactly, shape (..., 24, 24).

    The poses are numbers or arrays of one shape; the first row of an image is its top.
    """
    pose = np.stack(np.broadcast_arrays(turn, tilt, roll, across, up), axis=-1)
    turned, shift = rotation(pose[..., :3]), pose[..., 3:]
    total = np.zeros((*pose.shape[:-1], SIDE, SIDE))
    for part in body:
        # Seen along the beam an ellipsoid is an ellipse, x^T S^-1 x = 1, where S is the upper left
        # of axes axes^T; chords shrink from the centre as those of a sphere do.
        axes = turned @ rotation([0.0, 0.0, part.lean]) * part.axes
        ellipse = axes[..., :2, :] @ np.swapaxes(axes[..., :2, :], -1, -2)
        squared_area = np.linalg.det(ellipse)[..., None, None]
        centre = (turned @ part.centre)[..., :2] + shift
        x = PLACES - centre[..., 0, None, None]
        y = PLACES[::-1, None] - centre[..., 1, None, None]
        xx, xy, yy = (ellipse[..., i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
        within = 1 - (yy * x * x - 2 * xy * x * y + xx * y * y) / squared_area
        longest = 2 * np.prod(part.axes) / np.sqrt(squared_area)
        total += part.absorption * longest * np.sqrt(np.maximum(within, 0))
    return total


def rotation(angles: npt.ArrayLike) -> Array:
    """Turn about `up`, then tilt about `across`, then roll about the beam, shape (..., 3, 3).

    Angles (turn, tilt, roll) in degrees, shape (..., 3).
    """
    angles = np.asarray(angles, float)
    turned = Rotation.from_euler("ZXY", angles.reshape(-1, 3)[:, ::-1], degrees=True)
    return turned.as_matrix().reshape(*angles.shape[:-1], 3, 3)


def twin(pose: Mapping[str, Array]) -> dict[str, Array]:
    """Give the pose from which a body that is its own mirror image casts the same shadow."""
    return {**pose, "turn": -pose["turn"], "tilt": -pose["tilt"]}


def exposed(absorbed: Array, rng: np.random.Generator) -> Array:
    """Count photons, and give minus the log of the share that has come through.

    Half a photon is added, so that no pixel is infinitely dark.
    """
    counts = rng.poisson(PHOTONS * np.exp(-absorbed))
    return -np.log((counts + 0.5) / PHOTONS)


def pose_of(body: Sequence[Ellipsoid]) -> Problem:
    """Ask for the pose of a body in a noisy X-ray image from the side.

    >>> pose_of([Ellipsoid((0, 0, 0), (50, 80, 60), WATER)]).prior.names
    ('turn', 'tilt', 'roll', 'across', 'up')
    """

    @simulator(batched=True, images=["xray"])
    def xray(
        turn: Array, tilt: Array, roll: Array, across: Array, up: Array, rng: np.random.Generator
    ) -> dict[str, Array]:
        return {"xray": exposed(shadow(body, turn, tilt, roll, across, up), rng)}

    return Problem(
        xray,
        Prior(
            turn=st.uniform(-60, 120),  # no angle comes round to where it began
            tilt=st.uniform(-20, 40),
            roll=st.uniform(-20, 40),
            across=st.uniform(-20, 40),
            up=st.uniform(-20, 40),
        ),
        units={"turn": "deg", "tilt": "deg", "roll": "deg", "across": "mm", "up": "mm"},
        labels={"across": "shift across", "up": "shift up", "xray": "absorption"},
        source="Trofimova et al., Representing Ambiguity in Registration Problems with "
        "Conditional Invertible Neural Networks (2020)",
    )


problem = pose_of(HEAD)
problem_asymmetric = pose_of(HEAD_WITH_PLATE)
