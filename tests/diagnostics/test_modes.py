"""Modes of draws: two are found, and one is not taken for two."""

import numpy as np
import pytest

from sbi_inn.diagnostics.modes import count_modes

ONE = {
    "uniform": lambda rng, shape: rng.random(shape),
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(2, size=shape),
    "piled up at a bound": lambda rng, shape: rng.beta(0.5, 5, shape),
    "over decades": lambda rng, shape: rng.lognormal(sigma=2, size=shape),
}


@pytest.mark.parametrize("law", ONE.values(), ids=ONE)
@pytest.mark.parametrize("n", [50, 200, 1_000])
def test_one_mode_is_one(law, n):
    draws = np.sort(law(np.random.default_rng(1), (2_000, n)), axis=1)
    # The rate that is stated is 1 in 1,000 at most, for uniform draws: 2 expected, 8 or more have
    # a chance of 1 in 1,000.
    assert (count_modes(draws) > 1).sum() < 8


# Share of the second mode, its distance from the first and its width, in sd of the first.
TWO = [(0.5, 4.0, 1.0), (0.3, 5.0, 1.0), (0.1, 6.0, 1.0), (0.05, 7.0, 1.0), (0.2, 4.0, 0.1)]


@pytest.mark.parametrize(("share", "distance", "width"), TWO)
def test_two_modes_are_two(share, distance, width):
    rng = np.random.default_rng(2)
    second = rng.random((500, 1_000)) < share
    draws = rng.normal(size=second.shape)
    draws[second] = distance + width * draws[second]
    assert (count_modes(np.sort(draws, axis=1)) == 2).mean() > 0.95


def test_five_modes_are_five():
    rng = np.random.default_rng(3)
    draws = rng.integers(5, size=(200, 5_000)) + 0.05 * rng.normal(size=(200, 5_000))
    assert (count_modes(np.sort(draws, axis=1)) == 5).mean() > 0.98


def test_neither_scale_nor_sign_matters():
    rng = np.random.default_rng(4)
    draws = np.sort(np.where(rng.random((50, 1_000)) < 0.4, 5, 0) + rng.normal(size=(50, 1_000)))
    expected = count_modes(draws)
    assert np.array_equal(count_modes(1e-9 * draws + 1.0), expected)
    assert np.array_equal(count_modes(np.sort(-draws)), expected)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_few_draws_show_one(n):
    draws = np.sort(np.random.default_rng(5).normal(size=(30, n)))
    assert (count_modes(draws) == 1).all()


def test_draws_that_are_all_the_same_have_one():
    assert (count_modes(np.full((3, 1_000), 7.0)) == 1).all()


def test_sets_are_judged_one_by_one():
    rng = np.random.default_rng(6)
    draws = np.sort(rng.normal(size=(20, 1_000)) + 6 * (rng.random((20, 1_000)) < 0.5), axis=1)
    assert np.array_equal(count_modes(draws), np.concatenate([count_modes(d[None]) for d in draws]))
