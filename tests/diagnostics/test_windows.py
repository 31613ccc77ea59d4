"""Where scores stray: windows of a column, and quadrants of two."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.windows import FEWEST, best_quadrant, scan


def test_the_window_that_is_off_is_found():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(5_000, 3))
    off = (y[:, 1] > 0.4) & (y[:, 1] < 0.5)  # 3.6 % of the rows
    scores = rng.standard_normal((5_000, 2)) + np.stack([off, 0 * off], axis=1)
    found = scan(y, scores)
    best = int(np.abs(found.z[:, 0]).argmax())
    assert best == 1
    rows = np.sort(y[:, 1])[found.low[1, 0] : found.high[1, 0]]
    assert 0.3 < rows[0] < rows[-1] < 0.6
    assert found.mean[1, 0] == pytest.approx(1, abs=0.35)
    p_value = 2 * st.norm.sf(np.abs(found.z).max(axis=0)) * found.looks
    assert p_value[0] < 1e-6
    assert p_value[1] > 0.05


@pytest.mark.parametrize("n", [60, 1_000])
def test_false_alarms_are_as_rare_as_they_say(n):
    rng = np.random.default_rng(0)
    found = scan(rng.normal(size=(n, 4)), rng.standard_normal((n, 2_000)))
    p_value = 2 * st.norm.sf(np.abs(found.z).max(axis=0)) * found.looks
    assert (p_value < 0.05).mean() < 0.05


def test_a_window_that_matters_comes_before_a_wider_one_that_does_not():
    rng = np.random.default_rng(0)
    y = np.linspace(0, 1, 20_000)[:, None]
    off = np.where(y < 0.3, 0.3, 0.0) + np.where(y < 0.03, 0.5, 0.0)
    scores = off + rng.standard_normal((20_000, 1))
    wide = scan(y, scores)
    assert wide.high[0, 0] == 6_000
    assert not wide.counts.any()
    narrow = scan(y, scores, matters=lambda mean: np.abs(mean) > 0.6, p_value=0.001)
    assert narrow.counts.all()
    assert narrow.high[0, 0] == 600
    assert narrow.mean[0, 0] == pytest.approx(0.8, abs=0.15)
    noise = scan(y, rng.standard_normal((20_000, 1)), matters=lambda mean: np.abs(mean) > 0.01)
    assert noise.looks == wide.looks


def test_windows_never_part_equal_values():
    rng = np.random.default_rng(0)
    coin = rng.integers(0, 2, (1_000, 1)).astype(float)
    found = scan(coin, rng.standard_normal((1_000, 5)))
    tails = int((coin == 0).sum())
    assert set(found.low.ravel()) <= {0, tails}
    assert set(found.high.ravel()) <= {tails, 1_000}


def test_a_window_holds_enough_rows():
    found = scan(np.arange(200.0)[:, None], np.random.default_rng(0).standard_normal((200, 50)))
    assert (found.high - found.low).min() >= FEWEST
    few = scan(np.arange(5.0)[:, None], np.ones((5, 1)))
    assert (few.low[0, 0], few.high[0, 0], few.mean[0, 0]) == (0, 5, 1)


def test_of_many_columns_all_count_as_looks():
    rng = np.random.default_rng(0)
    y, scores = rng.normal(size=(400, 150)), rng.standard_normal((400, 1))
    found = scan(y, scores + y[:, 120:121])
    assert len(found.columns) == 100
    assert 120 in found.columns
    assert found.looks == pytest.approx(1.5 * scan(y[:, :100], scores).looks, rel=0.01)


def test_the_quadrant_of_two_columns():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2_000, 3))
    off = (y[:, 0] > 0) & (y[:, 2] < 0)
    found = best_quadrant(y, off + rng.standard_normal(2_000))
    assert found.columns == (0, 2)
    assert found.above == (True, False)
    assert found.mean == pytest.approx(1, abs=0.2)
    assert found.looks == 12


def test_one_column_has_no_quadrant():
    assert best_quadrant(np.ones((30, 1)), np.ones(30)) is None
