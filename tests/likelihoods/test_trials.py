"""Likelihoods of successes among a number of trials, against laws that are known."""

import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln
from scipy.stats import betabinom

from sbi_inn.flows import LaplaceStart, laplace_start
from sbi_inn.likelihoods import beta_binomial, counts
from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import learned
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.networks import SMALL
from sbi_inn.likelihoods.score_test import too_sure

MANY = torch.tensor([5.0, 8.0, 12.0, 20.0, 40.0, 6.0, 10.0, 30.0]).double()
DOSES = torch.linspace(-1, 1, len(MANY)).double()
SIZE = 6.0


def odds(x):
    return 2 * x[:, :1] + 3 * x[:, 1:] * DOSES


def binomial(n, seed):
    """Level and slope of log odds at eight doses, and successes as log(1 + n)."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    chance = torch.sigmoid(odds(x))
    return x, torch.binomial(MANY.expand_as(chance), chance, generator=draw).log1p()


def scattered(n, seed):
    """A level and a log size of beta-binomial successes of 20 trials each."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    size = SIZE * np.exp(0.7 * x[:, 1:])
    chance = 1 / (1 + np.exp(-1.5 * x[:, :1]))
    drawn = rng.beta(size * chance, size * (1 - chance), (n, 20))
    return torch.from_numpy(x), torch.from_numpy(np.log1p(rng.binomial(20, drawn)))


@pytest.fixture(scope="module")
def rows():
    return binomial(3_000, 1)


@pytest.fixture(scope="module")
def found(rows):
    """Give the likelihood of all rows, and those of all but a part."""
    return learned(*rows)


@pytest.fixture(scope="module")
def wide():
    """Give the likelihood of successes that scatter more, and those of all but a part."""
    return learned(*scattered(4_000, 2))


def exact(y, points=201, half=4.5):
    """Mean and widths of the posterior of each row of binomial successes, on a grid."""
    axis = torch.linspace(-half, half, points).double()
    grid = torch.cartesian_prod(axis, axis)
    at = odds(grid)
    log = y.expm1() @ at.T - torch.nn.functional.softplus(at) @ MANY
    weight = (log - 0.5 * grid.square().sum(dim=1)).softmax(dim=1)
    mean = weight @ grid
    return mean, (weight @ grid.square() - mean.square()).sqrt()


def test_numbers_of_trials_are_seen(rows):
    assert torch.equal(counts.trials(rows[1].expm1()), MANY)
    draw = torch.Generator().manual_seed(1)
    for rate in (0.3, 3.0, 300.0):
        for n in (150, 20_000):
            free = torch.poisson(torch.full((n, 5), rate).double(), generator=draw)
            assert not counts.trials(free).any()
    wide = torch.poisson(torch.randn(20_000, 5, generator=draw).double().exp(), generator=draw)
    assert not counts.trials(wide).any()


def test_slopes_of_the_log_probability():
    n, many = torch.tensor([0.0, 3.0, 20.0]).double(), torch.tensor([4.0, 12.0, 20.0]).double()
    log = torch.tensor([-6.0, -1.0, 2.0]).double().requires_grad_()
    mean = torch.tensor([0.2, 5.0, 15.0]).double().requires_grad_()
    odds = beta_binomial.said_of(mean, many)
    beta_binomial.log_probability(n, odds, log.exp(), many).sum().backward()
    found = beta_binomial.slopes(n, mean.detach(), log.detach().exp(), many)
    for mine, theirs in zip(found, (mean.grad, log.grad), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-8)


def test_a_dispersion_comes_back_from_a_variance():
    dispersion = torch.logspace(-5, 2, 8).double()
    many = torch.full_like(dispersion, 15.0)
    mean, log_variance, *_ = beta_binomial.law(torch.zeros(8).double(), dispersion, many)
    again = beta_binomial.dispersion_of(mean, log_variance, many)
    torch.testing.assert_close(again, dispersion, rtol=1e-6, atol=0.0)


def test_a_linear_law_is_learned_to_a_percent(found):
    likelihood = found[0]
    assert torch.equal(likelihood.trials, MANY)
    x = binomial(500, 2)[0]
    mean, _ = likelihood.law(x)
    # 3,000 rows of 135 trials, six coefficients for each dose.
    assert (mean / MANY - torch.sigmoid(odds(x))).abs().mean() < 0.01


def test_a_dispersion_follows_the_parameters(wide):
    x = torch.tensor([[0.0, -1.0], [0.0, 1.0]]).double()
    mean, log_variance = wide[0].law(x)
    many = wide[0].trials
    dispersion = beta_binomial.dispersion_of(mean, log_variance, many).mean(dim=1)
    expected = torch.exp(-0.7 * x[:, 1]) / SIZE
    assert (dispersion / expected).log().abs().max() < 0.25


def test_slopes_are_those_of_what_is_expected(wide):
    likelihood = wide[0]
    x = scattered(5, 5)[0].requires_grad_()
    said = likelihood(x)
    for place in (0, 19):
        by_torch = torch.autograd.grad(likelihood(x).mean[:, place].sum(), x)[0]
        torch.testing.assert_close(said.mean_slope[:, :, place].detach(), by_torch)
    mean, log_variance = likelihood.law(x.detach())
    torch.testing.assert_close(mean, said.mean.detach())
    torch.testing.assert_close(log_variance, said.log_variance.detach())


def test_the_loss_is_that_of_a_beta_binomial_law(wide):
    likelihood, (x, y) = wide[0], scattered(50, 6)
    _, log_density = likelihood.compare(x, y)
    mean, log_variance = likelihood.law(x)
    size = 1 / beta_binomial.dispersion_of(mean, log_variance, likelihood.trials).numpy()
    n, chance = np.round(np.expm1(y.numpy())), mean.numpy() / 20
    known = betabinom.logpmf(n, 20, chance * size, (1 - chance) * size)
    ways = gammaln(21) - gammaln(n + 1) - gammaln(21 - n)
    assert log_density.numpy() == pytest.approx((known - ways).sum(axis=1), rel=1e-6)


def test_steps_go_downhill(found):
    """What leads a step is the slope of the loss, but that dispersions follow from means."""
    likelihood, (x, y) = found[0], binomial(20, 7)
    x.requires_grad_()
    expected = likelihood(x)
    left = likelihood.left(y, expected.mean, expected.log_variance)
    (by_torch,) = torch.autograd.grad(left.loss.sum(), x)
    slope = expected.mean_slope * torch.exp(-0.5 * expected.log_variance)[:, None]
    uphill = slope @ left.freed[..., None] + expected.log_variance_slope @ left.wider[..., None]
    torch.testing.assert_close(uphill[..., 0].detach(), -by_torch, rtol=1e-5, atol=1e-5)


def test_it_is_as_sure_as_it_may_be(rows, found, wide):
    x, y = rows
    assert too_sure(found[1], x, y, x[:, :0]) == pytest.approx(1, abs=0.15)
    # The score test takes the information of a normal law. Where chances differ as much as here,
    # that of successes is larger.
    x, y = scattered(4_000, 2)
    assert 0.85 < too_sure(wide[1], x, y, x[:, :0]) < 1.5


def test_a_mode_is_found_from_far(found):
    x, y = binomial(50, 8)
    zero, far = torch.zeros(2).double(), torch.full_like(x, 4.0)
    prior = Box(zero, zero - 5, zero + 5, torch.eye(2).double())
    place = modes(found[0], prior, y, (far,)).place
    near = modes(found[0], prior, y, (x,)).place
    torch.testing.assert_close(place, near, rtol=0.0, atol=0.02)


def test_a_start_is_close_to_the_posterior(rows, monkeypatch):
    monkeypatch.setattr(laplace_start, "LARGE", SMALL)  # larger networks would take long
    start = LaplaceStart(2, len(MANY), len(MANY), tuple(range(len(MANY))))
    start.fit(*(part.float() for part in rows))
    assert start.inverts
    _, y = binomial(300, 9)
    mean, sd = exact(y)
    zero = torch.zeros(len(y), 2)
    found, _ = start.inverse(zero, y.float())
    # Means of skewed posteriors lie beside their modes: where all trials have one end.
    off = ((found - mean) / sd).abs()
    assert off.median() < 0.08
    assert off.quantile(0.95) < 0.3
    up, _ = start.inverse(zero + torch.tensor([1.0, 0.0]), y.float())
    assert float(((up - found).norm(dim=1) / sd[:, 0]).median()) == pytest.approx(1, abs=0.25)


def test_more_successes_than_were_ever_seen_are_read_as_all(found):
    x, y = binomial(5, 10)
    all_of_them = MANY.log1p().expand_as(y)
    more = (2 * MANY).log1p().expand_as(y)
    _, log_density = found[0].compare(x, more)
    torch.testing.assert_close(log_density, found[0].compare(x, all_of_them)[1])


def test_trials_beside_counts_without_a_bound():
    draw = torch.Generator().manual_seed(11)
    x, y = binomial(3_000, 11)
    free = torch.poisson((2 + x[:, :1].expand(-1, 3)).exp(), generator=draw).log1p()
    likelihood, _ = learned(x, torch.cat([free, y], dim=1))
    assert likelihood.counted.all()
    assert torch.equal(likelihood.trials, torch.cat([torch.zeros(3).double(), MANY]))
    mean, _ = likelihood.law(x[:200])
    assert (mean[:, :3].log() - (2 + x[:200, :1])).abs().mean() < 0.03
    assert (mean[:, 3:] / MANY - torch.sigmoid(odds(x[:200]))).abs().mean() < 0.01


def test_a_file_of_before_knows_no_trials(found):
    likelihood = found[0]
    old = {n: v for n, v in likelihood.state_dict().items() if n != "trials"}
    again = Likelihood(2, len(MANY))
    again.load_state_dict(old)
    assert again.counted.all()
    assert not again.trials.any()
    assert math.isfinite(float(again.compare(*binomial(5, 12))[1].sum()))
