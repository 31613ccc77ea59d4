"""Ridge regressions, of rows left out and turned round."""

import numpy as np
import pytest
import torch

from sbi_inn.regressions.inverse import inverse_regression
from sbi_inn.regressions.left_out import left_out
from sbi_inn.regressions.ridge import Design, left_out_in_parts


def test_offsets_of_columns_do_not_matter_to_a_regression_turned_round():
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(60, 1, generator=draw).double()
    c = x + torch.randn(60, 30, generator=draw)
    predicted, slope = inverse_regression(x, c)
    moved, same = inverse_regression(x + 2, c + 1e4)
    torch.testing.assert_close(moved, predicted, atol=1e-8, rtol=0)
    torch.testing.assert_close(same, slope, atol=1e-8, rtol=0)


def test_memory_that_was_used_before_changes_nothing():
    draw = torch.Generator().manual_seed(5)
    x, c, free = torch.randn(3, 100, 3, generator=draw, dtype=torch.float64)
    free[:, 0] = 2.0  # says nothing beside the offset
    found = []
    for _ in range(20):
        junk = [torch.randint(1, 9, (k,), dtype=torch.int32) for k in range(1, 100)]
        del junk
        found.append(Design(c[:, :0], free=free).ridge(x))
    assert all(torch.equal(one.slope, found[0].slope) for one in found)
    assert all(torch.equal(one.offset, found[0].offset) for one in found)
    # Also exact: of what x is regressed on, nothing is left in the residuals.
    left = x - free @ found[0].slope - found[0].offset
    np.testing.assert_allclose(free.T @ left, 0, atol=1e-9)


@pytest.mark.parametrize("strength", [1e-3, 50.0])
def test_parts_are_predicted_as_if_the_others_alone_had_been_fitted(strength):
    draw = torch.Generator().manual_seed(1)
    c = 5 + torch.randn(200, 40, generator=draw).double()
    x = c[:, :2] + torch.randn(200, 2, generator=draw).double()
    found = left_out_in_parts(x, c, strength)
    for part, others in left_out(200):
        centre, middle = c[others].mean(dim=0), x[others].mean(dim=0)
        columns = c[others] - centre
        square = columns.T @ columns + strength * torch.eye(40).double()
        slope = torch.linalg.solve(square, columns.T @ (x[others] - middle))
        torch.testing.assert_close(found[part], (c[part] - centre) @ slope + middle)
