"""The top of a density."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.mode_search import climb, mean_shift
from sbi_inn.errors import ShapeError


def climbed(distribution, n=4096, seed=0, height=None):
    rng = np.random.default_rng(seed)
    start = distribution.rvs(size=n, random_state=rng).reshape(n, -1)
    return climb(height or distribution.logpdf, start, rng)


@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_mode_of_a_normal(dim, scale):
    mean = scale * np.linspace(-3, 4, dim)
    normal = st.multivariate_normal(mean, scale**2 * np.eye(dim))
    found = climbed(normal, height=lambda x: normal.logpdf(x).reshape(len(x)))
    assert found.shape == (dim,)
    # To a thousandth of a standard deviation in every direction.
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-3 * scale)


def test_dimensions_of_different_units():
    sd = np.array([1e-5, 1.0, 1e4])
    rng = np.random.default_rng(0)
    start = rng.normal([1, 2, 3], sd, (4096, 3))
    found = climb(lambda x: st.norm([1, 2, 3], sd).logpdf(x).sum(axis=1), start, rng)
    assert (np.abs(found - [1, 2, 3]) < 1e-3 * sd).all()


def test_a_correlated_density():
    normal = st.multivariate_normal([1.0, -1.0], [[1.0, 0.95], [0.95, 1.0]])
    np.testing.assert_allclose(climbed(normal), [1, -1], rtol=0, atol=0.01)


def test_a_mode_far_from_the_mean():
    gamma = st.gamma(1.5)  # mean 1.5, mode 0.5
    found = climbed(gamma, height=lambda x: gamma.logpdf(x[:, 0]))
    np.testing.assert_allclose(found, [0.5], rtol=0, atol=1e-3)


def test_the_higher_of_two_modes():
    rng = np.random.default_rng(0)
    start = np.concatenate([rng.normal(-5, 1, (700, 1)), rng.normal(5, 0.1, (300, 1))])

    def height(x):
        low, high = (st.norm(m, s).logpdf(x[:, 0]) for m, s in ((-5, 1), (5, 0.1)))
        return np.logaddexp(np.log(0.7) + low, np.log(0.3) + high)

    np.testing.assert_allclose(climb(height, start, rng), [5], rtol=0, atol=1e-3)


def test_outside_the_support_is_never_the_top():
    # Highest at its very edge, with nothing beyond.
    found = climbed(st.expon(), height=lambda x: st.expon.logpdf(x[:, 0]))
    assert 0 <= found[0] < 1e-3


def test_the_generator_decides():
    normal = st.multivariate_normal([0.0, 0.0])
    assert np.array_equal(climbed(normal, seed=1), climbed(normal, seed=1))
    assert not np.array_equal(climbed(normal, seed=1), climbed(normal, seed=2))


def test_the_start_is_left_alone_and_never_lost():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(10, 2))
    before = start.copy()

    def height(x):
        return -np.abs(x).sum(axis=1)

    found = climb(height, start, rng)
    assert np.array_equal(start, before)
    assert height(found[None])[0] >= height(start).max()


def test_one_starting_point_is_returned_when_there_is_no_spread():
    start = np.array([[1.0, 2.0]])
    found = climb(lambda x: np.zeros(len(x)), start, np.random.default_rng(0))
    assert np.array_equal(found, start[0])


def shifted(draws, seed=0):
    return mean_shift(draws, np.random.default_rng(seed))


def test_mean_shift_finds_the_mean_of_a_normal_without_bias():
    rng = np.random.default_rng(0)
    mean, sd, runs = np.array([-3.0, 4e3]), np.array([1e-4, 1e3]), 20
    errors = np.array([shifted(rng.normal(mean, sd, (1000, 2))) - mean for _ in range(runs)]) / sd
    scatter = errors.std(axis=0)
    assert (scatter < 0.2).all()
    assert (np.abs(errors.mean(axis=0)) < 4 * scatter / np.sqrt(runs)).all()


@pytest.mark.parametrize("dim", [1, 4, 12])
def test_mean_shift_loses_little_height_on_a_normal(dim):
    draws = np.random.default_rng(1).normal(size=(4096, dim))
    assert 0.5 * (shifted(draws) ** 2).sum() < 0.1  # nats below the top


def test_mean_shift_of_a_correlated_normal():
    covariance = 0.05 * np.eye(4) + 0.95
    draws = np.random.default_rng(2).multivariate_normal(np.arange(4.0), covariance, 4096)
    gap = shifted(draws) - np.arange(4.0)
    assert 0.5 * gap @ np.linalg.solve(covariance, gap) < 0.2


def test_mean_shift_finds_a_mode_far_from_the_mean():
    draws = np.random.default_rng(3).gamma(3.0, size=(4096, 1))  # mean 3, mode 2
    np.testing.assert_allclose(shifted(draws), [2], rtol=0, atol=0.35)


@pytest.mark.parametrize("dim", [1, 3])
def test_mean_shift_takes_the_taller_of_two_modes(dim):
    rng = np.random.default_rng(4)
    # Fewer draws, but narrower: the taller by more than (2 / 3) / .3.
    low, tall = rng.normal(0, 1, (2400, dim)), rng.normal(4, 0.3, (1600, dim))
    found = shifted(np.concatenate([low, tall]))
    np.testing.assert_allclose(found, np.full(dim, 4.0), rtol=0, atol=0.15)


def test_mean_shift_does_not_smear_narrow_modes_into_one():
    rng = np.random.default_rng(5)
    angle = rng.choice(8, 4096, p=[0.2, *[0.8 / 7] * 7]) * np.pi / 4
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = shifted(ring + rng.normal(0, 0.05, ring.shape))
    np.testing.assert_allclose(found, [1, 0], rtol=0, atol=0.025)


def test_mean_shift_compares_the_modes_that_its_starts_reach():
    # Of so few draws some groups of starts hold the lower mode only.
    rng = np.random.default_rng(10)
    draws = np.concatenate([rng.normal(0, 1, (28, 1)), rng.normal(20, 1, (36, 1))])
    np.testing.assert_allclose(shifted(draws), [20], rtol=0, atol=1)


def test_mean_shift_is_not_led_astray_by_outliers():
    rng = np.random.default_rng(6)
    draws = rng.choice([-1.0, 1.0], (2000, 1), p=[0.3, 0.7]) + rng.normal(0, 0.1, (2000, 3))
    draws[:40] *= 1e3
    np.testing.assert_allclose(shifted(draws), np.ones(3), rtol=0, atol=0.05)


def test_mean_shift_passes_constant_columns_through():
    draws = np.random.default_rng(7).normal(size=(500, 3))
    without = shifted(draws[:, [0, 2]])
    draws[:, 1] = 0.1
    found = shifted(draws)
    assert found[1] == 0.1
    np.testing.assert_array_equal(found[[0, 2]], without)
    np.testing.assert_array_equal(shifted(np.full((5, 2), 3.0)), [3, 3])


def test_mean_shift_scales_with_the_units_and_leaves_the_draws_alone():
    draws = np.random.default_rng(8).normal(size=(300, 2))
    before, units = draws.copy(), np.array([2.0**-30, 1024.0])
    np.testing.assert_allclose(shifted(draws * units), units * shifted(draws), rtol=1e-9)
    np.testing.assert_array_equal(draws, before)


def test_mean_shift_of_mostly_tied_draws():
    draws = np.zeros((100, 1))
    draws[:20, 0] = np.linspace(1, 2, 20)
    np.testing.assert_allclose(shifted(draws), [0], rtol=0, atol=0.1)


@pytest.mark.slow
def test_mean_shift_of_many_draws_uses_a_random_choice():
    draws = np.random.default_rng(9).normal(size=(20_000, 1))
    assert np.array_equal(shifted(draws), shifted(draws))
    assert not np.array_equal(shifted(draws), shifted(draws, seed=1))
    np.testing.assert_allclose(shifted(draws), [0], rtol=0, atol=0.3)


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (np.zeros(5), r"\(5,\)"),
        (np.zeros((0, 2)), r"m > 0.*\(0, 2\)"),
        (np.array([[0.0], [np.nan]]), "1 not finite"),
    ],
)
def test_mean_shift_says_what_does_not_fit(draws, message):
    with pytest.raises(ShapeError, match=message):
        shifted(draws)
