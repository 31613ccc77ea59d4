"""Natural cubic splines, against what they have to be."""

import torch

from sbi_inn.regressions.splines import KNOTS, SPLINES, knots_of, slopes_of_splines, splines

ROWS = torch.randn(2_000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_knots_reach_from_one_end_to_the_other():
    knots = knots_of(ROWS)
    assert knots.shape == (3, KNOTS)
    gaps = knots.diff(dim=1)
    torch.testing.assert_close(gaps, gaps[:, :1].expand_as(gaps))
    beyond = ((ROWS < knots[:, 0]) | (ROWS > knots[:, -1])).double().mean(dim=0)
    assert ((beyond > 0.005) & (beyond < 0.015)).all()


def test_a_fixed_column_gives_finite_splines():
    fixed = torch.full((50, 1), 3.0, dtype=torch.float64)
    assert splines(fixed, knots_of(fixed)).isfinite().all()


def test_they_are_straight_beyond_the_outer_knots():
    knots = knots_of(ROWS)
    for start, step in ((knots[:, 0], -1.0), (knots[:, -1], 1.0)):
        along = start + step * torch.arange(3, dtype=torch.float64)[:, None]
        found = splines(along, knots)
        torch.testing.assert_close(found[2] - found[1], found[1] - found[0])


def test_slopes_are_those_of_the_splines():
    knots, x = knots_of(ROWS), ROWS[:20].clone().requires_grad_()
    found, slopes = splines(x, knots), slopes_of_splines(x.detach(), knots)
    for place in range(3 * SPLINES):
        (by_torch,) = torch.autograd.grad(found[:, place].sum(), x, retain_graph=True)
        column, spline = divmod(place, SPLINES)
        torch.testing.assert_close(slopes[:, column, spline], by_torch[:, column])


def test_they_follow_a_curve():
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)[:, None]
    read = torch.cat([torch.ones_like(x), splines(x, knots_of(x))], dim=1)
    curve = torch.sin(torch.pi * x)  # straight at both ends
    left = curve - read @ torch.linalg.lstsq(read, curve).solution
    # Interpolation errs by up to 5 / 384 of the fourth derivative, times the gap to the fourth.
    assert left.abs().max() < 5 / 384 * torch.pi**4 * (2 / (KNOTS - 1)) ** 4
