"""How much narrower a posterior could be, against linear Gaussian studies."""

import numpy as np
import pytest

from sbi_inn.diagnostics.attainable import attainable

N = 2_000
MIX = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])


def study(times, seed=1):
    """Draw from N(0, times^2 C), where C is the exact posterior's covariance, and simulate."""
    rng = np.random.default_rng(seed)
    exact = np.linalg.inv(MIX.T @ MIX + np.eye(2) / 9)
    draws = times * rng.multivariate_normal(np.zeros(2), exact, N)
    data = draws @ MIX.T + rng.normal(size=(N, 3))
    return draws, data, 3 * rng.normal(size=(N, 2))


@pytest.mark.parametrize("times", [1.0, 1.5, 3.0, 20.0])
def test_a_posterior_that_is_too_wide(times):
    # A covariance of 2,000 rows is known within 3 %; its difference from another one, within 10 %.
    assert attainable(*study(times)) == pytest.approx([times, times], rel=0.1)


def test_far_draws_hide_nothing():
    draws, data, prior = study(5.0)
    rng = np.random.default_rng(4)
    far = rng.random(N) < 0.005
    draws[far] = prior[far]  # the tail of a posterior: a few draws are those of the prior,
    data[far] = rng.normal(0, 1e3, (far.sum(), 3))  # and what they give is anything
    found = attainable(draws, data, prior)
    assert ((found > 3) & (found < 5.5)).all()  # a lower bound of 5


def test_what_follows_from_parameters_does_not_blur_them():
    rng = np.random.default_rng(5)
    prior = np.column_stack([100 * rng.normal(size=N), 50 * rng.normal(size=(N, 2))])
    exact = np.array([1.0, 0.7, 0.7])
    draws = [0, 52, -20] + [5, 1, 1] * exact * rng.normal(size=(N, 3))  # one of three too wide
    data = draws + exact * rng.normal(size=(N, 3))
    with_length = (np.column_stack([x, np.hypot(*x.T[1:])]) for x in (draws, prior))
    draws, prior = with_length
    assert attainable(draws, data, prior) == pytest.approx([5, 1, 1, 1], rel=0.15)


def test_one_that_is_too_narrow_is_not_said_to_be_too_wide():
    assert attainable(*study(0.5)) == pytest.approx([1, 1], abs=0.1)


def test_data_that_say_nothing():
    draws, data, prior = study(1.0)
    assert attainable(draws, np.random.default_rng(2).permutation(data), prior) == pytest.approx(
        [1, 1], abs=0.02
    )


def test_more_columns_than_rows_constant_ones_and_failures():
    draws, data, prior = study(3.0)
    noise = np.random.default_rng(3).normal(size=(N, 600))
    wide = attainable(draws[:400], np.hstack([data, noise])[:400], prior)
    assert (wide >= 1).all()
    data = np.hstack([data, np.ones((N, 2))])
    data[::7] = np.nan
    assert attainable(draws, data, prior) == pytest.approx([3, 3], rel=0.1)
    assert attainable(draws[:8], np.full((8, 2), np.nan), prior).tolist() == [1, 1]
