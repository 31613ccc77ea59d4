"""Joint coverage against Gaussian posteriors: uniform if exact, off if too narrow."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.joint import density_ranks, tarp_ranks
from sbi_inn.errors import ShapeError

N, M, D = 2_000, 100, 3


def gaussian_study(rng, *, scale=1.0, m=M):
    """Return truths, draws and means: posteriors N(mean, scale^2 I), truths from N(mean, I)."""
    means = rng.normal(size=(N, D))
    truth = means + rng.normal(size=(N, D))
    return truth, means[:, None] + scale * rng.normal(size=(N, m, D)), means


def log_density(theta, means):
    """Return the log density of N(mean, I), up to a constant."""
    return -0.5 * np.sum((theta - means) ** 2, axis=-1)


def highest_density(rng, *, scale=1.0, m=M):
    truth, draws, means = gaussian_study(rng, scale=scale, m=m)
    return density_ranks(log_density(truth, means), log_density(draws, means[:, None]), rng)


def uniform(found):
    return st.kstest(found, "uniform").pvalue


@pytest.mark.parametrize("m", [3, M])
def test_density_ranks_of_an_exact_posterior_are_uniform_however_few_the_draws(m):
    assert uniform(highest_density(np.random.default_rng(0), m=m)) > 0.001


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_density_ranks_agree_with_theory_for_a_wrong_width(scale):
    # Share of draws inside the truth's ball: chi2 of D degrees, its radius divided by the width.
    found = highest_density(np.random.default_rng(1), scale=scale)
    expected = st.chi2(D).cdf(st.chi2(D).rvs(200_000, random_state=2) / scale**2).mean()
    assert abs(found.mean() - expected) < 4 * np.sqrt(1 / 12 / N) + 0.005
    assert uniform(found) < 1e-6


def test_density_ranks_count_the_draws_of_higher_density():
    rng = np.random.default_rng(3)
    found = density_ranks([0.0, 2.0], [[3.0, 1.0, -1.0], [3.0, 1.0, -1.0]], rng)
    assert 2 / 4 <= found[0] <= 3 / 4
    assert 1 / 4 <= found[1] <= 2 / 4


def test_truths_of_no_density_rank_last_and_tie_with_draws_of_none():
    rng = np.random.default_rng(4)
    nowhere = np.full(N, -np.inf)
    assert density_ranks(nowhere, rng.normal(size=(N, M)), rng).min() >= M / (M + 1)
    assert uniform(density_ranks(nowhere, np.full((N, M), -np.inf), rng)) > 0.001


@pytest.mark.parametrize("m", [3, M])
@pytest.mark.parametrize("informed", [False, True])
def test_tarp_ranks_of_an_exact_posterior_are_uniform(m, informed):
    rng = np.random.default_rng(5)
    truth, draws, means = gaussian_study(rng, m=m)
    references = rng.normal(size=(N, D)) + informed * means
    assert uniform(tarp_ranks(truth, draws, references, rng)) > 0.001


def test_tarp_ranks_find_a_width_and_need_informed_references_to_tell_the_prior():
    rng = np.random.default_rng(6)
    truth, draws, means = gaussian_study(rng, scale=0.7)
    assert uniform(tarp_ranks(truth, draws, means + rng.normal(size=(N, D)), rng)) < 1e-4
    prior = np.sqrt(2) * rng.normal(size=(N, M, D))
    assert uniform(tarp_ranks(truth, prior, rng.normal(size=(N, D)), rng)) > 0.001
    assert uniform(tarp_ranks(truth, prior, means, rng)) < 1e-6


def test_tarp_ranks_do_not_depend_on_the_units():
    rng = np.random.default_rng(7)
    truth, draws, means = gaussian_study(rng)
    units = np.array([1024.0, 2.0**-20, 1.0])
    found = tarp_ranks(truth, draws, means, np.random.default_rng(0))
    scaled = tarp_ranks(truth * units, draws * units, means * units, np.random.default_rng(0))
    np.testing.assert_array_equal(scaled, found)


def test_tarp_ranks_by_hand_beside_a_constant_parameter():
    truth = [[1.0, 0.1], [-1.0, 0.1], [0.0, 0.1]]
    draws = np.zeros((3, 4, 2))
    draws[..., 0], draws[..., 1] = [0.5, 2.0, -0.5, -2.0], 0.1
    found = tarp_ranks(truth, draws, np.zeros((3, 2)), np.random.default_rng(8))
    assert np.all((found[:2] >= 2 / 5) & (found[:2] <= 3 / 5))
    assert found[2] < 1 / 5


@pytest.mark.parametrize(
    ("truth", "draws", "message"),
    [
        (np.zeros(2), np.zeros((3, 5)), r"got \(2,\) and \(3, 5\)"),
        (np.zeros((2, 1)), np.zeros((2, 5)), r"\(2, 1\)"),
        (np.zeros(2), np.zeros((2, 0)), "m > 0"),
        (np.full(2, np.nan), np.zeros((2, 5)), "2 NaN in truth"),
    ],
)
def test_density_ranks_say_what_does_not_fit(truth, draws, message):
    with pytest.raises(ShapeError, match=message):
        density_ranks(truth, draws, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("truth", "draws", "references", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 5, 4)), np.zeros((2, 3)), r"\(2, 5, 4\)"),
        (np.zeros((2, 3)), np.zeros((2, 5, 3)), np.zeros((1, 3)), r"\(1, 3\)"),
        (np.zeros((2, 3)), np.zeros((2, 0, 3)), np.zeros((2, 3)), "m > 0"),
        (np.zeros((2, 3)), np.full((2, 5, 3), np.nan), np.zeros((2, 3)), "NaN"),
    ],
)
def test_tarp_ranks_say_what_does_not_fit(truth, draws, references, message):
    with pytest.raises(ShapeError, match=message):
        tarp_ranks(truth, draws, references, np.random.default_rng(0))


def test_tarp_ranks_a_draw_whose_square_is_no_number():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(1, 99, 2))
    draws[0, 0] = 1e200
    rank = tarp_ranks([[0.0, 0.0]], draws, [[0.0, 0.0]], rng)
    assert rank[0] < 0.05  # the truth is at the reference: all draws are further
