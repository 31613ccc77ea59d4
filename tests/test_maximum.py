"""The top of a density."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.maximum import climb


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
