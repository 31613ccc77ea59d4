"""The maps of single numbers inside coupling blocks."""

import pytest
import torch

from sbi_inn.flows import Affine, RationalQuadraticSpline
from sbi_inn.flows.spline import SMALLEST_BIN

BOUND = 3.0
SPLINES = {bins: RationalQuadraticSpline(bins, BOUND) for bins in (2, 5, 16)}


def raw(elementwise, *, dim=1, scale=1.0, seed=0, batch=1):
    generator = torch.Generator().manual_seed(seed)
    shape = batch, dim * elementwise.n_parameters
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def grid(low, high, n=2001):
    return torch.linspace(low, high, n, dtype=torch.float64).unsqueeze(1)


@pytest.mark.parametrize("bins", SPLINES)
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_splines_rise(bins, scale, seed):
    x = grid(-1.5 * BOUND, 1.5 * BOUND)
    spline = SPLINES[bins]
    z, _ = spline.forward(x, raw(spline, scale=scale, seed=seed))
    assert (z.diff(dim=0) > 0).all()


@pytest.mark.parametrize("bins", SPLINES)
def test_splines_are_the_identity_outside_and_continuous_at_the_bound(bins):
    spline, parameters = SPLINES[bins], raw(SPLINES[bins], scale=2.0)
    beyond = torch.cat([grid(-1e6, -BOUND), grid(BOUND, 1e6)])
    edge = torch.tensor([[-1.0], [1.0]], dtype=torch.float64) * (BOUND - 1e-12)
    for direction in (spline.forward, spline.inverse):
        y, log_slope = direction(beyond, parameters)
        assert torch.equal(y, beyond)
        assert not log_slope.any()
        y, log_slope = direction(edge, parameters)
        torch.testing.assert_close(y, edge, rtol=0, atol=1e-8)
        torch.testing.assert_close(log_slope, torch.zeros(2).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("bins", SPLINES)
def test_splines_and_their_slopes_are_continuous_at_the_knots(bins):
    spline, parameters = SPLINES[bins], raw(SPLINES[bins], scale=1.0)
    left, bottom, slopes = spline._knots(grid(0, 0, 1), parameters)
    inner = left[0, 0, 1:-1].unsqueeze(1)
    for side in (-1e-12, 1e-12):
        z, log_slope = spline.forward(inner + side, parameters)
        torch.testing.assert_close(z[:, 0], bottom[0, 0, 1:-1], rtol=0, atol=1e-7)
        torch.testing.assert_close(log_slope.exp(), slopes[0, 0, 1:-1], rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("bins", SPLINES)
@pytest.mark.parametrize("seed", range(5))
def test_extreme_splines_stay_invertible(bins, seed, dtype):
    spline = SPLINES[bins]
    # Every parameter at one end or the other.
    parameters = (1e3 * raw(spline, seed=seed, dim=3).sign()).to(dtype)
    z = grid(-BOUND, BOUND, 501).expand(-1, 3).contiguous().to(dtype)
    x, log_slope = spline.inverse(z, parameters)
    back, forward_log_slope = spline.forward(x, parameters)
    for values in (x, log_slope, back, forward_log_slope):
        assert values.isfinite().all()
    for values in (x, back):
        assert (values.abs() <= BOUND).all()
        assert (values.diff(dim=0) >= -1e-6).all()
    # Slopes of a thousand times a thousand magnify what rounding leaves: float32 has nothing left.
    if dtype == torch.float64:
        torch.testing.assert_close(back, z, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("bins", "seed"), [(2, 2), (16, 1)])
def test_extreme_splines_never_leave_their_bound_by_rounding(bins, seed):
    # One in a hundred thousand would, or would have no slope, if the inverse could leave its piece.
    spline, generator = SPLINES[bins], torch.Generator().manual_seed(seed)
    parameters = 1e3 * torch.randn(100_000, spline.n_parameters, generator=generator)
    z = 2 * BOUND * torch.rand(100_000, 1, generator=generator) - BOUND
    x, log_slope = spline.inverse(z, parameters)
    assert (x.abs() <= BOUND).all()
    assert log_slope.isfinite().all()


@pytest.mark.parametrize("bins", [-1, 0, 1, int(1 / SMALLEST_BIN)])
def test_splines_need_room_for_their_pieces(bins):
    with pytest.raises(ValueError, match="bins"):
        RationalQuadraticSpline(bins)


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_splines_need_a_bound(bound):
    with pytest.raises(ValueError, match="bound"):
        RationalQuadraticSpline(8, bound)


@pytest.mark.parametrize("clamp", [0.1, 1.0, 2.0, 7.0])
def test_affine_scale_is_clamped(clamp):
    affine = Affine(clamp)
    log_scale_raw = grid(-1e3, 1e3)
    x = torch.zeros_like(log_scale_raw)
    parameters = torch.cat([log_scale_raw, torch.ones_like(x)], dim=1)
    z, log_slope = affine.forward(x, parameters)
    assert (log_slope.abs() <= clamp).all()
    assert log_slope.max() > 0.99 * clamp
    assert log_slope.min() < -0.99 * clamp
    assert torch.equal(z, torch.ones_like(z))  # the shift comes after the scale


def test_affine_clamp_is_soft():
    # Slope one at zero: small log scales pass as they are.
    small = torch.tensor([[1e-3]], dtype=torch.float64)
    _, log_slope = Affine(2.0).forward(small, torch.cat([small, small], dim=1))
    assert log_slope.item() == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("clamp", [0.0, -2.0, float("nan")])
def test_affine_needs_a_clamp(clamp):
    with pytest.raises(ValueError, match="clamp"):
        Affine(clamp)


@pytest.mark.parametrize("elementwise", [Affine(), *SPLINES.values()])
def test_zero_parameters_are_the_identity(elementwise):
    x = grid(-2 * BOUND, 2 * BOUND, 101).expand(-1, 2).contiguous()
    for direction in (elementwise.forward, elementwise.inverse):
        y, log_slope = direction(x, 0 * raw(elementwise, dim=2))
        torch.testing.assert_close(y, x, rtol=0, atol=1e-12)
        torch.testing.assert_close(log_slope, torch.zeros(101).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("elementwise", [Affine(), SPLINES[5]])
def test_each_dimension_has_parameters_of_its_own(elementwise):
    x = grid(-2, 2, 4).reshape(1, 4)
    z, _ = elementwise.forward(x, raw(elementwise, dim=4))
    shifted = x + torch.tensor([0, 0.1, 0, 0])
    moved, _ = elementwise.forward(shifted, raw(elementwise, dim=4))
    assert (moved != z).tolist() == [[False, True, False, False]]
