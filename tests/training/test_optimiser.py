"""The optimiser against torch's own."""

import torch

from sbi_inn.training.optimiser import AdamW


def test_it_is_the_optimiser_of_torch():
    start = torch.linspace(-1, 1, 7)
    mine, theirs = start.clone(), torch.nn.Parameter(start.clone())
    ours = AdamW([mine], betas=(0.9, 0.99), weight_decay=0.1)
    reference = torch.optim.AdamW([theirs], betas=(0.9, 0.99), weight_decay=0.1)
    generator = torch.Generator().manual_seed(1)
    for step in range(20):
        gradient = torch.randn(7, generator=generator)
        mine.grad, theirs.grad = gradient, gradient.clone()
        rate = 0.01 / (1 + step)
        ours.step(rate)
        reference.param_groups[0]["lr"] = rate
        reference.step()
    torch.testing.assert_close(mine, theirs.detach())
    assert not torch.equal(mine, start)
