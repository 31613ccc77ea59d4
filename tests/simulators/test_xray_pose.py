"""A head in an X-ray image: shadows against a march along the rays, and poses that look alike."""

import numpy as np
import pytest
import scipy.stats as st
from sbi_inn.simulators import xray_pose as xray
from scipy.spatial.transform import Rotation

from sbi_inn.simulation.registry import get

POSE = {"turn": 35.0, "tilt": -12.0, "roll": 8.0, "across": 6.0, "up": -9.0}
BODIES = {"symmetric": xray.HEAD, "asymmetric": xray.HEAD_WITH_PLATE}
both = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)


def poses(n, seed=1):
    return get("xray_pose").prior.sample(n, np.random.default_rng(seed))


def marched(body, pose, step=0.05):
    """Shadow of one pose, by many steps along each ray: which parts is a point inside of?"""
    depth = np.arange(-150 + step / 2, 150, step)
    # Columns of the inverse take points of the detector's frame back to where the body is at rest.
    back = Rotation.from_euler(
        "ZXY", [pose["roll"], pose["tilt"], pose["turn"]], degrees=True
    ).inv()
    image = np.zeros((xray.SIDE, xray.SIDE))
    for row in range(xray.SIDE):
        for column in range(xray.SIDE):
            across = (column - (xray.SIDE - 1) / 2) * xray.PIXEL - pose["across"]
            up = ((xray.SIDE - 1) / 2 - row) * xray.PIXEL - pose["up"]
            points = np.column_stack([np.full_like(depth, across), np.full_like(depth, up), depth])
            points = back.apply(points)
            for part in body:
                away = points - part.centre
                away = Rotation.from_euler("Z", part.lean, degrees=True).inv().apply(away)
                inside = ((away / part.axes) ** 2).sum(axis=1) <= 1
                image[row, column] += part.absorption * step * inside.sum()
    return image


@both
def test_a_shadow_against_a_march_along_the_rays(body):
    exact, found = xray.shadow(body, **POSE), marched(body, POSE)
    # A chord of n steps is off by less than one at either end, for every part that a ray meets.
    bound = sum(abs(part.absorption) for part in body) * 2 * 0.05
    assert exact.max() > 3
    assert np.abs(exact - found).max() < bound


def test_the_chords_of_a_sphere():
    sphere = xray.Ellipsoid((0, 0, 0), (50, 50, 50), 0.01)
    found = xray.shadow([sphere], **{**POSE, "across": 0.0, "up": 0.0})
    off = np.hypot(xray.PLACES, xray.PLACES[:, None])
    expected = 0.01 * 2 * np.sqrt(np.maximum(50**2 - off**2, 0))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@both
def test_many_poses_are_each_of_them(body):
    many = poses(7)
    together = xray.shadow(body, **many)
    assert together.shape == (7, 24, 24)
    for i, image in enumerate(together):
        alone = xray.shadow(body, **{name: values[i] for name, values in many.items()})
        np.testing.assert_allclose(image, alone, rtol=0, atol=1e-12)


@both
def test_a_shift_by_pixels_shifts_the_image(body):
    pose = {**POSE, "across": 0.0, "up": 0.0}
    image = xray.shadow(body, **pose)
    moved = xray.shadow(body, **{**pose, "across": 2 * xray.PIXEL, "up": -xray.PIXEL})
    np.testing.assert_allclose(moved[1:, 2:], image[:-1, :-2], rtol=0, atol=1e-12)
    upwards = xray.shadow(body, **{**pose, "up": xray.PIXEL})
    np.testing.assert_allclose(upwards[:-1], image[1:], rtol=0, atol=1e-12)


def test_a_roll_by_a_right_angle_rolls_the_image():
    pose = {**POSE, "across": 0.0, "up": 0.0, "roll": 0.0}
    image, rolled = (xray.shadow(xray.HEAD, **{**pose, "roll": r}) for r in (0.0, 90.0))
    np.testing.assert_allclose(rolled, np.rot90(image), rtol=0, atol=1e-12)


def test_the_twin_casts_the_same_shadow():
    many = poses(200)
    shadows = xray.shadow(xray.HEAD, **many)
    np.testing.assert_allclose(xray.shadow(xray.HEAD, **xray.twin(many)), shadows, atol=1e-11)
    again = xray.twin(xray.twin(many))
    assert all(np.array_equal(again[name], many[name]) for name in many)


def test_no_other_change_of_signs_does():
    """Neither a turn alone, nor a tilt alone, nor the roll: the twin is one pose."""
    many = poses(200)
    shadows = xray.shadow(xray.HEAD, **many)
    for names in (("turn",), ("tilt",), ("roll",), ("turn", "tilt", "roll")):
        other = {**many, **{name: -many[name] for name in names}}
        gap = np.abs(xray.shadow(xray.HEAD, **other) - shadows).max(axis=(1, 2))
        assert np.median(gap) > 0.5


def test_a_plate_tells_the_twins_apart():
    """By far more than the noise, wherever the plate does not lie on the mirror of the other."""
    many = poses(500)
    one, other = (
        xray.PHOTONS * np.exp(-xray.shadow(xray.HEAD_WITH_PLATE, **pose))
        for pose in (many, xray.twin(many))
    )
    # The mean log of the likelihood ratio of two Poisson images, in nats.
    apart = (one * np.log(one / other) - one + other).sum(axis=(1, 2))
    turned = np.abs(many["turn"]) > 10
    assert np.median(apart) > 30
    assert (apart[turned] > 10).all()


def test_every_prior_draw_has_its_twin_in_the_prior_and_casts_a_whole_shadow():
    prior = get("xray_pose").prior
    many = poses(2_000)
    assert np.array_equal(prior.log_prob(xray.twin(many)), prior.log_prob(many))
    shadows = xray.shadow(xray.HEAD, **many)
    assert not shadows[:, 0].any()  # above the head
    assert not shadows[:, :, [0, -1]].any()  # before the face and behind the head


def test_the_noise_is_that_of_counted_photons():
    absorbed = np.array([0.0, 1.0, 4.0])
    seen = xray.exposed(np.tile(absorbed, (50_000, 1)), np.random.default_rng(1))
    counts = xray.PHOTONS * np.exp(-seen) - 0.5
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    expected = st.poisson(xray.PHOTONS * np.exp(-absorbed))
    error = expected.std() / 50_000**0.5
    assert (np.abs(counts.mean(axis=0) - expected.mean()) < 4 * error).all()
    spread = counts.std(axis=0) / expected.std()
    assert (np.abs(spread - 1) < 4 / 100_000**0.5 + 0.005).all()
    assert np.isfinite(xray.exposed(np.array([50.0]), np.random.default_rng(1))).all()


def test_the_two_problems_are_the_same_but_for_the_plate():
    one, other = get("xray_pose"), get("xray_pose_asymmetric")
    assert one.prior == other.prior
    assert (one.labels, one.units, one.source) == (other.labels, other.units, other.source)
    without = xray.shadow(xray.HEAD, **POSE)
    plate = xray.shadow([xray.PLATE], **POSE)
    np.testing.assert_allclose(xray.shadow(xray.HEAD_WITH_PLATE, **POSE), without + plate)
    assert 1 < plate.max() < 10
