"""Regressions turned round, and regressions on columns that have others beside them."""

import pytest
import torch

from sbi_inn.regressions.inverse import FLOOR, KEPT, _covariances, _slopes, _solved
from sbi_inn.regressions.left_out import left_out
from sbi_inn.regressions.ridge import Regressors


def drawn(rows, columns, seed):
    """Draw parameters (rows, 2), and columns linear in them, with noises that go together."""
    generator = torch.Generator().manual_seed(seed)
    x, shared = (torch.randn(rows, 2, generator=generator).double() for _ in range(2))
    mix = torch.randn(2, columns, generator=generator).double()
    noise = torch.randn(rows, columns, generator=generator).double()
    return x, x @ mix + 0.5 * shared @ mix.flip(1) + noise


def test_covariances_leave_out_a_part_each_and_then_none():
    x, c = drawn(90, 5, 1)
    columns = torch.cat([x, c], dim=1) + 3
    found = _covariances(columns)
    rows = [*(others for _, others in left_out(90)), torch.arange(90)]
    for one, mine in zip(found, rows, strict=True):
        torch.testing.assert_close(one, torch.cov(columns[mine].T, correction=0))


def test_slopes_are_those_of_lindley_and_smith():
    """(B S^-1 B' + T^-1)^-1 B S^-1, with a share of the covariance beside the diagonal."""
    x, c = drawn(200, 6, 2)
    covariance = torch.cov(torch.cat([x, c], dim=1).T, correction=0)
    of_x, of_c, both = covariance[:2, :2], covariance[2:, 2:], covariance[:2, 2:]
    slope = torch.linalg.inv(of_x) @ both
    noise = of_c - slope.T @ both
    for kept, found in zip(KEPT, _slopes(covariance[None], 2), strict=True):
        mixed = kept * noise + (1 - kept) * noise.diagonal().diag()
        told = slope @ torch.linalg.inv(mixed)
        expected = torch.linalg.inv(told @ slope.T + torch.linalg.inv(of_x)) @ told
        torch.testing.assert_close(found[0], expected.T, rtol=10 * FLOOR, atol=10 * FLOOR)


@pytest.mark.parametrize("beside", [0.5, 3.0], ids=["positive", "not positive"])
def test_it_is_solved_also_where_rounding_has_made_a_covariance_negative(beside):
    noise, own = torch.full((1, 3, 3), beside).double(), torch.ones(1, 3).double()
    slope = torch.arange(6.0).double().reshape(1, 3, 2)
    matrix = noise.clone()
    matrix[0].fill_diagonal_(1.0)
    torch.testing.assert_close(matrix @ _solved(noise, own, slope), slope)


def test_columns_beside_others_are_regressed_on_as_if_they_had_been_there():
    x, c = drawn(80, 6, 3)
    more = torch.stack([x[:, 0] ** 2, c[:, 0] * c[:, 1]], dim=1)
    plain = Regressors(c, 4)
    plain.linear(x)  # what it has decomposed serves again
    found, fresh = (on.linear(x) for on in (plain.beside(more), Regressors(c, 4, more)))
    assert found.way == fresh.way
    torch.testing.assert_close(found.slope, fresh.slope)
    torch.testing.assert_close(found.residual, fresh.residual)
