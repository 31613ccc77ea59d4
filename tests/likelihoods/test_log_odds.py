"""Likelihoods of binary observables, against laws that are known."""

import math

import pytest
import torch

from sbi_inn.flows import LaplaceStart
from sbi_inn.likelihoods.learning import learned
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.log_odds import regressed, two_valued
from sbi_inn.likelihoods.score_test import too_sure

TRIALS = 60
DOSES = torch.linspace(-2, 2, TRIALS).double()


def choices(n, seed):
    """Offset and slope of a logistic regression on 60 doses, and who says yes; as 3 and 7."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    yes = torch.bernoulli(torch.sigmoid(odds(x)), generator=draw)
    return x, 3 + 4 * yes


def odds(x):
    return x[:, :1] + 2 * x[:, 1:] * DOSES


@pytest.fixture(scope="module")
def rows():
    return choices(3_000, 1)


@pytest.fixture(scope="module")
def found(rows):
    """Give the likelihood of all rows, and those of all but a part."""
    return learned(*rows)


def exact(y, points=161, half=4.0):
    """Mean and widths of the posterior of each row, on a grid."""
    axis = torch.linspace(-half, half, points).double()
    grid = torch.cartesian_prod(axis, axis)
    yes, at = (y - 3) / 4, odds(grid)
    log = yes @ at.T - torch.nn.functional.softplus(at).sum(dim=1) - 0.5 * grid.square().sum(dim=1)
    weight = log.softmax(dim=1)
    mean = weight @ grid
    return mean, (weight @ grid.square() - mean.square()).sqrt()


def test_two_values_are_seen():
    table = torch.tensor([[1.0, 0.0, 2.0, 5.0], [1.0, 1.0, 2.0, 6.0], [1.0, 0.0, 3.0, 7.0]])
    assert two_valued(table).tolist() == [False, True, True, False]


def test_who_always_says_the_same_has_finite_odds():
    x = torch.linspace(-1, 1, 100).double()[:, None]
    yes = torch.cat([torch.ones_like(x), (x > 0).double()], dim=1)
    slope, offset = regressed(x, yes)
    assert offset[0] > 4
    assert slope[0, 1] > 10
    assert torch.isfinite(slope).all()


def test_odds_of_a_linear_law_are_learned_without_a_network(found):
    likelihood = found[0]
    assert likelihood.binary.all()
    assert (likelihood.last[:TRIALS] == 0).all()
    x = choices(500, 2)[0]
    there = likelihood(x)
    expected = torch.sigmoid(odds(x))
    # 3,000 rows and two slopes a column: errors of about .02.
    assert ((there.mean - 3) / 4 - expected).abs().mean() < 0.02
    sizes = (0.5 * there.log_variance).exp() / 4
    assert (sizes - (expected * (1 - expected)).sqrt()).abs().mean() < 0.03


def test_a_network_adds_what_is_not_linear():
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(4_000, 1, generator=draw).double()
    yes = torch.sigmoid(3 * (x.square() - 1)).expand(-1, 8)
    likelihood, _ = learned(x, torch.bernoulli(yes, generator=draw))
    said = likelihood.law(x[:500])[0]
    assert (said - yes[:500]).abs().mean() < 0.06


def test_slopes_are_those_of_what_is_expected(found):
    likelihood = found[0]
    x = choices(5, 5)[0].requires_grad_()
    by_hand = likelihood(x).mean_slope.detach()
    for place in (0, 17, TRIALS - 1):
        by_torch = torch.autograd.grad(likelihood(x).mean[:, place].sum(), x)[0]
        torch.testing.assert_close(by_hand[:, :, place], by_torch)
    mean, log_variance = likelihood.law(x.detach())
    expected = likelihood(x.detach())
    assert torch.equal(mean, expected.mean)
    assert torch.equal(log_variance, expected.log_variance)


def test_the_loss_is_that_of_what_came(found):
    likelihood, (x, y) = found[0], choices(50, 6)
    _, log_density = likelihood.compare(x, y)
    yes = (likelihood.law(x)[0] - 3) / 4
    came = torch.where(y == 7, yes, 1 - yes)
    torch.testing.assert_close(log_density, came.log().sum(dim=1))


def test_it_is_as_sure_as_it_may_be(rows, found):
    x, y = rows
    assert too_sure(found[1], x, y, x[:, :0]) == pytest.approx(1, abs=0.12)


def test_a_start_is_close_to_the_posterior(rows):
    start = LaplaceStart(2, TRIALS, TRIALS, tuple(range(TRIALS)))
    start.fit(*(part.float() for part in rows))
    assert start.inverts
    _, y = choices(300, 9)
    mean, sd = exact(y)
    zero = torch.zeros(len(y), 2)
    found, _ = start.inverse(zero, y.float())
    assert ((found - mean) / sd).square().mean().sqrt() < 0.35
    up, _ = start.inverse(zero + torch.tensor([1.0, 0.0]), y.float())
    assert float(((up - found).norm(dim=1) / sd[:, 0]).median()) == pytest.approx(1, abs=0.25)


def test_choices_and_numbers_side_by_side():
    draw = torch.Generator().manual_seed(10)
    x, y = choices(3_000, 10)
    noise = 0.3 * torch.randn(3_000, 3, generator=draw).double()
    numbers = x[:, :1] ** 2 + noise
    likelihood, _ = learned(x, torch.cat([numbers, y], dim=1))
    assert likelihood.binary.sum() == TRIALS
    there = likelihood(x[:200])
    sizes = (0.5 * there.log_variance[:, :3]).exp()
    assert (sizes.median() / 0.3).log().abs() < math.log(1.15)
    assert (there.mean[:, :3] - x[:200, :1] ** 2).abs().median() < 0.15
    assert ((there.mean[:, 3:] - 3) / 4 - torch.sigmoid(odds(x[:200]))).abs().mean() < 0.03
    # Noises of numbers go together as they do; choices are independent.
    assert torch.equal(likelihood.correlation[3:, 3:], torch.eye(TRIALS).double())
    assert (likelihood.correlation[:3, 3:] == 0).all()


def test_a_file_of_before_knows_no_binary_observables(found):
    likelihood = found[0]
    old = {n: v for n, v in likelihood.state_dict().items() if n not in ("binary", "no", "step")}
    again = Likelihood(2, TRIALS)
    again.load_state_dict(old)
    assert not again.binary.any()
