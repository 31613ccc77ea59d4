"""Re-simulation error."""

from __future__ import annotations

import numpy as np
import pytest

from sbi_inn.diagnostics.resimulation import resimulation_error
from sbi_inn.errors import ShapeError


def test_distance_is_euclidean_row_by_row():
    rng = np.random.default_rng(0)
    observed, resimulated = rng.normal(size=(4, 3)), rng.normal(size=(4, 5, 3))
    found = resimulation_error(observed, resimulated)
    assert found.shape == (4, 5)
    difference = resimulated[2, 1] - observed[2]
    assert found[2, 1] == pytest.approx(np.sqrt(difference @ difference))


def test_failed_simulations_stay_nan():
    resimulated = np.array([[[0.0, np.nan], [3.0, 4.0]]])
    np.testing.assert_array_equal(resimulation_error([[0.0, 0.0]], resimulated), [[np.nan, 5.0]])


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 2), (3, 5, 3)])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(ShapeError, match=r"\(n, k\).*\(n, m, k\).*got \(4, 3\)"):
        resimulation_error(np.zeros((4, 3)), np.zeros(shape))
