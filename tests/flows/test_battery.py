"""One battery of invariants over every bijection, in float64."""

import math
from copy import deepcopy
from functools import cache, partial

import pytest
import torch

from sbi_inn.flows import (
    MLP,
    ActNorm,
    Affine,
    Bijection,
    ChannelMixing,
    ChannelNorm,
    ConvNet,
    Coupling,
    Elementwise,
    FieldFlow,
    Free,
    GaussianStart,
    Haar,
    Informed,
    LaplaceStart,
    Maps,
    OnPart,
    Orthogonal,
    Permutation,
    Pieces,
    RationalQuadraticSpline,
    Regression,
    Stack,
    coupling_flow,
)

CONTEXT = 3
# What fields read of it: a vector, or one number that is the same everywhere and a map of two.
MAPS = (Maps(CONTEXT), Maps(1, ((1, (2,)),)))
subnet = partial(MLP, context=CONTEXT, hidden=16, depth=2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def affine(dim, clamp=2.0):
    return Coupling(dim, Affine(clamp), subnet)


def spline(dim, bins=8, bound=5.0):
    return Coupling(dim, RationalQuadraticSpline(bins, bound), subnet)


def seen(actnorm):
    """Show it its first batch."""
    actnorm.train()(2 + 3 * torch.randn(50, len(actnorm.shift)), torch.zeros(1, CONTEXT))
    assert actnorm.is_set
    return actnorm


def stack(dim, block, n=3):
    parts = []
    for seed in range(n):
        parts += [ActNorm(dim), block(dim), Orthogonal(dim, generator(seed))]
    return Stack(parts)


def flow(dim, transform, context=CONTEXT, mixing="rotation"):
    nets = partial(MLP, context=context, hidden=16, depth=1)
    return coupling_flow(dim, 3, nets, generator(), transform=transform, mixing=mixing)


def pieces(dim, cuts):
    """Cut some axes; a flow takes the others."""
    seen = sum(len(cut) + 1 for cut in cuts.values())
    smooth = dim - len(cuts)
    rest = flow(smooth, "mixed", CONTEXT + seen) if smooth else None
    return Pieces(dim, cuts, subnet, rest)


def regression(dim, n_context=CONTEXT):
    """Fit it to rows that depend on each other and on the context."""
    context = torch.randn(200, CONTEXT)
    x = torch.randn(200, dim) @ torch.randn(dim, dim) + 2 * context.sum(dim=1, keepdim=True)
    fitted = Regression(dim, n_context)
    fitted.fit(x, context[:, :n_context])
    return fitted


def gaussian_start(dim, n_context=CONTEXT):
    """Fit it to rows whose spread depends on the context."""
    context = torch.randn(200, CONTEXT)
    noise = torch.randn(200, dim) * torch.exp(0.5 * context[:, :1])
    x = noise @ torch.randn(dim, dim) + 2 * context.sum(dim=1, keepdim=True)
    fitted = GaussianStart(dim, n_context)
    seen = context[:, -n_context:]
    fitted.fit(x, seen)
    return fitted


def informed(dim):
    """Take the end of the context for what the start says; blocks see all of it."""
    return Informed(gaussian_start(dim), CONTEXT - 2 * dim, flow(dim, "mixed"))


def laplace_start(dim):
    """Fit it to rows that are bent, and noisier in some places than in others."""
    x = torch.randn(600, dim)
    noise = torch.randn(600, CONTEXT) * torch.exp(0.5 * x[:, :1])
    context = torch.sinh(x @ torch.randn(dim, CONTEXT)) + 0.1 * noise
    fitted = LaplaceStart(dim, CONTEXT, CONTEXT, tuple(range(CONTEXT)))
    fitted.fit(x, context)
    assert fitted.inverts
    return fitted


def convolution(sides, transform, maps=MAPS[0], **settings):
    """Coupling of two channels."""
    nets = partial(ConvNet, maps=maps, sides=sides, hidden=6, depth=2, **settings)
    return Coupling(2 * math.prod(sides), transform, nets)


def seen_by_channel(norm):
    """Show it its first batch."""
    norm.train()(2 + 3 * torch.randn(50, 2 * norm.pixels), torch.zeros(1, CONTEXT))
    return norm


def multi_scale(sides, **settings):
    chosen = FieldFlow(hidden=6, depth=1, **settings)
    return chosen.build(sides, MAPS[0], generator())


BIJECTIONS = {
    **{f"affine-{dim}": (dim, partial(affine, dim)) for dim in (1, 2, 3, 5, 10)},
    **{f"spline-{dim}": (dim, partial(spline, dim)) for dim in (1, 2, 3, 5, 10)},
    "affine-tight-clamp": (3, partial(affine, 3, clamp=0.1)),
    "affine-loose-clamp": (3, partial(affine, 3, clamp=10.0)),
    "affine-shallow": (3, lambda: Coupling(3, Affine(), partial(subnet, depth=1))),
    "spline-two-bins": (3, partial(spline, 3, bins=2)),
    "spline-many-bins": (3, partial(spline, 3, bins=40)),
    "spline-narrow": (3, partial(spline, 3, bound=0.7)),
    "mixing-1": (1, lambda: Orthogonal(1, generator())),
    "mixing-5": (5, lambda: Orthogonal(5, generator())),
    "permutation-2": (2, lambda: Permutation(2, generator())),
    "permutation-5": (5, lambda: Permutation(5, generator())),
    "regression-1": (1, partial(regression, 1)),
    "regression-4": (4, partial(regression, 4)),
    "regression-of-less": (3, partial(regression, 3, 1)),
    "gaussian-start-1": (1, partial(gaussian_start, 1)),
    "gaussian-start-4": (4, partial(gaussian_start, 4)),
    "informed-1": (1, partial(informed, 1)),
    "laplace-start-1": (1, partial(laplace_start, 1)),
    "laplace-start-2": (2, partial(laplace_start, 2)),
    "actnorm-before-data": (4, lambda: ActNorm(4)),
    "actnorm-after-data": (4, lambda: seen(ActNorm(4))),
    "stack-empty": (2, lambda: Stack([])),
    "stack-affine-1": (1, lambda: stack(1, affine)),
    "stack-affine-4": (4, lambda: stack(4, affine)),
    "stack-spline-1": (1, lambda: stack(1, spline)),
    "stack-spline-4": (4, lambda: stack(4, spline)),
    **{f"flow-{kind}": (4, partial(flow, 4, kind)) for kind in ("affine", "spline", "mixed")},
    "flow-permuted": (4, partial(flow, 4, "mixed", mixing="permutation")),
    "flow-1": (1, partial(flow, 1, "mixed")),
    "free-affine": (1, lambda: Coupling(1, Affine(), lambda _, n_out: Free(n_out))),
    "free-spline": (1, lambda: Coupling(1, RationalQuadraticSpline(8), lambda _, n: Free(n))),
    "flow-without-context": (4, partial(flow, 4, "mixed", context=0)),
    "haar-profile": (12, lambda: Haar(2, (6,))),
    "haar-map": (24, lambda: Haar(1, (4, 6))),
    "haar-channels": (24, lambda: Haar(3, (2, 4))),
    "channel-norm-before-data": (8, lambda: ChannelNorm(2, 4)),
    "channel-norm-after-data": (8, lambda: seen_by_channel(ChannelNorm(2, 4))),
    "channel-mixing": (12, lambda: ChannelMixing(3, 4, generator())),
    "on-part": (5, lambda: OnPart(4, stack(4, affine, 1))),
    "affine-convolution": (16, partial(convolution, (2, 4), Affine())),
    "affine-convolution-circular": (12, partial(convolution, (6,), Affine(), circular=True)),
    "affine-convolution-of-maps": (4, partial(convolution, (2,), Affine(), MAPS[1])),
    "spline-convolution": (
        12,
        partial(convolution, (2, 3), RationalQuadraticSpline(4), groups=(4, 4, 3)),
    ),
    "multi-scale-map": (64, partial(multi_scale, (8, 8))),
    "multi-scale-flat-map": (24, partial(multi_scale, (4, 6), blocks=1, circular=True)),
    "multi-scale-profile": (16, partial(multi_scale, (16,), transform="affine")),
    "multi-scale-splines": (16, partial(multi_scale, (4, 4), transform="spline", blocks=1)),
    "pieces-1": (1, partial(pieces, 1, {0: [-0.5, 0.3, 2.0]})),
    "pieces-2": (2, partial(pieces, 2, {0: [0.0], 1: [-1.0, 1.0]})),
    "pieces-and-others": (4, partial(pieces, 4, {1: [-0.5, 0.3], 3: [0.7]})),
    "stack-of-stacks": (3, lambda: Stack([stack(3, affine, 1), stack(3, spline, 1)])),
}


@cache  # some are fitted, which takes longer than all that is asked of them
def built(build, seed):
    """Build a bijection in float64, ready for use, with weights that are not zero."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            bijection = build()
            with torch.no_grad():
                for parameter in bijection.parameters():
                    parameter += 0.1 * torch.randn_like(parameter)
    finally:
        torch.set_default_dtype(before)
    return bijection.eval()


def make(name):
    """Give a test a copy of its own."""
    return deepcopy(built(BIJECTIONS[name][1], len(name)))


def points(dim, batch, *, seed=1):
    """Rows of x, some beyond the bound of the splines, and their contexts."""
    x = 2.5 * torch.randn(batch, dim, generator=generator(seed), dtype=torch.float64)
    context = torch.randn(batch, CONTEXT, generator=generator(seed + 1), dtype=torch.float64)
    return x, context


every = pytest.mark.parametrize("name", BIJECTIONS)
couplings = pytest.mark.parametrize(
    "name", [n for n in BIJECTIONS if n.startswith(("affine", "spline"))]
)


def same(a, b, tolerance=1e-8):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def check_log_det(bijection: Bijection, dim: int) -> None:
    """Compare log_det with autograd's determinant of the Jacobian, both ways, row by row."""
    x, context = points(dim, 6)
    for direction in (bijection.forward, bijection.inverse):
        _, log_det = direction(x, context)
        # No row depends on another (a test of its own), so that sums hold the Jacobian of each.
        jacobians = torch.autograd.functional.jacobian(
            lambda v, way=direction: way(v, context)[0].sum(dim=0), x
        )
        same(log_det, torch.linalg.slogdet(jacobians.transpose(0, 1)).logabsdet, 1e-6)


@every
def test_inverse_undoes_forward(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 200)
    z, log_det = bijection(x, context)
    back, inverse_log_det = bijection.inverse(z, context)
    same(back, x)
    same(inverse_log_det, -log_det)


@every
def test_forward_undoes_inverse(name):
    bijection, (z, context) = make(name), points(BIJECTIONS[name][0], 200)
    x, log_det = bijection.inverse(z, context)
    back, forward_log_det = bijection(x, context)
    same(back, z)
    same(forward_log_det, -log_det)


@every
def test_log_det_is_that_of_the_jacobian(name):
    check_log_det(make(name), BIJECTIONS[name][0])


@every
@pytest.mark.parametrize("batch", [0, 1, 2, 100])
@pytest.mark.parametrize("shared", [False, True])
def test_shapes(name, batch, shared):
    x, context = points(BIJECTIONS[name][0], batch)
    if shared:
        context = torch.ones(1, CONTEXT, dtype=torch.float64)
    bijection = make(name)
    for direction in (bijection.forward, bijection.inverse):
        y, log_det = direction(x, context)
        assert y.shape == x.shape
        assert log_det.shape == (batch,)
        assert y.dtype == log_det.dtype == torch.float64


@every
def test_shared_context_is_a_repeated_one(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 20)
    for direction in (bijection.forward, bijection.inverse):
        for one, other in zip(
            direction(x, context[:1]), direction(x, context[:1].repeat(20, 1)), strict=True
        ):
            same(one, other, 1e-12)


@every
@pytest.mark.parametrize("learns", [False, True])
def test_a_context_that_rows_share_is_a_repeated_one(name, learns):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 20)
    each = context[:4].repeat_interleave(5, dim=0)
    with torch.set_grad_enabled(learns):
        for direction in (bijection.forward, bijection.inverse):
            for one, other in zip(direction(x, context[:4]), direction(x, each), strict=True):
                # A search for a mode carries on what rounding differs by.
                same(one, other, 1e-6 if name.startswith("laplace") else 1e-12)


@every
def test_inputs_are_left_alone(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 20)
    x_before, context_before = x.clone(), context.clone()
    with torch.no_grad():  # where in-place changes would go unnoticed by autograd
        z, _ = bijection(x, context)
        z_before = z.clone()
        bijection.inverse(z, context)
    assert torch.equal(x, x_before)
    assert torch.equal(context, context_before)
    assert torch.equal(z, z_before)


@every
def test_rows_are_independent(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 12)
    for direction in (bijection.forward, bijection.inverse):
        y, log_det = direction(x, context)
        alone = [direction(x[i : i + 1], context[i : i + 1]) for i in range(len(x))]
        # A search for a mode carries on what rounding differs by.
        tolerance = 1e-6 if name.startswith("laplace") else 1e-12
        same(y, torch.cat([one for one, _ in alone]), tolerance)
        same(log_det, torch.cat([one for _, one in alone]), tolerance)


@every
def test_state_dict_round_trip(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 20)
    state = {key: value.clone() for key, value in bijection.state_dict().items()}
    fresh = BIJECTIONS[name][1]().double()
    fresh.load_state_dict(state)
    assert state.keys() == fresh.state_dict().keys()
    fresh.double().eval().load_state_dict(state)
    for one, other in zip(bijection(x, context), fresh(x, context), strict=True):
        assert torch.equal(one, other)


@every
def test_gradients_reach_every_parameter(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 200)
    for direction in (bijection.forward, bijection.inverse):
        bijection.zero_grad()
        y, log_det = direction(x, context)
        if not list(bijection.parameters()):
            continue
        (y.square().sum(dim=1) + log_det).sum().backward()
        for key, parameter in bijection.named_parameters():
            assert parameter.grad is not None, key
            assert parameter.grad.isfinite().all(), key
            assert parameter.grad.any(), key


@every
def test_gradients_reach_x_and_context(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 50)
    y, log_det = bijection(x.requires_grad_(), context.requires_grad_())
    (y.square().sum() + log_det.sum()).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.any(dim=1).all()
    if name.startswith(("affine", "spline", "stack-affine", "stack-spline")):
        assert context.grad is not None
        assert context.grad.isfinite().all()
        assert context.grad.any(dim=1).sum() > 25  # rows outside a spline's bound get none


@couplings
def test_couplings_start_as_the_identity(name):
    bijection, (x, context) = BIJECTIONS[name][1]().double(), points(BIJECTIONS[name][0], 50)
    for direction in (bijection.forward, bijection.inverse):
        y, log_det = direction(x, context)
        same(y, x, 1e-12)
        same(log_det, torch.zeros_like(log_det), 1e-12)


@couplings
def test_couplings_read_the_context_and_change_every_dimension(name):
    bijection, (x, context) = make(name), points(BIJECTIONS[name][0], 200)
    z, _ = bijection(x, context)
    other, _ = bijection(x, context + 1)
    for moved in (z != x, z != other):
        assert moved.any(dim=0).all()


def test_a_flow_normalises_transforms_and_rotates_in_turn():
    parts = [type(part) for part in flow(4, "mixed").bijections]
    assert parts == [ActNorm, Coupling, *[Orthogonal, ActNorm, Coupling] * 2]
    for name, turns in (
        ("affine", [Affine, Affine, Affine]),
        ("mixed", [Affine, RationalQuadraticSpline, Affine]),
    ):
        couplings = [b for b in flow(4, name).bijections if isinstance(b, Coupling)]
        assert [type(c.transform) for c in couplings] == turns
    with pytest.raises(ValueError, match="transform must be one of .*got 'planar'"):
        flow(4, "planar")


class WrongSign(Elementwise):
    """An affine map whose log slope has the sign of the other direction."""

    n_parameters = 2

    def __init__(self):
        self.right = Affine()

    def forward(self, x, parameters):
        z, log_slope = self.right.forward(x, parameters)
        return z, -log_slope

    def inverse(self, z, parameters):
        x, log_slope = self.right.inverse(z, parameters)
        return x, -log_slope


class Forgetful(Stack):
    """A stack that leaves out the log-determinant of its last part."""

    def forward(self, x, context):
        z, _ = super().forward(x, context)
        log_dets = []
        for bijection in list(self.bijections)[:-1]:
            x, log_det = bijection(x, context)
            log_dets.append(log_det)
        return z, torch.stack(log_dets).sum(dim=0)


def test_a_wrong_sign_is_noticed(monkeypatch):
    for dim in (1, 3):
        planted = (dim, lambda dim=dim: Coupling(dim, WrongSign(), subnet))
        monkeypatch.setitem(BIJECTIONS, "planted", planted)
        # The two directions agree with each other, so that only the Jacobian can tell.
        test_inverse_undoes_forward("planted")
        with pytest.raises(AssertionError, match="not close"):
            check_log_det(make("planted"), dim)


def test_a_forgotten_term_is_noticed(monkeypatch):
    planted = (3, lambda: Forgetful([affine(3), ActNorm(3)]))
    monkeypatch.setitem(BIJECTIONS, "planted", planted)
    with pytest.raises(AssertionError, match="not close"):
        check_log_det(make("planted"), 3)
