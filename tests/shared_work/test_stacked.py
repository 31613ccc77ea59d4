"""Networks side by side, whose gradients are written out, against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sbi_inn.shared_work.stacked import Stacked, said_by

SHAPES = [(3, 4, 7), (3, 1, 7), (3, 7, 7), (3, 1, 7), (3, 7, 5), (3, 1, 5)]
DECAY, STEEPEST, RATE = 1e-2, 0.5, 3e-3


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def test_steps_are_those_of_torch_to_the_last_bit(weights):
    mine = Stacked(weights, DECAY)
    theirs = [weight.clone().requires_grad_() for weight in weights]
    optimiser = torch.optim.AdamW(theirs, lr=RATE, weight_decay=DECAY, foreach=True)
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        x, target = (torch.randn(3, 9, n, generator=generator) for n in (4, 5))
        said = mine(x).requires_grad_()
        (slope,) = torch.autograd.grad(F.softplus(said - target).sum(), said)
        mine.step(slope, STEEPEST, RATE)
        optimiser.zero_grad()
        F.softplus(said_by(theirs, x) - target).sum().backward()
        nn.utils.clip_grad_norm_(theirs, STEEPEST)
        optimiser.step()
        assert all(torch.equal(a, b) for a, b in zip(mine.weights, theirs, strict=True))


def test_a_copy_does_not_change(weights):
    networks = Stacked(weights, DECAY)
    x = torch.ones(3, 2, 4)
    before, kept = networks(x), networks.copy()
    networks.step(torch.ones(3, 2, 5), STEEPEST, RATE)
    assert torch.equal(said_by(kept, x), before)
    assert not torch.equal(networks(x), before)
