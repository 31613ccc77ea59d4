"""Gradients of networks and elementwise maps, against differences; the spline's is by hand."""

import pytest
import torch

from sbi_inn.flows import MLP, Affine, Dropout, RationalQuadraticSpline

BOUND = 3.0
ELEMENTWISE = {
    "affine": Affine(clamp=1.5),
    "spline": RationalQuadraticSpline(5, BOUND),
    "spline-two-bins": RationalQuadraticSpline(2, BOUND),
}
SHAPES = {"many": (7, 3, 7), "one-row-of-parameters": (7, 1, 1), "one-row": (1, 2, 1)}


def numbers(*shape, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("way", ["forward", "inverse"])
@pytest.mark.parametrize("seed", range(3))
def test_elementwise_maps_differentiate(name, shape, way, seed):
    elementwise, (batch, dim, rows) = ELEMENTWISE[name], SHAPES[shape]
    x = numbers(batch, dim, seed=seed, scale=1.5)  # now and then outside the bound
    parameters = numbers(rows, dim * elementwise.n_parameters, seed=seed + 1)
    assert torch.autograd.gradcheck(getattr(elementwise, way), (x, parameters))


@pytest.mark.parametrize("way", ["forward", "inverse"])
def test_splines_differentiate_at_their_extremes(way):
    spline = ELEMENTWISE["spline"]
    x = numbers(20, 1, scale=1.5)
    parameters = numbers(20, spline.n_parameters, seed=1, scale=4.0)
    assert torch.autograd.gradcheck(getattr(spline, way), (x, parameters), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("n_out", [2, 9])
@pytest.mark.parametrize(("n_in", "context"), [(2, 3), (0, 3), (2, 0)])
@pytest.mark.parametrize("rows", [1, 6])
def test_subnets_differentiate(depth, n_out, n_in, context, rows):
    net = MLP(n_in, n_out, context=context, hidden=5, depth=depth).double()
    weights = {
        name: numbers(*p.shape, seed=seed) for seed, (name, p) in enumerate(net.named_parameters())
    }

    def call(x, c, *values):
        named = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(net, named, (x, c))

    inputs = numbers(6, n_in, seed=50), numbers(rows, context, seed=51), *weights.values()
    assert torch.autograd.gradcheck(call, inputs)


def test_subnets_with_dropout_differentiate():
    dropout = Dropout(seed=1)
    dropout.rate = 0.5
    net = MLP(2, 3, context=2, hidden=9, depth=3, dropout=dropout).double()
    weights = {
        name: numbers(*p.shape, seed=seed) for seed, (name, p) in enumerate(net.named_parameters())
    }

    mask = dropout.mask(6, 9)
    dropout.mask = lambda rows, width, device: mask  # the same units every time

    def call(x, c, *values):
        named = dict(zip(weights, values, strict=True))
        return torch.func.functional_call(net, named, (x, c))

    inputs = numbers(6, 2, seed=50), numbers(6, 2, seed=51), *weights.values()
    assert torch.autograd.gradcheck(call, inputs)


@pytest.mark.parametrize("rows", [1, 50])
def test_subnets_agree_with_and_without_gradients(rows):
    net = MLP(2, 4, context=3, hidden=16, depth=2)
    torch.nn.init.normal_(net.leave.weight)
    x, context = torch.randn(50, 2), torch.randn(rows, 3)
    with torch.no_grad():
        without = net(x, context)
    torch.testing.assert_close(net(x, context), without)


def test_second_derivatives_of_splines_are_refused():
    x, rows = numbers(4, 2), torch.ones(4, 10, dtype=torch.float64)
    z, _ = RationalQuadraticSpline(2).forward(x, rows)
    (slope,) = torch.autograd.grad(z.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_splines_follow_inference_by_training():
    # What a spline keeps between calls must not be an inference tensor, which training refuses.
    spline = RationalQuadraticSpline(6, 1.25)
    parameters = torch.zeros(3, spline.n_parameters, requires_grad=True)
    with torch.inference_mode():
        spline.forward(torch.zeros(3, 1), parameters)
    z, _ = spline.forward(torch.zeros(3, 1), parameters)
    z.sum().backward()
    assert parameters.grad is not None
