"""The covariance of many columns, learned from few rows."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from sbi_inn.summary_networks.shrunk_covariance import Shrunk

COLUMNS = 40


@pytest.mark.parametrize("rows", [20, 500])  # fewer than columns, and more
def test_it_is_shrunk_as_scikit_learn_does_it(rows):
    table = np.random.default_rng(1).normal(size=(rows, COLUMNS)) * np.linspace(1, 3, COLUMNS)
    expected, share = ledoit_wolf(table, assume_centered=True)
    assert 0 < share < 1
    shrunk = Shrunk(table)
    inverse = shrunk.solve(shrunk.solve(np.eye(COLUMNS)), transposed=True)
    np.testing.assert_allclose(inverse @ expected, np.eye(COLUMNS), atol=1e-10)


def test_rows_that_are_alike_can_be_whitened():
    table = np.repeat(np.random.default_rng(1).normal(size=(1, COLUMNS)), 10, axis=0)
    assert np.isfinite(Shrunk(table).solve(np.eye(COLUMNS))).all()
