"""Numbers on one scale: what the first batch of training fixes, and that it stays."""

import pytest
import torch

from sbi_inn.summary_networks import DeepSet, SetBatch
from sbi_inn.summary_networks.standard import Standard

ROWS = 400


def sets(seed):
    """Sets of 50 to 500 numbers with a spread of their own."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(50, 501, (ROWS,), generator=generator)
    spread = torch.rand(ROWS, generator=generator) + 0.5
    entries = torch.randn(int(sizes.sum()), 1, generator=generator)
    return SetBatch(entries * spread.repeat_interleave(sizes)[:, None], sizes)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_what_the_first_layer_after_pooling_reads_has_one_scale(pooling):
    network, read = DeepSet(1, features=8, hidden=16, pooling=pooling), []
    network.rho[0].register_forward_pre_hook(lambda _, given: read.append(given[0].detach()))
    network(sets(1))
    network(sets(2))
    for rows in read:
        assert rows.mean(dim=0).abs().max() < 0.5
        assert 0.7 < rows.std(dim=0).min()
        assert rows.std(dim=0).max() < 1.5
    assert read[0].mean(dim=0).abs().max() < 1e-3  # exactly, of the first batch


def test_the_first_batch_of_training_decides_for_good():
    standard, rows = Standard(2), torch.randn(50, 2)
    first = standard(rows)
    assert torch.equal(standard(rows), first)
    standard(100 * rows)
    assert torch.equal(standard(rows), first)
    standard.eval()
    assert torch.equal(standard(rows[:1]), first[:1])


def test_nothing_is_decided_outside_of_training_or_by_a_single_row():
    standard, rows = Standard(2), torch.tensor([[3.0, 4.0]])
    assert torch.equal(standard(rows), rows)
    standard.eval()
    assert torch.equal(standard(torch.randn(9, 2)[:1] * 0 + rows), rows)
    assert not standard.is_set


def test_a_number_that_is_the_same_in_all_rows_stays_finite():
    standard = Standard(1)
    assert torch.equal(standard(torch.full((5, 1), 7.0)), torch.zeros(5, 1))
    assert torch.equal(standard(torch.full((1, 1), 9.0)), torch.full((1, 1), 2.0))


def test_the_scales_are_kept_with_the_weights():
    trained, loaded = Standard(3), Standard(3)
    rows = torch.randn(20, 3) * 5 + 2
    expected = trained(rows)
    loaded.load_state_dict(trained.state_dict())
    assert torch.equal(loaded(rows), expected)
