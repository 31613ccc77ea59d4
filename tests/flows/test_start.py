"""Where a flow starts from, and what keeps it from learning rows by heart."""

import numpy as np
import pytest
import torch

from sbi_inn.flows import MLP, Dropout, Permutation, Regression


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(n, seed=0, noise=0.5):
    """Rows of x = c A + noise that is correlated, and their contexts."""
    draw = generator(seed)
    slope = torch.tensor([[1.0, -2.0], [0.5, 0.0], [0.0, 3.0]])
    colour = noise * torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    context = torch.randn(n, 3, generator=draw)
    return context @ slope + 4.0 + torch.randn(n, 2, generator=draw) @ colour, context, slope


def test_the_regression_of_linear_data_is_their_posterior():
    x, context, slope = linear(20_000)
    regression = Regression(2, 3)
    regression.fit(x, context)
    torch.testing.assert_close(regression.slope.data, slope, atol=0.02, rtol=0)
    x, context, _ = linear(20_000, seed=1)
    z, log_det = regression(x, context)
    # Three standard errors of a variance from 20,000 rows, in either set: 3 * .01 * sqrt(2).
    np.testing.assert_allclose(z.detach().mean(dim=0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(z.detach().T), np.eye(2), atol=0.043)
    assert log_det[0].item() == pytest.approx(-np.log(0.5 * 0.5 * 0.6), abs=0.03)


def test_a_context_of_noise_is_shrunk_away():
    # Fifty useless features for sixty rows: least squares would fit them nearly exactly.
    x = torch.randn(100, 1, generator=generator())
    context = torch.randn(100, 50, generator=generator(1))
    regression = Regression(1, 50)
    regression.fit(x, context)
    new, noise = torch.randn(2_000, 1, generator=generator(2)), context.repeat(20, 1)
    z, _ = regression(new, noise)
    assert z.std().item() < 1.3


def test_constant_and_repeated_features_do_no_harm():
    x, context, _ = linear(500)
    context = torch.cat([context, context, torch.ones(500, 1)], dim=1)
    regression = Regression(2, 7)
    regression.fit(x, context)
    z, _ = regression(x, context)
    np.testing.assert_allclose(np.cov(z.detach().T), np.eye(2), atol=0.15)


def test_without_a_context_it_shifts_and_whitens():
    x, context, _ = linear(500)
    regression = Regression(2, 0)
    regression.fit(x, context[:, :0])
    z, _ = regression(x, context)
    np.testing.assert_allclose(np.cov(z.detach().T), np.eye(2), atol=0.01)
    torch.testing.assert_close(regression.inverse(z, context)[0], x)


def test_a_deterministic_relation_stays_finite():
    context = torch.randn(200, 1, generator=generator())
    x = torch.cat([context, context], dim=1)
    regression = Regression(2, 1)
    regression.fit(x, context)
    z, log_det = regression(x, context)
    assert z.isfinite().all()
    assert log_det.isfinite().all()


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    dropout = Dropout(seed=1)
    dropout.rate = rate
    mask = dropout.mask(1_000, 33)
    assert mask is not None
    n = mask.numel()
    error = np.sqrt(rate * (1 - rate) / n)
    assert (mask == 0).float().mean().item() == pytest.approx(rate, abs=4 * error + 1 / 512)
    assert mask.mean().item() == pytest.approx(1, abs=4 * error / (1 - rate))
    # Neighbours are dropped independently.
    pairs = ((mask[:, 0] == 0) & (mask[:, 1] == 0)).float().mean().item()
    assert pairs == pytest.approx(rate**2, abs=4 * rate / np.sqrt(1_000))


def test_dropout_is_for_training_alone_and_follows_its_seed():
    def outputs(training):
        dropout = Dropout(seed=3)
        dropout.rate = 0.5
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = MLP(2, 2, context=0, hidden=8, depth=2, dropout=dropout).train(training)
            torch.nn.init.normal_(net.leave.weight)
        x = torch.ones(4, 2)
        return net(x, x[:, :0]), net(x, x[:, :0])

    first, second = outputs(training=True)
    assert not torch.equal(first, second)
    assert torch.equal(first, outputs(training=True)[0])
    assert torch.equal(*outputs(training=False))


def test_permutations_move_every_dimension_to_one_place():
    x = torch.arange(5.0)[None]
    orders = {tuple(Permutation(5, generator(s))(x, x)[0][0].tolist()) for s in range(20)}
    assert len(orders) > 10
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert Permutation(2, generator())(x[:, :2], x)[0].tolist() == [[1.0, 0.0]]
