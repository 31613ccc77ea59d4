"""The parts of the Gaussian start of fields, one by one."""

import numpy as np
import pytest

from sbi_inn.methods.fields.forward import pixel_maps
from sbi_inn.methods.fields.noise_level import NoiseLevel
from sbi_inn.methods.fields.slopes import Rows, dense, filled, left_over, local, stationary
from sbi_inn.methods.fields.windows import windows
from sbi_inn.observation.batch import Observations

N, SIDES = 2_000, (8, 8)
FOLDS = np.arange(1_600), np.arange(1_600, N)


def rows(slopes, noise=0.1, seed=1):
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((N, 64)).astype(np.float32)
    observed = fields @ slopes.T + noise * rng.standard_normal((N, len(slopes)))
    return Rows(fields, observed.astype(np.float32), *FOLDS)


def kernel():
    """Each pixel with its right neighbour, on a torus."""
    found = np.eye(64).reshape(64, *SIDES)
    return (found + 0.5 * np.roll(found, 1, 2)).reshape(64, 64)


def test_windows_end_at_the_sides_or_go_round():
    round_about = windows(SIDES, 1, circular=True)
    assert round_about.shape == (64, 9)
    assert sorted(round_about[0]) == [0, 1, 7, 8, 9, 15, 56, 57, 63]
    assert (windows(SIDES, 1, circular=False)[0] == -1).sum() == 5
    assert windows((8,), 2, circular=False)[3].tolist() == [1, 2, 3, 4, 5]


def test_a_stationary_kernel_is_found():
    part = rows(kernel())
    found = stationary(part, SIDES, np.arange(64), circular=True)
    assert np.abs(found - kernel()).max() < 0.01


def test_what_a_pixel_sees_otherwise_is_added():
    slopes = kernel()
    slopes[5, 5] = 3.0
    part = rows(slopes)
    found = stationary(part, SIDES, np.arange(64), circular=True)
    found = found + local(part.less(found), SIDES, np.arange(64), circular=True)
    assert np.abs(found - slopes).max() < 0.05


def test_dense_slopes_with_and_without_gaps():
    slopes = np.random.default_rng(2).standard_normal((5, 64))
    part = rows(slopes)
    whole = dense(part)
    assert np.abs(whole - slopes).max() < 0.03
    gappy = part.observed.copy()
    gappy[np.random.default_rng(3).random(gappy.shape) < 0.3] = np.nan
    found = filled(dense, Rows(part.fields, gappy, *FOLDS))
    assert np.abs(found - slopes).max() < 0.1
    assert left_over(part, found) < left_over(part, 0 * found) - 5


def test_pixels_of_channels_first_and_last():
    (plain,) = pixel_maps(SIDES, SIDES)
    assert plain.tolist() == list(range(64))
    for shape in ((2, *SIDES), (*SIDES, 2)):
        first, second = (one.reshape(shape) for one in pixel_maps(shape, SIDES))
        assert (first >= 0).sum() == (second >= 0).sum() == 64
        assert not ((first >= 0) & (second >= 0)).any()
        channel = np.take(second, 1, axis=0 if shape[0] == 2 else 2)
        assert channel.ravel().tolist() == list(range(64))
    assert pixel_maps((7, 8), SIDES) == []
    assert pixel_maps((), (4,)) == []


@pytest.mark.parametrize("log", [False, True])
def test_the_noise_follows_what_is_given(log):
    rng = np.random.default_rng(1)
    error = rng.uniform(0.05, 0.5, N)
    sd = error if log else np.sqrt(0.1 + error)
    base = np.array([1.0, 2.0, 5.0])
    left = sd[:, None] * base * rng.standard_normal((N, 3))
    observations = Observations(np.hstack([left, error[:, None]]), {}, 1)
    level = NoiseLevel.fit(left, observations, FOLDS)
    expected = 2 * np.log(sd[:, None] * base)
    assert np.abs(level(observations) - expected).mean() < 0.05


def test_noise_without_givens_is_its_variance():
    rng = np.random.default_rng(1)
    left = np.array([0.1, 10.0]) * rng.standard_normal((N, 2))
    left[rng.random(left.shape) < 0.2] = np.nan
    observations = Observations(left, {})
    found = NoiseLevel.fit(left, observations, FOLDS)(observations)
    assert np.allclose(found, 2 * np.log([0.1, 10.0]), atol=0.1)
