"""Scores that features predict, and scores that they do not."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.conditional_ranks import (
    Design,
    Features,
    column_scores,
    explained,
    location_scores,
    smallest_explained,
    width_of_score,
    width_scores,
)
from sbi_inn.errors import ShapeError


def test_scores_of_uniform_ranks_are_standard_normal():
    ranks = np.random.default_rng(0).random((20_000, 2))
    for scores in (location_scores(ranks), width_scores(ranks)):
        assert st.kstest(scores[:, 0], "norm").pvalue > 0.01
        assert np.isfinite(scores).all()
    assert np.isfinite(location_scores([0.0, 1.0])).all()


@pytest.mark.parametrize("width", [0.5, 0.8, 1.0, 1.25, 3.0])
def test_a_mean_width_score_says_the_width(width):
    truth = np.random.default_rng(0).normal(size=100_000)
    scores = width_scores(st.norm.cdf(truth / width))
    # The standard error of the mean score, .0032, is about as much of the logarithm of the width.
    assert np.log(width_of_score(scores.mean()) / width) == pytest.approx(0, abs=0.015)


def test_columns_become_normal_whatever_they_span():
    column = np.exp(np.random.default_rng(0).normal(0, 9, (500, 1)))
    scores = column_scores(column, column)
    assert scores.std() == pytest.approx(1, abs=0.02)
    assert np.array_equal(scores, column_scores(np.log(column), np.log(column)))


def test_ties_gaps_and_what_lies_beyond():
    usual = np.array([[0.0], [0.0], [1.0], [np.nan]])
    found = column_scores(usual, np.array([[0.0], [1.0], [9.0], [-9.0], [np.nan]]))[:, 0]
    assert found == pytest.approx([st.norm.ppf(p) for p in (1 / 3, 5 / 6, 5 / 6, 1 / 6)] + [0])
    assert (column_scores(np.full((3, 1), np.nan), usual) == 0).all()


@pytest.mark.parametrize("n", [1, 2, 50])
def test_scores_of_columns_among_themselves_are_those_among_equal_ones(n):
    rng = np.random.default_rng(n)
    columns = rng.normal(size=(n, 40))
    columns[:, 1], columns[:, 2], columns[:, 3] = rng.integers(0, 3, n), 7.0, np.nan
    columns[rng.random(n) < 0.3, 35] = np.nan
    columns[rng.random(n) < 0.3, 4] = np.inf
    found = column_scores(columns, columns)
    np.testing.assert_array_equal(found, column_scores(columns, columns.copy()))


def test_shapes_have_to_fit():
    with pytest.raises(ShapeError, match=r"\(n, p\).*got \(4, 1\) and \(2, 2\)"):
        column_scores(np.ones((4, 1)), np.ones((2, 2)))


def test_features_are_orthonormal_of_mean_zero_and_not_too_many():
    rng = np.random.default_rng(0)
    for n, p in ((60, 3), (500, 80), (500, 1)):
        design = Design.of(rng.normal(size=(n, p)), rng)
        assert list(design.features) == ["linear", "quadratic", "waves"]
        for features in design.features.values():
            k = features.basis.shape[1]
            assert 1 <= k <= n // 10
            assert features.basis.T @ features.basis == pytest.approx(np.eye(k), abs=1e-6)
            assert features.basis.sum(axis=0) == pytest.approx(np.zeros(k), abs=1e-6)


def test_columns_that_repeat_each_other_count_once():
    y = np.random.default_rng(0).normal(size=(300, 2))
    assert Features.of(np.concatenate([y, y, np.ones((300, 1))], axis=1), 30).basis.shape[1] == 2


def test_constant_columns_predict_nothing():
    features = Features.of(np.ones((100, 2)), 10)
    rms, p_value = explained(np.random.default_rng(0).normal(size=(100, 3)), features)
    assert (rms == 0).all()
    assert (p_value == 1).all()


@pytest.mark.parametrize("n", [50, 400])
def test_p_values_of_exact_scores_are_uniform(n):
    rng = np.random.default_rng(0)
    design = Design.of(column_scores(y := rng.gamma(1, size=(n, 3)), y), rng)
    scores = rng.standard_normal((n, 1_000))
    for features in design.features.values():
        _, p_value = explained(scores, features)
        assert st.kstest(p_value, "uniform").pvalue > 0.001


def test_what_is_predicted_is_measured():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4_000, 2))
    design = Design.of(column_scores(y, y), rng)
    noise = rng.standard_normal(4_000)
    scores = np.stack(
        [0.3 * y[:, 0] + noise, 0.3 * y[:, 0] * y[:, 1] + noise, 0.42 * np.sin(4 * y[:, 1]) + noise]
    ).T
    found = {name: explained(scores, features) for name, features in design.features.items()}
    # 1 / sqrt(n) is .016: the error of an rms of .3, but for what few features miss.
    assert found["linear"][0] == pytest.approx([0.3, 0, 0], abs=0.08)
    assert found["quadratic"][0] == pytest.approx([0.3, 0.3, 0], abs=0.08)
    assert found["waves"][0] == pytest.approx([0.3, 0.3, 0.3], abs=0.08)
    assert found["waves"][1].max() < 1e-6


def test_the_smallest_effect_is_found_in_nine_of_ten_cases():
    rng = np.random.default_rng(0)
    n, p_value = 500, 1e-3
    y = rng.normal(size=(n, 4))
    features = Features.of(y, 50)
    effect = smallest_explained(n, 4, p_value)
    unit = features.basis[:, :1] * np.sqrt(n)
    _, found = explained(effect * unit + rng.standard_normal((n, 2_000)), features)
    assert (found < p_value).mean() == pytest.approx(0.9, abs=0.03)


def test_weights_predict_at_a_further_row():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2_000, 2))
    columns = column_scores(y, y)
    design = Design.of(columns, rng)
    row = np.array([1.0, -0.5])
    scores = 0.5 * columns[:, 0] + columns[:, 1] ** 2 + rng.standard_normal(2_000)
    weights = design.weights(row)
    assert list(weights) == ["linear", "quadratic", "100 nearest", "400 nearest"]
    for w in weights.values():
        assert w.sum() == pytest.approx(1)
    truth = 0.5 * 1.0 + 0.25
    quadratic = weights["quadratic"]
    assert quadratic @ scores == pytest.approx(truth, abs=4 * np.linalg.norm(quadratic))
    assert weights["100 nearest"] @ scores == pytest.approx(truth, abs=0.45)


def test_what_features_leave_is_as_large_as_the_noise():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(1_000, 2))
    design = Design.of(column_scores(y, y), rng)
    left = design.residuals(3 * y + 0.5 * rng.standard_normal((1_000, 2)))
    assert left.std(axis=0) == pytest.approx([0.5, 0.5], abs=0.1)
