"""Ranks of products against Gaussian posteriors whose correlation is right or wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.dependence import choose_pairs, product_ranks
from sbi_inn.diagnostics.uniformity import uniformity_p_value
from sbi_inn.errors import ShapeError

N, M = 1_000, 100


def equicorrelated(rng, correlation, d, *size):
    """Return N(0, C) numbers (*size, d) whose every pair has the same correlation."""
    common = np.sqrt(correlation) * rng.normal(size=(*size, 1))
    return common + np.sqrt(1 - correlation) * rng.normal(size=(*size, d))


def study(rng, true, claimed, d, n=N, m=M):
    """Return truths (n, d) and draws (n, m, d) around posterior means anywhere."""
    means = 5 * rng.normal(size=(n, d))
    return (
        means + equicorrelated(rng, true, d, n),
        means[:, None] + equicorrelated(rng, claimed, d, n, m),
    )


def test_all_pairs_or_some():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(choose_pairs(3, 3, rng), [[0, 1], [0, 2], [1, 2]])
    assert choose_pairs(1, 10, rng).shape == (0, 2)
    some = choose_pairs(20, 30, rng)
    assert some.shape == (30, 2)
    assert np.all(some[:, 0] < some[:, 1])
    assert len(np.unique(some, axis=0)) == 30
    assert not np.array_equal(some, choose_pairs(20, 30, rng))


@pytest.mark.parametrize("m", [4, 100])
def test_ranks_of_an_exact_posterior_are_uniform_however_few_the_draws(m):
    rng = np.random.default_rng(1)
    truth, draws = study(rng, 0.7, 0.7, 3, n=4_000, m=m)
    found, excess = product_ranks(truth, draws, choose_pairs(3, 3, rng), rng)
    assert found.shape == excess.shape == (4_000, 3)
    for column in found.T:
        assert st.kstest(column, "uniform").pvalue > 0.001


def test_centring_and_ranking_with_the_same_draws_would_not_do():
    # Why half of the draws are given up: with all of them, the ranks of an exact posterior spread.
    rng = np.random.default_rng(2)
    truth, draws = study(rng, 0.0, 0.0, 2, n=4_000, m=8)
    centred = draws - draws.mean(axis=1, keepdims=True)
    product = np.prod(truth - draws.mean(axis=1), axis=1)
    wrong = np.mean(np.prod(centred, axis=2) < product[:, None], axis=1)
    assert np.var(wrong) > 1.1 / 12
    right = product_ranks(truth, draws, [[0, 1]], rng)[0][:, 0]
    assert np.var(right) == pytest.approx(1 / 12, abs=4 * np.sqrt(1 / 180 / 4_000))


@pytest.mark.parametrize(("true", "claimed"), [(0.5, 0.0), (0.0, 0.5), (0.9, 0.0)])
@pytest.mark.parametrize("d", [2, 10])
def test_wrong_correlations_are_found_every_time(true, claimed, d):
    rng = np.random.default_rng(3)
    pairs = choose_pairs(d, 10, rng)
    for _ in range(3):
        truth, draws = study(rng, true, claimed, d)
        found, excess = product_ranks(truth, draws, pairs, rng)
        assert uniformity_p_value(found).min() * len(pairs) < 0.02
        mean, error = excess.mean(axis=0), excess.std(axis=0) / np.sqrt(N)
        # 50 draws give an sd of which 1 / sd^2 is 4 % too large on average.
        assert np.all(np.abs(mean - (true - claimed)) < 4 * error + 0.05)


def test_right_correlations_are_left_alone():
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(20):
        truth, draws = study(rng, 0.5, 0.5, 4)
        found, _ = product_ranks(truth, draws, choose_pairs(4, 10, rng), rng)
        alarms += uniformity_p_value(found).min() * 6 < 0.02
    assert alarms <= st.binom.isf(1e-4, 20, 0.02)


def test_pairs_are_the_columns_named_and_units_do_not_matter():
    rng = np.random.default_rng(5)
    truth, draws = study(rng, 0.0, 0.0, 3)
    truth[:, 2] = truth[:, 0] - 5  # goes with the first, as no draw does
    draws[..., 2] = draws[..., 2] - draws[..., 2].mean(axis=1, keepdims=True)
    draws[..., 2] += draws[..., 0].mean(axis=1, keepdims=True) - 5
    pairs = [[0, 1], [2, 0]]
    plain, excess = product_ranks(truth, draws, pairs, np.random.default_rng(0))
    assert np.abs(excess.mean(axis=0) - [0, 1]).max() < 0.2
    units = np.array([1024.0, 2.0**-20, 1.0])
    scaled, same = product_ranks(truth * units, draws * units, pairs, np.random.default_rng(0))
    np.testing.assert_array_equal(scaled, plain)
    np.testing.assert_array_equal(same, excess)


def test_a_constant_parameter_has_no_correlation():
    rng = np.random.default_rng(6)
    truth, draws = study(rng, 0.5, 0.5, 2)
    truth[:, 1], draws[..., 1] = 0.1, 0.1  # whose standard deviation is not quite 0
    found, excess = product_ranks(truth, draws, [[0, 1]], rng)
    np.testing.assert_array_equal(excess, 0)
    assert st.kstest(found[:, 0], "uniform").pvalue > 0.001


@pytest.mark.parametrize(
    ("truth", "draws", "pairs", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 5, 4)), [[0, 1]], r"got \(2, 3\) and \(2, 5, 4\)"),
        (np.zeros((2, 3)), np.zeros((2, 3, 3)), [[0, 1]], "m > 3"),
        (np.zeros((2, 3)), np.zeros((2, 5, 3)), [0, 1], r"pairs.*\(2,\)"),
        (np.zeros((2, 3)), np.zeros((2, 5, 3)), [[0, 3]], r"0 to 2.*\[\[0, 3\]\]"),
        (np.zeros((2, 3)), np.zeros((2, 5, 3)), [[-1, 0]], "0 to 2"),
        (np.full((2, 3), np.nan), np.zeros((2, 5, 3)), [[0, 1]], "finite"),
        (np.zeros((2, 3)), np.full((2, 5, 3), np.inf), [[0, 1]], "finite"),
    ],
)
def test_what_does_not_fit(truth, draws, pairs, message):
    with pytest.raises(ShapeError, match=message):
        product_ranks(truth, draws, pairs, np.random.default_rng(0))
