"""The MMD test of a set of rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.mmd_test import mmd_test
from sbi_inn.diagnostics.two_samples import median_widths, mmd
from sbi_inn.errors import ShapeError


@pytest.mark.parametrize(("n", "m"), [(400, 1), (400, 20), (60, 200)])
def test_p_values_are_uniform_under_the_null(n, m):
    rng = np.random.default_rng(n + m)
    found = [
        mmd_test(rng.normal(size=(n, 2)), rng.normal(size=(m, 2)), rng=rng, repetitions=99).p_value
        for _ in range(200)
    ]
    # A multiple of 1/100: spread it evenly below.
    assert st.kstest(np.array(found) - rng.random(200) / 100, "uniform").pvalue > 0.01


def test_a_shifted_set_is_found():
    rng = np.random.default_rng(0)
    reference, rows = rng.normal(size=(2_000, 3)), rng.normal(size=(100, 3)) + [1, 0, 0]
    found = mmd_test(reference, rows, rng=rng, repetitions=400)
    assert found.p_value == 1 / 401
    assert found.value > 1.5 * found.null.max()


def test_a_set_of_which_no_row_is_novel_is_found():
    rng = np.random.default_rng(1)
    found = mmd_test(rng.normal(size=(2_000, 2)), 0.3 * rng.normal(size=(50, 2)), rng=rng)
    assert found.p_value < 0.01


def test_one_row_far_away_is_found():
    rng = np.random.default_rng(2)
    assert mmd_test(rng.normal(size=(2_000, 2)), [[6.0, 0.0]], rng=rng).p_value < 0.01


def test_the_value_is_the_biased_mmd_of_rows_and_half_the_reference():
    rng = np.random.default_rng(3)
    reference, rows = rng.normal(size=(300, 2)), rng.normal(size=(40, 2))
    found = mmd_test(reference, rows, rng=np.random.default_rng(4), repetitions=5)
    half = np.random.default_rng(4).permutation(reference)[:150]
    assert found.value == pytest.approx(mmd(half, rows, biased=True), abs=1e-12)


def test_the_null_is_the_mmd_of_as_many_rows_from_the_reference():
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(4_000, 2))
    null = mmd_test(reference, rng.normal(size=(50, 2)), rng=rng).null
    anchor = rng.normal(size=(1_000, 2))
    widths = median_widths(anchor)
    fresh = [mmd(anchor, rng.normal(size=(50, 2)), widths=widths, biased=True) for _ in range(100)]
    assert null.shape == (500,)
    error = np.std(fresh) / np.sqrt(100)
    # Which 1,000 are the half to compare with shifts all by their own noise, of sd / sqrt(20).
    assert abs(null.mean() - np.mean(fresh)) < 4 * np.hypot(error, np.std(fresh) / np.sqrt(20))


def test_rows_like_one_another_are_no_evidence():
    rng = np.random.default_rng(6)
    assert mmd_test(np.zeros((50, 2)), np.zeros((5, 2)), rng=rng, repetitions=20).p_value == 1


def test_the_same_generator_gives_the_same_answer():
    rng = np.random.default_rng(7)
    reference, rows = rng.normal(size=(100, 2)), rng.normal(size=(10, 2))
    one, other = (mmd_test(reference, rows, rng=np.random.default_rng(8)) for _ in range(2))
    assert one.value == other.value
    assert np.array_equal(one.null, other.null)


@pytest.mark.parametrize(
    ("reference", "rows", "message"),
    [
        (np.zeros((9, 2)), np.zeros((5, 3)), r"got \(9, 2\) and \(5, 3\)"),
        (np.zeros((3, 2)), np.zeros((5, 2)), "n > 3"),
        (np.zeros((9, 2)), np.zeros((0, 2)), "m > 0"),
        (np.zeros((9, 2)), np.zeros(2), r"and \(2,\)"),
        (np.zeros((9, 2)), np.full((5, 2), np.nan), "finite"),
    ],
)
def test_sets_that_do_not_fit(reference, rows, message):
    with pytest.raises(ShapeError, match=f"mmd_test: .*{message}"):
        mmd_test(reference, rows, rng=np.random.default_rng(0))
