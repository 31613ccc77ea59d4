"""The perceptron of every entry, computed in pieces, against torch's own layers."""

import pytest
import torch
from torch import nn

from sbi_inn.summary_networks.entrywise import PIECE, Entrywise
from sbi_inn.training.loop import seeded


@pytest.fixture
def network():
    with seeded(1):
        return Entrywise(3, hidden=8).double()


def plain(network):
    return nn.Sequential(network.first, nn.SiLU(), network.second, nn.SiLU())


@pytest.mark.parametrize("rows", [0, 1, PIECE - 1, PIECE, 2 * PIECE + 7])
def test_values_and_gradients_are_those_of_the_layers(network, rows):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(rows, 3, dtype=torch.float64, generator=generator)
    weights = torch.randn(rows, 8, dtype=torch.float64, generator=generator)
    found = []
    for function in (network, plain(network)):
        inputs = x.clone().requires_grad_()
        out = function(inputs)
        gradients = torch.autograd.grad((out * weights).sum(), [inputs, *network.parameters()])
        found.append((out, *gradients))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_inputs_are_left_alone_and_need_no_gradient(network):
    x = torch.randn(PIECE + 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    before = x.clone()
    network(x).sum().backward()
    assert torch.equal(x, before)
    assert all(p.grad is not None for p in network.parameters())


def test_without_a_gradient_the_values_are_the_same(network):
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        values = network(x)
    assert torch.equal(values, network(x))
    assert not values.requires_grad
