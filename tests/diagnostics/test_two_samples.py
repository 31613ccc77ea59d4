"""C2ST against sets whose best possible accuracy is known, MMD against values by hand."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.two_samples import c2st, mmd
from sbi_inn.errors import ShapeError

M = 1_000
NOISE = 0.5 / np.sqrt(2 * M)  # sd of an accuracy over 2 M draws


def test_same_distribution_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    found = c2st(rng.normal(size=(M, 2)), rng.normal(size=(M, 2)), rng=rng)
    assert abs(found - 0.5) < 4 * NOISE


def test_shifted_gaussians_reach_the_best_accuracy():
    rng = np.random.default_rng(1)
    reference, draws = rng.normal(size=(M, 2)), rng.normal(size=(M, 2)) + [1.5, 0]
    found = c2st(reference, draws, rng=rng)
    assert found == pytest.approx(st.norm.cdf(0.75), abs=4 * NOISE)


def test_a_wrong_correlation_is_found():
    rng = np.random.default_rng(2)
    reference = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=M)
    assert c2st(reference, rng.normal(size=(M, 2)), rng=rng) > 0.65


def test_scale_of_the_parameters_does_not_matter():
    rng = np.random.default_rng(3)
    reference, draws = rng.normal(size=(150, 2)), rng.normal(size=(150, 2)) + 0.5
    scaled = [np.array([1024.0, 2.0**-20]) * one for one in (reference, draws)]
    same = c2st(reference, draws, rng=np.random.default_rng(7))
    assert c2st(*scaled, rng=np.random.default_rng(7)) == same


def test_a_constant_parameter_is_no_obstacle():
    rng = np.random.default_rng(4)
    sets = rng.normal(size=(2, 400, 2))
    sets[..., 1] = 3.0
    assert 0.4 < c2st(*sets, rng=rng) < 0.6


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (np.zeros((9, 2)), r"same shape.*\(10, 2\) and \(9, 2\)"),
        (np.zeros((10, 3)), "same shape"),
        (np.full((10, 2), np.inf), "finite"),
    ],
)
def test_sets_that_do_not_fit(draws, message):
    with pytest.raises(ShapeError, match=message):
        c2st(np.zeros((10, 2)), draws, rng=np.random.default_rng(0))


def test_without_scikit_learn_the_message_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        c2st(np.zeros((10, 2)), np.zeros((10, 2)), rng=np.random.default_rng(0))


def kernel(distance, widths):
    return np.mean([1 / (1 + (distance / h) ** 2) for h in widths])


def test_mmd_by_hand():
    reference, draws, widths = (
        [[0.0, 0.0], [0.0, 1.0], [0.0, 3.0]],
        [[0.0, 0.0], [4.0, 0.0]],
        (1, 2),
    )
    within = np.mean([kernel(d, widths) for d in (1, 2, 3)]) + kernel(4, widths)
    distances = (0, 1, 3, 4, np.sqrt(17), 5)
    between = np.mean([kernel(d, widths) for d in distances])
    found = mmd(reference, draws, widths=widths)
    assert found == pytest.approx(within - 2 * between, rel=1e-12)
    # With the diagonal: 3 ones among 9 pairs, 2 among 4.
    with_diagonal = (3 + 6 * np.mean([kernel(d, widths) for d in (1, 2, 3)])) / 9
    with_diagonal += (2 + 2 * kernel(4, widths)) / 4
    found = mmd(reference, draws, widths=widths, biased=True)
    assert found == pytest.approx(with_diagonal - 2 * between, rel=1e-12)


def test_mmd_of_the_same_law_is_zero_on_average():
    rng = np.random.default_rng(5)
    found = [mmd(*rng.normal(size=(2, 300, 3))) for _ in range(50)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    assert min(found) < 0


def test_mmd_noise_is_what_the_docstring_says():
    rng = np.random.default_rng(6)
    found = [mmd(*rng.normal(size=(2, M, 2))) for _ in range(30)]
    assert np.std(found) == pytest.approx(4e-4, rel=0.5)  # 4 sd of an sd from 30


def test_mmd_grows_with_the_shift():
    rng = np.random.default_rng(7)
    reference, draws = rng.normal(size=(M, 2)), rng.normal(size=(M, 2))
    found = [mmd(reference, draws + [shift, 0]) for shift in (0, 0.25, 0.5, 1, 2, 1e6)]
    assert found[1] - found[0] > 4 * 4e-4
    assert np.all(np.diff(found) > 0)
    assert found[-1] < 2


def test_mmd_sees_modes_that_are_a_little_too_wide():
    rng = np.random.default_rng(8)
    centres = rng.choice([-3.0, 3.0], size=(3, M, 2))
    reference, same, wide = centres + np.array([0.2, 0.2, 0.35])[:, None, None] * rng.normal(
        size=(3, M, 2)
    )
    assert mmd(reference, wide) > 5 * abs(mmd(reference, same))


def test_mmd_does_not_depend_on_the_order_of_given_sets_nor_on_the_pieces(monkeypatch):
    rng = np.random.default_rng(9)
    few, many = rng.normal(size=(50, 2)), rng.normal(size=(170, 2)) + 0.3
    found = mmd(few, many, widths=[0.5])
    assert mmd(many, few, widths=[0.5]) == pytest.approx(found, rel=1e-12)
    monkeypatch.setattr("sbi_inn.diagnostics.two_samples._PIECE", 1_000)
    assert mmd(few, many, widths=[0.5]) == pytest.approx(found, rel=1e-12)


def test_mmd_default_widths_are_of_the_reference():
    reference = np.array([[0.0], [0.0], [3.0]])  # distances 0, 3, 3
    for draws in ([[1.0], [2.0]], [[50.0], [90.0]]):
        assert mmd(reference, draws) == mmd(reference, draws, widths=np.multiply([0.1, 0.3, 1], 3))
    constant = np.full((5, 2), 7.0)
    assert mmd(constant, constant) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (100, 500)])
def test_mmd_with_the_diagonal_is_larger_by_what_the_docstring_says(n, m):
    rng = np.random.default_rng(10)
    reference, draws = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    gap = mmd(reference, draws, widths=[0.2], biased=True) - mmd(reference, draws, widths=[0.2])
    distances = np.linalg.norm(rng.normal(size=(100_000, 2)) * np.sqrt(2), axis=1)
    mean = np.mean(1 / (1 + (distances / 0.2) ** 2))
    # A mean kernel over n draws errs by about its own size over sqrt(n).
    assert gap == pytest.approx((1 - mean) * (1 / n + 1 / m), rel=0.03)


def test_mmd_memory_is_bounded():
    draws = np.random.default_rng(11).normal(size=(6_000, 1))
    tracemalloc.start()
    mmd(draws, draws, widths=[1.0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # all pairs at once: 288 MB


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (np.zeros((10, 3)), r"mmd: .*\(10, 2\) and \(10, 3\)"),
        (np.zeros((1, 2)), r"m > 1.*\(1, 2\)"),
        (np.zeros(10), r"\(10,\)"),
        (np.full((10, 2), np.nan), "finite"),
    ],
)
def test_mmd_sets_that_do_not_fit(draws, message):
    with pytest.raises(ShapeError, match=message):
        mmd(np.zeros((10, 2)), draws)


@pytest.mark.parametrize("widths", [[], [0.0], [1.0, -1.0], [np.nan], 1.0])
def test_mmd_widths_must_be_positive(widths):
    with pytest.raises(ValueError, match="sequence of positive numbers"):
        mmd(np.zeros((2, 1)), np.zeros((2, 1)), widths=widths)
