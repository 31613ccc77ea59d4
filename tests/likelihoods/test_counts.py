"""Likelihoods of counts, against laws that are known."""

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import nbinom

from sbi_inn.flows import LaplaceStart
from sbi_inn.likelihoods import counts, negative_binomial
from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import learned
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.score_test import too_sure

YEARS = torch.linspace(-1, 1, 20).double()
SIZE = 4.0


def poisson(n, seed):
    """Level and slope of a log rate in 20 years, and counts as log(1 + n)."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    return x, torch.poisson(log_rate(x).exp(), generator=draw).log1p()


def log_rate(x):
    return 2 + 1.5 * x[:, :1] + x[:, 1:] * YEARS


def scattered(n, seed):
    """A level and a log size of negative binomial counts."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    size = SIZE * np.exp(0.7 * x[:, 1:])
    rate = rng.gamma(size, np.exp(3 + x[:, :1]) / size, (n, 20))
    return torch.from_numpy(x), torch.from_numpy(np.log1p(rng.poisson(rate)))


@pytest.fixture(scope="module")
def rows():
    return poisson(3_000, 1)


@pytest.fixture(scope="module")
def found(rows):
    """Give the likelihood of all rows, and those of all but a part."""
    return learned(*rows)


@pytest.fixture(scope="module")
def wide():
    """Give the likelihood of counts that scatter more, and those of all but a part."""
    return learned(*scattered(4_000, 2))


def exact(y, points=201, half=4.5):
    """Mean and widths of the posterior of each row of Poisson counts, on a grid."""
    axis = torch.linspace(-half, half, points).double()
    grid = torch.cartesian_prod(axis, axis)
    at = log_rate(grid)
    log = y.expm1() @ at.T - at.exp().sum(dim=1) - 0.5 * grid.square().sum(dim=1)
    weight = log.softmax(dim=1)
    mean = weight @ grid
    return mean, (weight @ grid.square() - mean.square()).sqrt()


def test_counts_are_seen():
    draw = torch.Generator().manual_seed(1)
    rate = torch.full((100, 1), 3.0).double()
    n = torch.poisson(rate, generator=draw)
    columns = [n.log1p(), n, n.clamp(max=1).log1p(), n.log1p() + 0.1, -n.log1p()]
    assert counts.counted(torch.cat(columns, dim=1)).tolist() == [True, *[False] * 4]
    large = torch.poisson(1e5 * rate, generator=draw).log1p().float().double()
    assert counts.counted(large).all()


def test_slope_of_the_dispersion():
    n = torch.tensor([0.0, 3.0, 50.0]).double()
    log = torch.tensor([-8.0, -1.0, 2.0]).double().requires_grad_()
    rate = torch.tensor([0.2, 5.0, 40.0]).double()
    negative_binomial.log_probability(n, rate.log(), log.exp()).sum().backward()
    found = negative_binomial.slope_of_dispersion(n, rate, log.detach().exp())
    torch.testing.assert_close(found, log.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("trials", [0.0, 30.0])
def test_slopes_of_losses_are_those_of_torch(trials):
    draw = torch.Generator().manual_seed(1)
    n = torch.randint(0, 31, (50, 3), generator=draw).double()
    said = (2 * torch.randn(50, 3, generator=draw).double()).requires_grad_()
    # Some are smaller and larger than any dispersion may be.
    log = (8 * torch.randn(50, 3, generator=draw).double()).requires_grad_()
    many = torch.full((3,), trials).double()
    counts.loss(n, said, log, many).sum().backward()
    found = counts.slopes_of_loss(n, said.detach(), log.detach(), many)
    for mine, theirs in zip(found, (said.grad, log.grad), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


def test_a_scatter_beyond_poisson_is_found():
    x, y = scattered(8_000, 3)
    x[:, 1] = 0
    rng = np.random.default_rng(4)
    rate = np.exp(3 + x[:, :1].numpy())
    n = torch.from_numpy(rng.poisson(rng.gamma(SIZE, rate / SIZE)).astype(float))
    found, dispersion = counts.regressed(x[:, :1], n, torch.zeros(1))
    # 8,000 counts: errors of about .006 and 2 %, and dispersions are tried by steps of 3.2.
    assert found[:, 0].tolist() == pytest.approx([1, 3], abs=0.03)
    assert abs(math.log(float(dispersion) * SIZE)) < math.log(3.2)


@pytest.mark.parametrize("trials", [0, 30])
def test_the_likeliest_dispersion_of_all_is_found(trials):
    rng = np.random.default_rng(5)
    said = rng.normal(1, 2, (1_000, 40))
    wide = np.logspace(-7, 2, 40)  # a dispersion each, beyond those that are tried
    n = rng.poisson(rng.gamma(1 / wide, np.exp(said) * wide))
    n, said = (torch.from_numpy(a.astype(float)) for a in (n.clip(max=trials or None), said))
    many = torch.full((40,), float(trials))
    likely = torch.stack(
        [
            -counts.loss(n, said, one.log().expand_as(n), many).sum(dim=0)
            for one in counts.TRIED.to(n)
        ]
    )
    assert torch.equal(counts.scattered(n, said, many), counts.TRIED.to(n)[likely.argmax(dim=0)])


def test_information_of_counts_is_that_of_noises_that_are_independent(wide):
    likelihood, (x, _) = wide[0], scattered(30, 7)
    there = likelihood(x)
    slope = there.mean_slope * torch.exp(-0.5 * there.log_variance)[:, None]
    found = likelihood.information(slope, there.log_variance_slope)
    mixed = deepcopy(likelihood)
    mixed.counted[0] = False  # a normal observable whose noise goes with no other
    mixed.correlation = mixed.inverse = torch.eye(len(mixed.counted)).double()
    torch.testing.assert_close(mixed.information(slope, there.log_variance_slope), found)


def test_a_linear_law_is_learned_to_a_percent(found):
    likelihood = found[0]
    assert likelihood.counted.all()
    x = poisson(500, 2)[0]
    mean, _ = likelihood.law(x)
    # 3,000 rows of 20 counts, six coefficients each.
    assert (mean.log() - log_rate(x)).abs().mean() < 0.02


def test_a_dispersion_follows_the_parameters(wide):
    x = torch.tensor([[0.0, -1.0], [0.0, 1.0]]).double()
    mean, log_variance = wide[0].law(x)
    dispersion = ((log_variance.exp() - mean) / mean**2).mean(dim=1)
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


def test_the_loss_is_that_of_a_negative_binomial_law(wide):
    likelihood, (x, y) = wide[0], scattered(50, 6)
    _, log_density = likelihood.compare(x, y)
    mean, log_variance = (part.numpy() for part in likelihood.law(x))
    size = mean**2 / (np.exp(log_variance) - mean)
    n = np.round(np.expm1(y.numpy()))
    known = nbinom.logpmf(n, size, size / (size + mean)).sum(axis=1)
    constant = np.array([sum(map(math.lgamma, row + 1)) for row in n])
    assert log_density.numpy() == pytest.approx(known + constant, rel=1e-6)


def test_steps_go_downhill(wide):
    """What leads a step is the slope of the loss, by means and by dispersions."""
    likelihood, (x, y) = wide[0], scattered(20, 7)
    x.requires_grad_()
    expected = likelihood(x)
    left = likelihood.left(y, expected.mean, expected.log_variance)
    by_torch = torch.autograd.grad(left.loss.sum(), x)[0]
    slope = expected.mean_slope * torch.exp(-0.5 * expected.log_variance)[:, None]
    uphill = slope @ left.freed[..., None] + expected.log_variance_slope @ left.wider[..., None]
    torch.testing.assert_close(uphill[..., 0].detach(), -by_torch, rtol=1e-5, atol=1e-5)


def test_it_is_as_sure_as_it_may_be(rows, found, wide):
    x, y = rows
    assert too_sure(found[1], x, y, x[:, :0]) == pytest.approx(1, abs=0.15)
    x, y = scattered(4_000, 2)
    assert too_sure(wide[1], x, y, x[:, :0]) == pytest.approx(1, abs=0.15)


def test_a_mode_is_found_from_far(found):
    x, y = poisson(50, 8)
    zero, far = torch.zeros(2).double(), torch.full_like(x, 4.0)
    prior = Box(zero, zero - 5, zero + 5, torch.eye(2).double())
    place = modes(found[0], prior, y, (far,)).place
    near = modes(found[0], prior, y, (x,)).place
    torch.testing.assert_close(place, near, rtol=0.0, atol=0.02)


def test_a_start_is_close_to_the_posterior(rows):
    start = LaplaceStart(2, 20, 20, tuple(range(20)))
    start.fit(*(part.float() for part in rows))
    assert start.inverts
    _, y = poisson(300, 9)
    mean, sd = exact(y)
    zero = torch.zeros(len(y), 2)
    found, _ = start.inverse(zero, y.float())
    # Where a posterior is sharper than the grid, means on it are off: not so for 95 of 100.
    off = ((found - mean) / sd).abs()
    assert off.median() < 0.08
    assert off.quantile(0.95) < 0.3
    up, _ = start.inverse(zero + torch.tensor([1.0, 0.0]), y.float())
    assert float(((up - found).norm(dim=1) / sd[:, 0]).median()) == pytest.approx(1, abs=0.25)


def test_counts_and_numbers_side_by_side():
    draw = torch.Generator().manual_seed(10)
    x, y = poisson(3_000, 10)
    numbers = x[:, :1] ** 2 + 0.3 * torch.randn(3_000, 3, generator=draw).double()
    likelihood, _ = learned(x, torch.cat([numbers, y], dim=1))
    assert likelihood.counted.tolist() == [False] * 3 + [True] * 20
    there = likelihood(x[:200])
    sizes = (0.5 * there.log_variance[:, :3]).exp()
    assert abs(math.log(float(sizes.median()) / 0.3)) < math.log(1.15)
    assert (there.mean[:, 3:].log() - log_rate(x[:200])).abs().mean() < 0.03
    assert torch.equal(likelihood.correlation[3:, 3:], torch.eye(20).double())


def test_a_file_of_before_knows_no_counts(found):
    likelihood = found[0]
    old = {n: v for n, v in likelihood.state_dict().items() if n != "counted"}
    again = Likelihood(2, 20)
    again.load_state_dict(old)
    assert not again.counted.any()
