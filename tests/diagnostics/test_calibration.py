"""Ranks, coverage and calibration errors against exact posteriors and planted errors."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.calibration import (
    LEVELS,
    calibration_error,
    calibration_floor,
    coverage,
    ranks,
)
from sbi_inn.errors import ShapeError

N, M, D = 2_000, 100, 3


def gaussian_study(rng, *, shift=0.0, scale=1.0, m=M):
    """Return truths and draws: theta ~ N(0, 1), y ~ N(theta, 1), posterior N(y / 2, 1 / 2)."""
    truth = rng.normal(size=(N, D))
    y = truth + rng.normal(size=(N, D))
    sd = np.sqrt(0.5)
    return truth, (y / 2 + shift * sd)[:, None] + scale * sd * rng.normal(size=(N, m, D))


def test_ranks_count_draws_below_and_halve_ties():
    truth = [[2.0, 0.0]]
    draws = [[[1.0, 1.0], [2.0, 1.0], [2.0, 1.0], [3.0, 1.0]]]
    np.testing.assert_array_equal(ranks(truth, draws), [[0.5, 0.0]])


def test_ranks_of_an_exact_posterior_are_uniform_however_few_the_draws():
    rng = np.random.default_rng(0)
    found = ranks(*gaussian_study(rng, m=5), rng)
    for column in found.T:
        assert st.kstest(column, "uniform").pvalue > 0.001


def test_ranks_of_a_discrete_posterior_are_uniform_with_rng_only():
    rng = np.random.default_rng(1)
    rates = rng.uniform(0.2, 1, size=(5_000, 1))  # mostly ties
    truth = rng.poisson(rates).astype(float)
    draws = rng.poisson(rates[:, None], size=(5_000, 50, 1)).astype(float)
    assert st.kstest(ranks(truth, draws, rng)[:, 0], "uniform").pvalue > 0.001
    assert st.kstest(ranks(truth, draws)[:, 0], "uniform").pvalue < 1e-6


@pytest.mark.parametrize(
    ("truth", "draws", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 5, 4)), r"got \(2, 3\) and \(2, 5, 4\)"),
        (np.zeros(2), np.zeros((2, 5, 1)), r"got \(2,\)"),
        (np.zeros((2, 1)), np.zeros((2, 0, 1)), "m > 0"),
        (np.full((1, 1), np.nan), np.zeros((1, 5, 1)), "1 NaN in truth"),
    ],
)
def test_ranks_say_what_does_not_fit(truth, draws, message):
    with pytest.raises(ShapeError, match=message):
        ranks(truth, draws)


def test_coverage_counts_truths_on_the_edge_whatever_the_rounding():
    m = 1_000
    every_rank = np.arange(m + 1)[:, None] / m
    inside = np.round(LEVELS * m) + 1  # ranks from (1 - level) m / 2 to (1 + level) m / 2
    expected = inside - (np.round(LEVELS * m) % 2)  # an odd number has no rank at its ends
    np.testing.assert_allclose(coverage(every_rank)[:, 0], expected / (m + 1), rtol=1e-12)


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_coverage_of_gaussians_agrees_with_theory(scale):
    rng = np.random.default_rng(3)
    found = coverage(ranks(*gaussian_study(rng, scale=scale, m=400), rng), [0.5, 0.9])
    expected = 1 - 2 * st.norm.sf(scale * st.norm.ppf([0.75, 0.95]))
    error = np.sqrt(expected * (1 - expected) / N)
    assert np.all(np.abs(found - expected[:, None]) < 4 * error[:, None] + 0.004)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros(5), r"got \(5,\)"),
        (np.zeros((0, 2)), "not be empty"),
        (np.full((5, 1), 1.5), "1.5"),
        (np.full((5, 1), np.nan), "nan"),
    ],
)
def test_coverage_refuses_what_is_no_rank(wrong, message):
    with pytest.raises(ShapeError, match=message):
        coverage(wrong)


def test_calibration_error_of_a_known_distortion():
    # Ranks u^2 spread evenly: P(|r - 1/2| <= a / 2) = sqrt((1 + a) / 2) - sqrt((1 - a) / 2).
    u = (np.arange(100_000) + 0.5) / 100_000
    distance = np.abs(np.sqrt((1 + LEVELS) / 2) - np.sqrt((1 - LEVELS) / 2) - LEVELS)
    error = calibration_error(np.stack([u**2, u], axis=1))
    assert error.per_parameter[0] == pytest.approx(np.median(distance), abs=1e-4)
    assert error.per_parameter[1] == pytest.approx(0, abs=1e-4)
    pooled = np.median(np.concatenate([distance, np.zeros(99)]))
    assert error.pooled == pytest.approx(pooled, abs=1e-4)


@pytest.mark.parametrize("planted", [{"scale": 0.8}, {"scale": 1.25}, {"shift": 0.5}])
def test_planted_errors_stand_out_of_the_noise(planted):
    rng = np.random.default_rng(4)
    limit = calibration_floor(N, D, (0.999,), rng=rng).pooled[0]
    assert calibration_error(ranks(*gaussian_study(rng), rng)).pooled < limit
    assert calibration_error(ranks(*gaussian_study(rng, **planted), rng)).pooled > limit


@pytest.mark.parametrize(
    ("n", "median", "high", "worst"),
    [(5_000, 0.0036, (0.0048, 0.0056), 0.0107), (1_000, 0.008, (0.011, 0.014), None)],
)
def test_floor_of_an_exact_posterior(n, median, high, worst):
    floor = calibration_floor(n, 4, rng=np.random.default_rng(5))
    assert floor.pooled[0] == pytest.approx(median, rel=0.04)
    assert high[0] <= floor.pooled[1] <= high[1]
    if worst is not None:
        assert floor.worst[1] == pytest.approx(worst, rel=0.06)


def test_floor_agrees_with_uniform_ranks():
    rng = np.random.default_rng(6)
    found = [calibration_error(rng.random((500, 2))).pooled for _ in range(400)]
    floor = calibration_floor(500, 2, (0.25, 0.5, 0.75), rng=rng)
    # sd of a quantile of 400 errors, whose density is about 0.5 / (interquartile range)
    spread = floor.pooled[2] - floor.pooled[0]
    np.testing.assert_allclose(
        np.quantile(found, [0.25, 0.5, 0.75]), floor.pooled, atol=4 * spread / np.sqrt(400)
    )
