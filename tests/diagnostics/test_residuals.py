"""One number that does not go with the others."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.residuals import Residuals
from sbi_inn.diagnostics.tails import tail_p_value
from sbi_inn.errors import ShapeError

MIX = np.random.default_rng(0).normal(size=(3, 12))


def rows(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) @ MIX + 0.3 * rng.normal(size=(n, 12))


def test_p_values_of_usual_rows_are_uniform():
    residuals = Residuals.fit(rows(4_000, 1))
    p_value = tail_p_value(residuals.largest(rows(4_000, 2)), residuals.own)
    assert st.kstest(p_value, "uniform").pvalue > 0.01


def test_an_outlier_of_six_sd_is_found_and_named():
    residuals, new = Residuals.fit(rows(4_000, 1)), rows(300, 3)
    new[np.arange(300), np.arange(300) % 12] += 6 * 0.3
    p_value = tail_p_value(residuals.largest(new), residuals.own)
    assert (p_value < 0.001).mean() > 0.8
    assert (residuals.of(new).argmax(axis=1) == np.arange(300) % 12).mean() > 0.95


def test_only_suspects_count():
    residuals = Residuals.fit(rows(1_000, 1), suspects=3)
    new = np.zeros((1, 12))
    before = residuals.largest(new)
    new[0, 5] = 100
    assert residuals.of(new)[0].argmax() == 5
    assert residuals.largest(new) == residuals.of(new)[0, :3].max() ** 2
    assert np.isfinite(before).all()


def test_constant_and_repeated_columns_are_no_obstacle():
    usual = rows(500, 1)
    usual = np.concatenate([usual, usual[:, :2], np.ones((500, 1))], axis=1)
    assert np.isfinite(Residuals.fit(usual).largest(usual)).all()
    assert np.isfinite(Residuals.fit(usual).largest(1e300 * usual)).all()


def test_a_constant_that_differs_is_found():
    usual = np.concatenate([rows(500, 1), np.full((500, 1), 7.0)], axis=1)
    residuals = Residuals.fit(usual)
    new = usual[:1].copy()
    new[0, -1] = 8.0
    assert residuals.of(new)[0].argmax() == 12
    assert tail_p_value(residuals.largest(new), residuals.own)[0] < 1e-3


@pytest.mark.parametrize("bad", [np.ones((3, 2)), np.ones(9), np.full((9, 2), np.nan)])
def test_rows_have_to_be_finite_and_several(bad):
    with pytest.raises(ShapeError, match=r"Residuals.fit: rows must be finite and of shape"):
        Residuals.fit(bad)
