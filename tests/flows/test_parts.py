"""Activation normalisation, mixing, the latent distribution and the networks inside."""

import math

import numpy as np
import pytest
import scipy.stats as st
import torch

from sbi_inn.flows import MLP, ActNorm, ConvNet, Haar, Maps, Normal, Orthogonal

NOTHING = torch.zeros(1, 0)


def data(n=500, seed=0):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return x * torch.tensor([0.01, 1.0, 100.0]) + torch.tensor([5.0, 0.0, -300.0])


def test_the_first_training_batch_sets_actnorm():
    actnorm, x = ActNorm(3), data()
    z, log_det = actnorm(x, NOTHING)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(z.std(dim=0), torch.ones(3), rtol=1e-3, atol=0)
    expected = -x.std(dim=0).log().sum()
    torch.testing.assert_close(log_det, expected.expand(500), rtol=1e-4, atol=1e-4)


def test_later_batches_change_nothing():
    actnorm = ActNorm(3)
    actnorm(data(), NOTHING)
    before = actnorm.shift.detach().clone()
    actnorm(data(seed=1) + 10, NOTHING)
    assert torch.equal(actnorm.shift, before)


def test_neither_evaluation_nor_one_row_sets_actnorm():
    actnorm = ActNorm(3)
    actnorm.eval()(data(), NOTHING)
    actnorm.train()(data(1), NOTHING)
    assert not actnorm.is_set
    assert not actnorm.shift.any()
    actnorm(data(2), NOTHING)
    assert actnorm.is_set


def test_a_loaded_actnorm_is_not_set_again():
    first, second = ActNorm(3), ActNorm(3)
    first(data(), NOTHING)
    second.load_state_dict(first.state_dict())
    second.train()(data(seed=1) + 10, NOTHING)
    assert torch.equal(first.shift, second.shift)


def test_a_constant_dimension_stays_finite_in_actnorm():
    z, log_det = ActNorm(2)(torch.tensor([[1.0, 7.0], [2.0, 7.0]]), NOTHING)
    assert z.isfinite().all()
    assert log_det.isfinite().all()
    assert not z[:, 1].any()


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_mixing_is_orthogonal_and_follows_its_generator(dim):
    one, same, other = (
        Orthogonal(dim, torch.Generator().manual_seed(seed)).matrix for seed in (1, 1, 2)
    )
    torch.testing.assert_close(one @ one.T, torch.eye(dim), rtol=0, atol=1e-6)
    assert torch.equal(one, same)
    assert dim == 1 or not torch.equal(one, other)


def test_mixing_matrices_are_uniform():
    # Every entry of a uniform orthogonal matrix has mean 0 and variance 1 / dim; without the signs
    # of Mezzadri's remedy the diagonal is one-sided.
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([Orthogonal(3, generator).matrix for _ in range(2000)])
    error = (1 / 3 / 2000) ** 0.5
    assert (draws.mean(dim=0).abs() < 4 * error).all()
    torch.testing.assert_close(
        draws.square().mean(dim=0), torch.full((3, 3), 1 / 3), rtol=0, atol=0.03
    )


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_latent_density_is_scipys(dim):
    z = 3 * np.random.default_rng(0).standard_normal((40, dim))
    ours = Normal(dim).log_prob(torch.from_numpy(z)).numpy()
    theirs = np.atleast_1d(st.multivariate_normal(np.zeros(dim)).logpdf(z))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_latent_draws_are_normal_and_follow_their_generator():
    one, same = (Normal(2).sample(5000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, same)
    assert one.shape == (5000, 2)
    assert st.kstest(one.flatten().numpy(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(one.T.numpy())[0, 1]) < 4 / 5000**0.5
    assert Normal(2).sample(0, torch.Generator()).shape == (0, 2)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_subnet_starts_at_zero_and_shares_a_context(depth):
    net = MLP(2, 5, context=3, hidden=8, depth=depth)
    x, context = torch.randn(6, 2), torch.randn(1, 3)
    assert not net(x, context).any()
    torch.nn.init.normal_(net.leave.weight)
    torch.testing.assert_close(net(x, context), net(x, context.repeat(6, 1)))
    assert net(x, context).shape == (6, 5)
    assert len(net.hidden) == depth - 1


def test_subnet_without_a_context_reads_the_vector_alone():
    net = MLP(2, 5, context=0, hidden=8, depth=2)
    torch.nn.init.normal_(net.leave.weight)
    x = torch.randn(6, 2)
    assert torch.equal(net(x, torch.randn(6, 0)), net(x, torch.randn(1, 0)))
    assert (net(x, x[:, :0]) != net(x + 1, x[:, :0])).all()
    # With neither there is nothing to read; a context carries the bias of the first layer.
    with pytest.raises(ValueError, match="a vector or a context; got n_in = 0 and context = 0"):
        MLP(0, 5, context=0, hidden=8, depth=1)
    for context in (0, 3):
        first = [n for n, _ in MLP(2, 5, context=context, hidden=8, depth=1).named_parameters()]
        assert sum(name.startswith(("steer.bias", "enter.bias")) for name in first) == 1


def test_subnet_of_the_context_alone_costs_one_row():
    net = MLP(0, 5, context=3, hidden=8, depth=2)
    assert net(torch.empty(6, 0), torch.randn(1, 3)).shape == (1, 5)


def test_haar_is_orthonormal_and_sorts_means_from_differences():
    for channels, sides in ((1, (4, 6)), (2, (8,)), (3, (2, 2))):
        haar, dim = Haar(channels, sides), channels * math.prod(sides)
        matrix, _ = haar(torch.eye(dim), torch.zeros(1, 0))
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(dim))
    ramp = torch.arange(4.0).repeat(4)  # rises along the width
    z = Haar(1, (4, 4))(ramp[None], torch.zeros(1, 0))[0].reshape(4, 2, 2)
    assert z[0].flatten().tolist() == pytest.approx([1, 5, 1, 5])
    along_width = [kind for kind in (1, 2, 3) if z[kind].abs().max() > 1e-6]
    assert len(along_width) == 1
    with pytest.raises(ValueError, match="even sides"):
        Haar(1, (4, 5))


def test_convolutions_read_whole_channels_only():
    with pytest.raises(ValueError, match="whole channels of 16 pixels"):
        ConvNet(20, 32, maps=Maps(3), sides=(4, 4), hidden=4, depth=1)
    with pytest.raises(ValueError, match="no map of sides"):
        Maps(1, ((2, (4, 4)),)).at(torch.zeros(1, 33), (2, 2))


def test_a_circular_network_moves_with_its_input():
    torch.manual_seed(1)
    net = ConvNet(8, 16, maps=Maps(1), sides=(8,), hidden=4, depth=2, circular=True)
    torch.nn.init.normal_(net.leave.weight)
    x, context = torch.randn(3, 8), torch.zeros(1, 1)
    moved = net(x.roll(3, 1), context).unflatten(1, (2, 8)).roll(-3, 2).flatten(1)
    torch.testing.assert_close(net(x, context), moved)
