"""Modes by a likelihood, against those that are known."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import learned
from sbi_inn.likelihoods.likelihood import Likelihood


def test_a_mode_is_where_a_linear_problem_has_it():
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(2_000, 2, generator=draw).double()
    slope = torch.randn(2, 8, generator=draw).double()
    y = x @ slope + 0.5 * torch.randn(2_000, 8, generator=draw).double()
    likelihood, _ = learned(x, y)
    zero, eye = torch.zeros(2).double(), torch.eye(2).double()
    found = modes(likelihood, Box(zero, zero - 6, zero + 6, eye), y[:500], (0 * x[:500],))
    precision = slope @ slope.T / 0.25 + eye
    exact = y[:500] @ slope.T @ torch.linalg.inv(precision) / 0.25
    width = torch.linalg.inv(precision).diagonal().sqrt()
    assert ((found.place - exact) / width).square().mean().sqrt() < 0.25
    sizes = torch.linalg.inv(found.precision).diagonal(dim1=1, dim2=2).sqrt()
    np.testing.assert_allclose((sizes / width).log().mean(dim=0).exp(), 1, atol=0.1)


def test_the_likelier_of_two_modes_is_taken():
    zero, one = torch.zeros(1).double(), torch.eye(1).double()
    likelihood = Likelihood(1, 1)  # y = x^2, as features x and x^2
    likelihood.slope.copy_(torch.tensor([[0.0], [1.0]]).double())
    likelihood.size.fill_(0.1)
    box = Box(zero + 0.5, zero - 3, zero + 3, one)
    y = torch.tensor([[1.0]]).double()
    starts = (zero[None] - 1, zero[None] + 1)
    for order in (starts, starts[::-1]):
        assert modes(likelihood, box, y, order).place.item() == pytest.approx(1, abs=0.05)


def test_the_mode_of_an_observation_with_little_noise_is_reached():
    """Noise of three usual spreads below its usual size: steps have a long way to go."""
    draw = torch.Generator().manual_seed(1)
    coefficients, values = 6, 60
    design = torch.randn(values, coefficients, generator=draw).double()

    def simulated(x):
        noise = 3 * x[:, coefficients:].exp()
        drawn = torch.randn(len(x), values, generator=draw).double()
        return (10 * x[:, :coefficients] @ design.T + noise * drawn) / 20

    x = torch.randn(2_000, coefficients + 1, generator=draw).double()
    likelihood, _ = learned(x, simulated(x))
    x = x[:5]
    x[:, -1] = -3.0
    y, zero, one = simulated(x), torch.zeros_like(x), torch.eye(coefficients + 1).double()
    found = modes(likelihood, Box(zero[0], zero[0] - 4, zero[0] + 4, one), y, (zero,))

    def to_lower(x, here):
        x = torch.from_numpy(x)[None]
        return float(0.5 * x.square().sum() - likelihood.compare(x, here[None])[1])

    for place, loss, here in zip(found.place.numpy(), found.loss, y, strict=True):
        assert to_lower(place, here) == pytest.approx(float(loss), abs=1e-6)
        best = minimize(to_lower, place, args=(here,), method="BFGS")
        assert best.fun > float(loss) - 0.05
