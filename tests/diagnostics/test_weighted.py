"""Weighted draws against importance sampling of Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.calibration import ranks
from sbi_inn.diagnostics.weighted import effective_sample_size, systematic, weighted_ranks
from sbi_inn.errors import ShapeError

N = 4_000


def importance_study(rng, *, width, m, n=N):
    """Return truths N(0, 1), draws from N(0, width^2) and the log weights of both."""
    truth, draws = rng.normal(size=(n, 1)), width * rng.normal(size=(n, m, 1))
    curvature = 1 - width**-2
    return truth, draws, -curvature * draws[..., 0] ** 2 / 2, -curvature * truth[:, 0] ** 2 / 2


def uniform(found):
    return st.kstest(found[:, 0], "uniform").pvalue


def test_effective_sample_size_by_hand():
    weights = np.array([[1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0], [2.0, 1.0, 1.0, 0.0]])
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    np.testing.assert_allclose(effective_sample_size(log_weights), [4, 1, 16 / 6])
    shifted = log_weights + np.array([[5_000.0], [-5_000.0], [3.0]])
    np.testing.assert_allclose(effective_sample_size(shifted[None]), [[4, 1, 16 / 6]])


def test_effective_sample_size_of_one_row_and_of_no_weight():
    assert effective_sample_size([0.0, 0.0]) == 2
    np.testing.assert_array_equal(effective_sample_size(np.full((2, 3), -np.inf)), [0, 0])


def test_effective_sample_size_of_gaussians_agrees_with_theory():
    _, _, log_weights, _ = importance_study(np.random.default_rng(0), width=1.5, m=2_000, n=50)
    # E[w^2] / E[w]^2 = width^2 / sqrt(2 width^2 - 1) for N(0, 1) from N(0, width^2).
    expected = 2_000 / (1.5**2 / np.sqrt(2 * 1.5**2 - 1))
    found = effective_sample_size(log_weights)
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / np.sqrt(50) + 2)


@pytest.mark.parametrize("log_weights", [[0.0, np.nan], [0.0, np.inf]])
def test_weights_that_are_none(log_weights):
    with pytest.raises(ShapeError, match=r"effective_sample_size: .*1 (NaN|\+inf)"):
        effective_sample_size(log_weights)


@pytest.mark.parametrize("log_weights", [0.0, [], np.zeros((3, 0))])
def test_no_weights_at_all(log_weights):
    with pytest.raises(ShapeError, match="m > 0"):
        effective_sample_size(log_weights)


def test_equal_weights_give_plain_ranks_ties_and_all():
    rng = np.random.default_rng(1)
    truth = rng.poisson(2, size=(50, 2)).astype(float)
    draws = rng.poisson(2, size=(50, 9, 2)).astype(float)
    plain = ranks(truth, draws, np.random.default_rng(7))
    for constant in (0.0, 1_000.0, -1_000.0):
        found = weighted_ranks(truth, draws, np.full((50, 9), constant), np.random.default_rng(7))
        np.testing.assert_allclose(found, plain, rtol=1e-12)


def test_draws_of_zero_weight_do_not_count():
    rng = np.random.default_rng(2)
    truth, draws = rng.normal(size=(50, 1)), rng.normal(size=(50, 9, 1))
    log_weights = np.zeros((50, 9))
    log_weights[:, 5:] = -np.inf
    found = weighted_ranks(truth, draws, log_weights, np.random.default_rng(7))
    expected = ranks(truth, draws[:, :5], np.random.default_rng(7))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("width", [0.6, 1.5, 3.0])
@pytest.mark.parametrize("m", [3, 50])
def test_ranks_are_exactly_uniform_with_the_truths_own_weight(width, m):
    rng = np.random.default_rng(3)
    truth, draws, log_weights, own = importance_study(rng, width=width, m=m)
    found = weighted_ranks(truth, draws, log_weights, rng, truth_log_weights=own)
    assert uniform(found) > 0.001
    if m == 50:
        assert uniform(ranks(truth, draws, rng)) < 1e-6  # the weights are needed


@pytest.mark.parametrize("m", [20, 100])
def test_ranks_are_nearly_uniform_without_it(m):
    rng = np.random.default_rng(4)
    truth, draws, log_weights, _ = importance_study(rng, width=1.5, m=m)
    assert uniform(weighted_ranks(truth, draws, log_weights, rng)) > 0.001


def test_a_wrong_weight_is_found():
    rng = np.random.default_rng(5)
    truth, draws, log_weights, own = importance_study(rng, width=1.5, m=100)
    tilt = 0.3 * draws[..., 0]  # as if the posterior lay .3 sd higher
    found = weighted_ranks(
        truth, draws, log_weights + tilt, rng, truth_log_weights=own + 0.3 * truth[:, 0]
    )
    assert uniform(found) < 1e-6
    assert found.mean() < 0.45


def test_no_weight_no_rank():
    log_weights = np.array([[0.0, 0.0], [-np.inf, -np.inf]])
    for own in (None, [0.0, 0.0], [-np.inf, -np.inf]):
        found = weighted_ranks(
            np.zeros((2, 2)),
            np.ones((2, 2, 2)),
            log_weights,
            np.random.default_rng(6),
            truth_log_weights=own,
        )
        assert np.all(found[0] < 1 / 2)
        assert np.isnan(found[1]).all()


def test_rounding_does_not_push_a_rank_above_1():
    rng = np.random.default_rng(8)
    log_weights, nothing = rng.normal(size=(500, 99)), np.full(500, -np.inf)
    found = weighted_ranks(
        np.ones((500, 1)), np.zeros((500, 99, 1)), log_weights, rng, truth_log_weights=nothing
    )
    assert found.max() <= 1
    np.testing.assert_allclose(found, 1, rtol=1e-12)


def test_a_truth_that_outweighs_all_draws_has_any_rank():
    rng = np.random.default_rng(7)
    own = np.full(1_000, 9_000.0)
    found = weighted_ranks(
        np.zeros((1_000, 1)),
        np.ones((1_000, 5, 1)),
        np.zeros((1_000, 5)),
        rng,
        truth_log_weights=own,
    )
    assert uniform(found) > 0.001


@pytest.mark.parametrize(
    ("draws", "log_weights", "own", "message"),
    [
        (np.zeros((2, 5, 4)), np.zeros((2, 5)), None, r"got \(2, 3\) and \(2, 5, 4\)"),
        (np.zeros((2, 5, 3)), np.zeros((2, 4)), None, r"\(2, 4\)"),
        (np.zeros((2, 0, 3)), np.zeros((2, 0)), None, "m > 0"),
        (np.full((2, 5, 3), np.nan), np.zeros((2, 5)), None, "30 in draws"),
        (np.zeros((2, 5, 3)), np.full((2, 5), np.inf), None, r"10 \+inf"),
        (np.zeros((2, 5, 3)), np.zeros((2, 5)), np.zeros(5), r"\(2,\); got \(5,\)"),
        (np.zeros((2, 5, 3)), np.zeros((2, 5)), [0.0, np.nan], "1 NaN"),
    ],
)
def test_weighted_ranks_say_what_does_not_fit(draws, log_weights, own, message):
    with pytest.raises(ShapeError, match=message):
        weighted_ranks(
            np.zeros((2, 3)), draws, log_weights, np.random.default_rng(0), truth_log_weights=own
        )


def test_rows_chosen_in_proportion_to_their_weights():
    rng = np.random.default_rng(3)
    weights = rng.exponential(size=50)
    expected = 50 * weights / weights.sum()
    counts = np.mean(
        [np.bincount(systematic(weights, rng), minlength=50) for _ in range(2_000)], axis=0
    )
    # Each count is one of the two whole numbers around its mean: an sd of at most 1/2.
    assert np.abs(counts - expected).max() < 4 * 0.5 / np.sqrt(2_000)
    once = np.bincount(systematic(weights, rng), minlength=50)
    assert np.abs(once - expected).max() < 1
