"""Noise on observations that fades away in training."""

import pytest
import torch

from sbi_inn.methods.blur import blurred

N = 20_000


@pytest.mark.parametrize(
    ("done", "level"),
    [(0.0, 1.0), (0.35, 0.1), (0.7, 0.01), (0.9, 0.01), (1.0, 0.01)],
)
def test_it_falls_from_the_first_level_to_the_second(done, level):
    vector = torch.full((N, 2), 7.0)
    found = blurred(vector, (1.0, 0.01), done, torch.Generator().manual_seed(1)) - 7
    assert abs(found.mean()) < 4 * level / (2 * N) ** 0.5
    assert found.std().item() == pytest.approx(level, rel=4 / (4 * N) ** 0.5)
    assert torch.equal(vector, torch.full((N, 2), 7.0))


def test_it_never_rises():
    levels = [
        blurred(torch.zeros(N, 1), (0.5, 0.02), done, torch.Generator().manual_seed(1)).std()
        for done in torch.linspace(0, 1, 21).tolist()
    ]
    assert all(a >= b for a, b in zip(levels, levels[1:], strict=False))
