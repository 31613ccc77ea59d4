"""How well discrete parameters are known, against laws that can be written down."""

import numpy as np
import pytest

from sbi_inn.diagnostics.whole_numbers import likeliest, narrower

RNG = np.random.default_rng(3)
UP_TO_20 = RNG.integers(0, 20, 100_000).astype(float)


def test_one_value_of_many():
    assert narrower(np.full(1_000, 7.0), UP_TO_20) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("step", [1, 10])
def test_one_of_two_values_is_twice_as_well_known(step):
    even = step * np.array([0.0, 1.0] * 500)
    likely = step * np.array([1.0] * 96 + [0.0] * 4)
    assert narrower(even, even) == 1
    assert narrower(np.full(9, float(step)), even) == pytest.approx(2)
    assert narrower(likely, even) == pytest.approx(2 * 0.96)


def test_quantiles_that_coincide():
    # Nine tenths at 0, and a tail: all of the 68 % interval lies in the share of 0.
    draws = np.where(np.arange(1_000) < 950, 0.0, np.arange(1_000) - 949.0)
    assert narrower(draws, UP_TO_20) == pytest.approx(20 * 0.95, rel=0.01)


def test_many_values_are_like_those_of_a_continuous_parameter():
    draws, prior = RNG.normal(1e6, 300, 4_000), RNG.normal(1e6, 1_500, 4_000)
    widths = [np.subtract(*np.quantile(x, [0.84, 0.16])) for x in (prior, draws)]
    found = narrower(np.rint(draws), np.rint(prior))
    assert found == pytest.approx(widths[0] / widths[1], rel=0.005)


def test_nothing_learned():
    assert narrower(UP_TO_20[:1_000], UP_TO_20) == pytest.approx(1, abs=0.1)  # 3 sd


def test_the_likeliest_of_few_values():
    prior = RNG.integers(0, 4, 10_000)
    found = likeliest(RNG.integers(0, 4, 1_000), prior)  # nothing learned, but still few
    assert found is not None
    assert found.probability == pytest.approx(0.25, abs=0.06)
    assert likeliest(UP_TO_20[:1_000], UP_TO_20) is None
    sharp = likeliest(np.repeat([3, 4, 5], [20, 70, 10]), UP_TO_20)
    assert sharp is not None
    assert (sharp.value, sharp.probability) == (4, 0.7)
    assert sharp.before == np.mean(UP_TO_20 == 4)
