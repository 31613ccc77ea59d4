"""Draws, their weights under the exact prior, and the choice among them."""

import numpy as np
import pytest
import scipy.stats as st
import torch

from sbi_inn.methods import INN
from sbi_inn.methods.bidirectional.importance import Candidates, candidates, log_normal
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork
from sbi_inn.methods.bidirectional.sides import Sides

WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4])
MANY = 40_000


def weighted(log_weight):
    """Make candidates whose x is their place in the row."""
    log_weight = torch.as_tensor(log_weight)
    places = torch.arange(log_weight.shape[1]).expand(log_weight.shape).unsqueeze(2)
    return Candidates(places.double(), log_weight)


def chosen(n, observations=MANY):
    """Choose n of four, for many observations; shape (observations, n)."""
    rows = weighted(np.tile(np.log(WEIGHTS) + 7.0, (observations, 1)))
    return rows.choose(n, np.random.default_rng(1)).numpy()[..., 0].astype(int)


def test_none_is_chosen_twice():
    rng = np.random.default_rng(1)
    rows = weighted(5 * rng.standard_normal((3, 400)))
    found = rows.choose(100, rng)
    assert found.shape == (3, 100, 1)
    assert all(len(np.unique(row)) == 100 for row in found.numpy())
    everything = np.sort(rows.choose(400, rng).numpy()[..., 0])
    assert np.array_equal(everything, np.tile(np.arange(400), (3, 1)))


def test_one_is_chosen_in_proportion_to_its_weight():
    shares = np.bincount(chosen(1).ravel(), minlength=4) / MANY
    assert np.abs((shares - WEIGHTS) / np.sqrt(WEIGHTS * (1 - WEIGHTS) / MANY)).max() < 4


def test_two_are_chosen_as_one_after_another():
    # First one in proportion, then one of the rest: the exact chance to be among the two.
    odds = WEIGHTS / (1 - WEIGHTS)
    then = odds.sum() - odds
    expected = WEIGHTS * (1 + then)
    assert expected.sum() == pytest.approx(2)
    pairs = chosen(2)
    for place in range(2):  # in random order: no place prefers the heavier
        shares = np.bincount(pairs[:, place], minlength=4) / MANY
        error = np.sqrt(expected / 2 * (1 - expected / 2) / MANY)
        assert np.abs((shares - expected / 2) / error).max() < 4


def test_draws_have_the_order_of_nothing():
    pairs = chosen(4)
    assert abs((pairs[:, 0] < pairs[:, 3]).mean() - 0.5) < 4 * np.sqrt(0.25 / MANY)


def test_mass_and_effective_share_of_a_hand_made_example():
    found = weighted(np.log([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]))
    assert np.allclose(found.log_mass, np.log([2.0, 4.0]))
    assert np.allclose(found.effective, [36 / 14 / 3, 1.0])
    # Float32 weights of any size: their logs do not overflow.
    heavy = Candidates(torch.zeros(1, 2, 1), torch.tensor([[400.0, 400.0]]))
    assert heavy.log_mass.item() == pytest.approx(400.0)


@pytest.mark.parametrize("dim", [0, 1, 3])
def test_the_density_of_standard_normal_rows(dim):
    rows = torch.randn(5, dim, generator=torch.Generator().manual_seed(1))
    expected = st.norm.logpdf(rows.numpy()).sum(axis=1)
    assert np.allclose(log_normal(rows), expected, atol=1e-5)


# -- from a network --------------------------------------------------------------------------------


def identity(*, latent=2, width=3):
    """Make a network that starts as x = (y, z, padding)."""
    sides = Sides(parameters=3, observables=1, latent=latent, givens=0, width=width)
    return BidirectionalNetwork(sides, INN(blocks=1, hidden=8, depth=1)).eval()


def drawn(network, n=MANY, *, y=0.5, tolerance=0.0):
    with torch.inference_mode():
        return candidates(
            network,
            torch.tensor([[y], [-y]]),
            torch.zeros(2, 0),
            n,
            np.random.default_rng(1),
            tolerance=torch.tensor([tolerance]),
        )


def test_candidates_of_the_identity():
    found = drawn(identity(), tolerance=0.1)
    assert found.x.shape == (2, MANY, 3)
    y, z = found.x[0, :, 0], found.x[0, :, 1:]
    assert abs(y.mean() - 0.5) < 4 * 0.1 / MANY**0.5
    assert abs(y.std() / 0.1 - 1) < 4 / (2 * MANY) ** 0.5
    assert np.abs(np.cov(z.T) - np.eye(2)).max() < 4 * (2 / MANY) ** 0.5
    # The prior's density over that of z: what is left is the prior's density of y.
    assert np.allclose(found.log_weight[0], st.norm.logpdf(y), atol=1e-5)


def test_the_mass_is_the_priors_density_at_the_observation():
    found = drawn(identity(), n=10)
    assert np.allclose(found.log_mass, st.norm.logpdf([0.5, -0.5]), atol=1e-5)
    assert np.allclose(found.effective, 1.0)


def test_weights_undo_what_is_wrong_with_the_network():
    """Latents twice too wide: the weighted draws have the prior's width all the same."""
    network = identity()
    with torch.no_grad():
        network.flow.bijections[0].log_scale.copy_(torch.tensor([0.0, np.log(0.5), np.log(0.5)]))
    found = drawn(network)
    assert abs(found.x[0, :, 1].std() - 2) < 0.05
    draws = found.choose(MANY // 40, np.random.default_rng(2))
    assert abs(draws[0, :, 1:].std() - 1) < 4 / (2 * 2 * MANY / 40) ** 0.5
    # At y the prior's mass is what it was, by far more candidates than it takes.
    assert np.allclose(found.log_mass, st.norm.logpdf([0.5, -0.5]), atol=0.03)
    # Kish: 1 / E[w^2] for w = N(0, 1) / N(0, 4) under N(0, 4), in two dimensions.
    per_axis = np.sqrt(4 / 7) * 2
    assert np.allclose(found.effective, per_axis**-2, rtol=0.05)


def test_padding_is_zero():
    assert not drawn(identity(latent=1)).x[0, :, 2].any()
