"""The spread of latents against rows whose spread is known."""

import math

import pytest
import torch

from sbi_inn.inn import Spread

ROWS, DIM = 4_000, 3


def fitted(factor, rows=ROWS, floor=-40.0, stray=0):
    z = factor * torch.randn(rows, DIM, generator=torch.Generator().manual_seed(1))
    z[:stray] *= 1e4
    spread = Spread(DIM)
    spread.fit(z, log_det=torch.zeros(rows), floor=torch.full((rows,), floor))
    return spread


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_the_spread_of_rows_is_found(factor):
    # A standard deviation from 12,000 numbers is known to 1 / sqrt(24,000); steps are of 1 %.
    error = 4 / math.sqrt(2 * ROWS * DIM) + 0.006
    assert fitted(factor).value.item() == pytest.approx(factor, rel=error)


def test_rows_that_nothing_explains_do_not_decide():
    assert fitted(1.0, stray=20).value.item() == pytest.approx(1.0, abs=0.03)


def test_few_rows_change_little():
    assert fitted(1.5, rows=4).value.item() == pytest.approx(1.0, abs=0.15)


def test_rows_without_a_density_say_nothing():
    z = torch.full((50, DIM), math.nan)
    spread = Spread(DIM)
    spread.fit(z, log_det=torch.zeros(50), floor=torch.full((50,), -40.0))
    assert spread.value.item() == 1.0


def test_it_is_a_bijection_with_its_log_determinant():
    spread = fitted(1.3)
    x = torch.randn(10, DIM, generator=torch.Generator().manual_seed(2))
    z, log_det = spread(x, x)
    back, log_back = spread.inverse(z, x)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(log_det, -log_back)
    torch.testing.assert_close(log_det, (-DIM * spread.value.log()).expand(10))
