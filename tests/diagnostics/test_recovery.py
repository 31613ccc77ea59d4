"""Recovery of parameters against a Gaussian posterior known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from sbi_inn.diagnostics.recovery import contraction, nrmse, r_squared, z_scores
from sbi_inn.errors import ShapeError

N = 20_000


def gaussian_study(rng, noise=1.0):
    """Return truths N(0, 1), and mean and sd of their posteriors given y ~ N(theta, noise^2)."""
    truth = rng.normal(size=(N, 1))
    y = truth + noise * rng.normal(size=(N, 1))
    variance = noise**2 / (1 + noise**2)
    return truth, y / (1 + noise**2), np.full((N, 1), np.sqrt(variance))


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_a_gaussian_posterior_recovers_what_it_contracts(noise):
    truth, mean, sd = gaussian_study(np.random.default_rng(0), noise)
    learned = 1 / (1 + noise**2)
    np.testing.assert_allclose(contraction(sd, [1.0]), learned, rtol=1e-12)
    assert r_squared(truth, mean)[0] == pytest.approx(learned, abs=4 * 2 / np.sqrt(N))
    assert nrmse(truth, mean)[0] == pytest.approx(np.sqrt(1 - learned), abs=4 / np.sqrt(N))
    scores = z_scores(truth, mean, sd)
    assert abs(scores.mean()) < 4 / np.sqrt(N)
    assert scores.std() == pytest.approx(1, abs=4 / np.sqrt(2 * N))


def test_by_hand_column_by_column():
    truth = [[0.0, 10.0], [2.0, 30.0]]
    estimate = [[0.0, 20.0], [2.0, 20.0]]
    np.testing.assert_allclose(r_squared(truth, estimate), [1, 0])
    np.testing.assert_allclose(nrmse(truth, estimate), [0, 1])
    np.testing.assert_allclose(r_squared([[0.0], [2.0]], [[2.0], [0.0]]), [-3])


def test_a_constant_truth_has_no_variance_to_explain():
    truth = np.full((7, 1), 0.1)
    assert truth.std() > 0  # rounding
    np.testing.assert_array_equal(r_squared(truth, truth), [np.nan])
    np.testing.assert_array_equal(nrmse(truth, truth + 1), [np.nan])


def test_z_scores_are_positive_above_the_truth_and_infinite_without_width():
    found = z_scores([[1.0, 1.0, 1.0, 1.0]], [[3.0, 0.0, 2.0, 1.0]], [[2.0, 0.5, 0.0, 0.0]])
    np.testing.assert_array_equal(found, [[1.0, -2.0, np.inf, np.nan]])


def test_contraction_is_negative_where_the_posterior_is_wider():
    np.testing.assert_allclose(contraction([[0.0, 3.0]], [2.0, 1.5]), [[1.0, -3.0]])


@pytest.mark.parametrize("function", [r_squared, nrmse])
@pytest.mark.parametrize(
    ("truth", "estimate", "message"),
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), r"\(4, 2\), \(4, 3\)"),
        (np.zeros(4), np.zeros(4), r"\(4,\)"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "n > 0"),
        (np.zeros((4, 2)), np.full((4, 2), np.nan), "finite"),
    ],
)
def test_estimates_that_do_not_fit(function, truth, estimate, message):
    with pytest.raises(ShapeError, match=message):
        function(truth, estimate)


def test_standard_deviations_that_are_none():
    zeros, negative = np.zeros((4, 2)), np.full((4, 2), -1.0)
    with pytest.raises(ShapeError, match=r"z_scores.*-1\.0"):
        z_scores(zeros, zeros, negative)
    with pytest.raises(ShapeError, match=r"contraction.*-1\.0"):
        contraction(negative, [1.0, 1.0])
    for prior_sd in ([1.0], [1.0, 0.0], [1.0, np.nan]):
        with pytest.raises(ShapeError, match=r"positive and have shape \(2,\)"):
            contraction(zeros, prior_sd)
