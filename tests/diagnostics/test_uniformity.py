"""Bands and p-values against simulation and against small cases counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics import uniformity
from sbi_inn.diagnostics.calibration import LEVELS, ranks
from sbi_inn.diagnostics.uniformity import (
    shift_and_width,
    simultaneous_band,
    uniformity_p_value,
)
from sbi_inn.errors import ShapeError


def shares_of_uniform_ranks(rng, n, repetitions, levels=LEVELS):
    """Return the distribution functions (repetitions, k) of n uniform ranks."""
    cells = np.diff(levels, prepend=0.0, append=1.0)
    return np.cumsum(rng.multinomial(n, cells, size=repetitions), axis=1)[:, :-1] / n


@pytest.mark.parametrize("n", [200, 1_000])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_band_holds_whole_curves_as_often_as_it_says(n, confidence):
    low, high = simultaneous_band(n, LEVELS, confidence)
    shares = shares_of_uniform_ranks(np.random.default_rng(0), n, 40_000)
    held = np.mean(np.all((shares >= low) & (shares <= high), axis=1))
    error = np.sqrt(confidence * (1 - confidence) / 40_000)
    # Counts are whole numbers: the next narrower band would hold too few.
    assert confidence - 4 * error < held < confidence + 4 * error + 0.0005


def pointwise_band(n, levels, confidence=0.95):
    """Band of each level by itself: exact binomial quantiles."""
    tail = (1 - confidence) / 2
    return tuple(st.binom.ppf(q, n, levels) / n for q in (tail, 1 - tail))


def test_band_is_wider_than_pointwise_and_narrower_than_bonferroni():
    low, high = simultaneous_band(1_000)
    width = high - low
    for confidence, sign in ((0.95, 1), (1 - 0.05 / len(LEVELS), -1)):
        one_low, one_high = pointwise_band(1_000, LEVELS, confidence)
        assert np.all(sign * (width - (one_high - one_low)) >= 0)
        assert np.mean(sign * (width - (one_high - one_low))) > 0.003


def test_band_of_one_level_is_the_pointwise_band():
    for n in (20, 500):
        np.testing.assert_array_equal(simultaneous_band(n, [0.3]), pointwise_band(n, [0.3]))


def test_escape_probability_of_two_ranks_by_hand():
    # Inside: 1 of 2 ranks below .5, and 2 of 2 below .8. One each in (0, .5) and (.5, .8).
    found = uniformity._escape_probability(
        2, np.array([0.5, 0.8]), np.array([1, 2]), np.array([1, 2])
    )
    assert found == pytest.approx(1 - 2 * 0.5 * 0.3, rel=1e-12)


@pytest.mark.parametrize("tail", [1e-3, 1e-30])
def test_escape_probability_of_one_level_is_the_binomial_tail(tail):
    low, high = uniformity._counts(300, np.array([0.4]), tail)
    found = uniformity._escape_probability(300, np.array([0.4]), low, high)
    expected = st.binom.cdf(low[0] - 1, 300, 0.4) + st.binom.sf(high[0], 300, 0.4)
    assert found == pytest.approx(expected, rel=1e-9)


def test_levels_need_not_be_even():
    levels = np.array([0.001, 0.01, 0.5, 0.51, 0.9999])
    low, high = simultaneous_band(400, levels, 0.9)
    shares = shares_of_uniform_ranks(np.random.default_rng(1), 400, 20_000, levels)
    held = np.mean(np.all((shares >= low) & (shares <= high), axis=1))
    assert held > 0.9 - 4 * np.sqrt(0.09 / 20_000)


def test_band_is_remembered_and_cannot_be_spoilt():
    low, _ = simultaneous_band(5_000)
    low[:] = 7.0
    hits = uniformity._simultaneous_counts.cache_info().hits
    assert simultaneous_band(5_000)[0].max() < 1
    assert uniformity._simultaneous_counts.cache_info().hits == hits + 1


@pytest.mark.parametrize("levels", [[], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0], [[0.5]], [np.nan]])
def test_levels_that_do_not_increase(levels):
    with pytest.raises(ShapeError, match="increase between 0 and 1"):
        simultaneous_band(100, levels)


def test_band_of_no_ranks():
    with pytest.raises(ShapeError, match="n = 0"):
        simultaneous_band(0)


@pytest.mark.parametrize("n", [50, 1_000])
def test_p_values_of_uniform_ranks_are_uniform(n):
    found = uniformity_p_value(np.random.default_rng(2).random((n, 300)))
    assert st.kstest(found, "uniform").pvalue > 0.01


def test_p_value_agrees_with_the_band():
    rng = np.random.default_rng(3)
    low, high = simultaneous_band(200)
    drawn = rng.random((200, 200)) ** 1.15  # about half of them leave the band
    shares = np.stack([np.mean(drawn <= level, axis=0) for level in LEVELS])
    left = np.any((shares < low[:, None]) | (shares > high[:, None]), axis=0)
    assert 0.2 < left.mean() < 0.8
    np.testing.assert_array_equal(uniformity_p_value(drawn) <= 0.05, left)


def test_p_value_by_hand():
    # All ranks above .9: at the level .9 none of ten below, the rarest count of all.
    found = uniformity_p_value(np.full((10, 1), 0.95), [0.5, 0.9])[0]
    assert found == pytest.approx(0.1**10, rel=1e-9)


def test_p_values_far_in_the_tail_stay_ordered_and_positive():
    even = (np.arange(1_000) + 0.5) / 1_000
    shifts = np.array([0.2, 0.25, 0.3, 0.4, 0.6])
    found = uniformity_p_value(st.norm.cdf(st.norm.ppf(even)[:, None] - shifts))
    assert np.all(np.diff(found) < 0)
    assert 0 < found[-1] < 1e-40
    # A Bonferroni bound from above, the single level from below.
    share = np.mean(st.norm.cdf(st.norm.ppf(even) - 0.3)[:, None] <= LEVELS, axis=0)
    rarest = 2 * np.min(st.binom.sf(np.round(share * 1_000) - 1, 1_000, LEVELS))
    assert rarest < found[2] < 99 * rarest


def gaussian_ranks(rng, *, shift=0.0, scale=1.0, n=1_000, m=100):
    """Return ranks of n truths N(0, 1) among m draws of the posterior N(shift, scale^2)."""
    return ranks(rng.normal(size=(n, 1)), shift + scale * rng.normal(size=(n, m, 1)), rng)


PLANTED = [{"shift": 0.3}, {"shift": -0.3}, {"scale": 0.8}, {"scale": 1.25}]


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_errors_are_found_every_time(planted):
    rng = np.random.default_rng(4)
    found = np.concatenate([gaussian_ranks(rng, **planted) for _ in range(20)], axis=1)
    assert np.all(uniformity_p_value(found) < 0.01)
    assert np.all(shift_and_width(found).p_value < 1e-4)


@pytest.mark.parametrize("planted", [{}, *PLANTED])
def test_shift_and_width_are_those_planted(planted):
    rng = np.random.default_rng(5)
    found = shift_and_width(gaussian_ranks(rng, **planted, n=4_000, m=1_000))
    shift, scale = planted.get("shift", 0.0), planted.get("scale", 1.0)
    assert abs(found.shift[0] - shift) < 4 * found.shift_error[0]
    assert abs(found.width[0] - scale) < 4 * found.width_error[0]
    assert found.shift_error[0] < 0.03
    assert found.width_error[0] < 0.02


def test_standard_errors_are_those_of_repetitions():
    rng = np.random.default_rng(6)
    found = shift_and_width(st.norm.cdf(rng.normal(size=(300, 1_000)) / 0.8))
    # A standard deviation of 1,000 repetitions errs by 2.2 %.
    assert np.std(found.shift) == pytest.approx(np.mean(found.shift_error), rel=0.09)
    assert np.std(found.width) == pytest.approx(np.mean(found.width_error), rel=0.09)


def test_p_value_of_shift_and_width_raises_few_false_alarms():
    found = shift_and_width(np.random.default_rng(7).random((200, 4_000))).p_value
    for alpha in (0.01, 0.05):
        error = np.sqrt(alpha * (1 - alpha) / 4_000)
        assert abs(np.mean(found <= alpha) - (alpha - (alpha / 2) ** 2)) < 4 * error


def test_ranks_at_the_ends_and_equal_ranks_are_no_obstacle():
    found = shift_and_width(np.array([[0.0, 0.5], [1.0, 0.5], [0.5, 0.5]]))
    assert found.shift[0] == pytest.approx(0)
    assert 0 < found.width[0] < 0.2
    assert np.isinf(found.width[1])


def test_no_columns_no_numbers():
    assert uniformity_p_value(np.zeros((5, 0))).shape == (0,)
    assert shift_and_width(np.zeros((5, 0))).shift.shape == (0,)


@pytest.mark.parametrize("function", [uniformity_p_value, shift_and_width])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros(5), r"got \(5,\)"),
        (np.zeros((0, 2)), "n > 0"),
        (np.full((5, 1), 1.5), "1.5"),
        (np.full((5, 1), np.nan), "nan"),
    ],
)
def test_what_is_no_rank(function, wrong, message):
    with pytest.raises(ShapeError, match=message):
        function(wrong)


def test_one_rank_has_no_width():
    with pytest.raises(ShapeError, match="two ranks or more"):
        shift_and_width([[0.5]])
