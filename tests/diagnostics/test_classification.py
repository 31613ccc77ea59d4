"""Calibration of classes against exact classifiers, known answers and planted temperatures."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.classification import (
    class_calibration,
    class_calibration_floor,
    class_calibration_p_value,
    class_shares,
    confusion_matrix,
    log_score,
)
from sbi_inn.diagnostics.reliability import EDGES, reliability
from sbi_inn.diagnostics.temperature import fitted_temperature, tempered
from sbi_inn.errors import ShapeError

N = 2_000


def exact_case(rng, n=N, k=2):
    """Classes N(2 e_k, I) in k dimensions: their exact probabilities, and true classes."""
    truth = rng.integers(k, size=n)
    y = rng.normal(size=(n, k)) + 2 * np.eye(k)[truth]
    powers = np.exp(2 * y)
    return powers / powers.sum(axis=1, keepdims=True), truth


def test_bins_are_as_the_thesis_has_them():
    assert EDGES.tolist() == pytest.approx(
        [0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85]
        + [0.95, 0.96, 0.97, 0.98, 0.99, 1]
    )


def test_errors_by_hand():
    """Bins .25-.35 and .65-.75 hold four entries each, 0-.01 and .99-1 one each."""
    p = np.array([[0.7, 0.3]] * 4 + [[0.995, 0.005]])
    found = class_calibration(p, [0, 1, 1, 1, 1])
    # Frequencies .75 and .25 where .3 and .7 were said; 1 and 0 where .005 and .995 were.
    expected = (8 * 0.45 + 2 * 0.995) / 10
    integrated = 2 * 0.1 * 0.45 + 2 * 0.01 * 0.995
    assert found.expected == pytest.approx(expected)
    assert found.maximum == pytest.approx(0.995)
    assert found.integrated == pytest.approx(integrated)
    assert found.geometric_mean == pytest.approx(np.cbrt(expected * 0.995 * integrated))
    assert found.overconfidence == pytest.approx(np.nan, nan_ok=True)


def test_overconfidence_is_the_share_of_errors_over_what_is_allowed():
    p = np.tile([0.998, 0.002], (1_000, 1))
    truth = np.zeros(1_000, int)
    truth[:12] = 1
    assert class_calibration(p, truth).overconfidence == pytest.approx(4)  # 1.2 % over .3 %


def test_an_edge_belongs_to_the_bin_above_it_and_one_to_the_last():
    p = np.array([[0.05, 0.95], [0.0, 1.0]])
    assert np.flatnonzero(reliability(p, [1, 1], rng=np.random.default_rng(0)).count).tolist() == [
        0,
        5,
        14,
        18,
    ]


@pytest.mark.parametrize("k", [2, 5])
def test_errors_of_an_exact_classifier_are_as_often_above_the_floor_as_it_says(k):
    rng = np.random.default_rng(1)
    above = []
    for _ in range(200):
        p, truth = exact_case(rng, 500, k)
        floor = class_calibration_floor(p, (0.5,), rng=rng, repetitions=100)
        above.append(class_calibration(p, truth).expected > floor.expected[0])
    assert abs(np.mean(above) - 0.5) < 4 * np.sqrt(0.25 / 200)


def test_p_values_of_an_exact_classifier_are_uniform():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        p, truth = exact_case(rng, 300)
        found.append(astuple(class_calibration_p_value(p, truth, rng=rng, repetitions=99))[:4])
    for column in np.array(found).T:
        assert st.kstest(column, st.uniform(0, 1.01).cdf).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_planted_temperature_is_found_by_every_number(temperature):
    rng = np.random.default_rng(3)
    for _ in range(8):
        p, truth = exact_case(rng)
        wrong = tempered(p, temperature)
        p_value = class_calibration_p_value(wrong, truth, rng=rng, repetitions=200)
        assert p_value.expected < 0.01
        assert p_value.geometric_mean < 0.01
        assert reliability(wrong, truth, rng=rng, repetitions=500).outside.any()
        z = log_score(wrong, truth).z
        assert z < -5 if temperature < 1 else z > 5
        found = fitted_temperature(wrong, truth)
        assert found.low < 1 / temperature < found.high
        assert not found.low < 1 < found.high


def test_a_planted_bias_is_found_by_the_shares_of_classes_alone():
    """Of two classes, what one gains the other loses: in the bins, that cancels."""
    rng = np.random.default_rng(4)
    p, truth = exact_case(rng, 4_000)
    wrong = p * [2, 1]
    wrong /= wrong.sum(axis=1, keepdims=True)
    assert class_calibration_p_value(wrong, truth, rng=rng).expected > 0.01
    assert abs(class_shares(p, truth).z).max() < 4
    assert abs(class_shares(wrong, truth).z).min() > 6


def test_the_band_holds_whole_curves_of_exact_classifiers():
    rng = np.random.default_rng(5)
    outside = []
    for _ in range(200):
        p, truth = exact_case(rng, 300)
        outside.append(reliability(p, truth, rng=rng, level=0.9, repetitions=500).outside.any())
    assert np.mean(outside) < 0.1 + 4 * np.sqrt(0.09 / 200)  # ties make the band a little wide
    assert np.mean(outside) > 0.02


def test_a_reliability_curve_by_hand():
    p = np.array([[0.7, 0.3], [0.66, 0.34], [0.5, 0.5]])
    curve = reliability(p, [0, 1, 0], rng=np.random.default_rng(6))
    there = curve.count > 0
    assert curve.count[there].tolist() == [2, 2, 2]
    assert curve.probability[there] == pytest.approx([0.32, 0.5, 0.68])
    assert curve.frequency[there] == pytest.approx([0.5, 0.5, 0.5])
    assert np.isnan(curve.frequency[~there]).all()
    # One of two equal halves is true, whichever it is: this bin has no noise.
    assert (curve.low[there][1], curve.high[there][1]) == (0.5, 0.5)


@pytest.mark.parametrize("k", [2, 4])
def test_the_log_score_of_an_exact_classifier_is_standard_normal(k):
    rng = np.random.default_rng(7)
    z = [log_score(*exact_case(rng, 400, k)).z for _ in range(500)]
    assert abs(np.mean(z)) < 4 / np.sqrt(500)
    assert abs(np.std(z) - 1) < 4 / np.sqrt(1_000)


def test_log_scores_at_the_ends():
    assert log_score([[1.0, 0.0]], [0]).z == 0
    score = log_score([[1.0, 0.0], [0.5, 0.5]], [1, 0])
    assert score.mean == -np.inf
    assert score.z == -np.inf


def test_the_interval_of_the_temperature_covers_as_often_as_it_says():
    rng = np.random.default_rng(8)
    inside = []
    for _ in range(150):
        found = fitted_temperature(*exact_case(rng, 400, 3), level=0.8)
        inside.append(found.low < 1 < found.high)
    assert abs(np.mean(inside) - 0.8) < 4 * np.sqrt(0.16 / 150)


def test_the_temperature_of_hopeless_and_perfect_classifiers_ends_at_a_limit():
    p = np.tile([0.9, 0.1], (50, 1))
    perfect, hopeless = fitted_temperature(p, [0] * 50), fitted_temperature(p, [1] * 50)
    assert perfect.value == pytest.approx(perfect.low) == pytest.approx(1e-3)
    assert hopeless.value == pytest.approx(hopeless.high) == pytest.approx(1e3)
    assert 1e-3 < perfect.high < 1
    assert 1 < hopeless.low < 1e3


def test_tempering_twice_gives_back():
    p = np.random.default_rng(9).dirichlet([0.3] * 4, size=50)
    np.testing.assert_allclose(tempered(tempered(p, 3), 1 / 3), p, rtol=1e-9)
    np.testing.assert_array_equal(tempered([[1.0, 0.0]], 2), [[1, 0]])


def test_confusions_are_counted():
    p = np.eye(3)[[0, 1, 1, 2, 0]]
    expected = [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    np.testing.assert_array_equal(confusion_matrix(p, [0, 0, 1, 2, 2]), expected)


@pytest.mark.parametrize(
    ("p", "truth", "message"),
    [
        ([0.5, 0.5], [0], r"\(n, k\).* got \(2,\)"),
        (np.ones((3, 1)), [0, 0, 0], r"k > 1; got \(3, 1\)"),
        (np.zeros((0, 2)), [], r"n > 0 .* got \(0, 2\)"),
        ([[0.5, 0.6]], [0], "sum to one.* 1.1"),
        ([[1.2, -0.2]], [0], "-0.2"),
        ([[np.nan, 0.5]], [0], "nan"),
        ([[0.5, 0.5]], [0, 1], r"\(1,\).* got \(2,\)"),
        ([[0.5, 0.5]], [2], "0 to 1; got 2"),
        ([[0.5, 0.5]], [-1], "got -1"),
        ([[0.5, 0.5]], [0.5], "got 0.5"),
    ],
)
def test_what_is_no_classification_is_refused(p, truth, message):
    with pytest.raises(ShapeError, match=message):
        class_calibration(p, truth)


def test_a_temperature_of_nothing_is_refused():
    with pytest.raises(ShapeError, match="above 0; got 0"):
        tempered([[0.5, 0.5]], 0)
