"""A normal likelihood that is learned, against the laws that made its rows."""

import math

import pytest
import torch
from decays import decay, rows

from sbi_inn.likelihoods import learning
from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import learned, parts_of
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.networks import LARGE, LONG, SMALL


@pytest.fixture(scope="module")
def likelihoods():
    x, y = rows(3_000, 1)
    return learned(x.double(), y.double())


def test_a_likelihood_expects_what_the_simulator_gives(likelihoods):
    x, _ = rows(2_000, 2)
    expected = likelihoods[0](x.double())
    away = (expected.mean - decay(x.double())).abs()
    size = (0.5 * expected.log_variance).exp()
    # In units of the noise, which is .05 of the values' own size.
    assert (away / size).median() < 0.4
    noise = torch.exp(0.7 * x[:, 2:].double() - 3)
    assert (size / noise).log().abs().median() < math.log(1.2)


def test_slopes_are_those_of_what_is_expected(likelihoods):
    x = rows(20, 3)[0].double().requires_grad_()
    likelihood = likelihoods[0]
    for name in ("mean", "log_variance"):
        by_hand = getattr(likelihood(x), f"{name}_slope").detach()
        summed = torch.autograd.functional.jacobian(
            lambda x, name=name: getattr(likelihood(x), name).sum(dim=0), x
        )
        assert torch.allclose(by_hand, summed.permute(1, 2, 0), atol=1e-9)


def test_it_says_the_same_without_slopes(likelihoods):
    x = rows(20, 3)[0].double()
    expected, (mean, log_variance) = likelihoods[0](x), likelihoods[0].law(x)
    assert torch.allclose(mean, expected.mean)
    assert torch.allclose(log_variance, expected.log_variance)


def test_rows_are_compared_by_its_normal_law(likelihoods):
    x, y = (part.double() for part in rows(1_000, 4))
    misfit, density = likelihoods[0].compare(x, y)
    mean, log_variance = likelihoods[0].law(x)
    width = (0.5 * log_variance).exp()
    covariance = width[:, :, None] * likelihoods[0].correlation * width[:, None]
    exact = torch.distributions.MultivariateNormal(mean, covariance).log_prob(y)
    assert torch.allclose(density - density[0], exact - exact[0])
    assert 0.9 < misfit.median() < 1.1  # 24 values a row


def test_what_is_said_of_rows_left_out_is_as_wide_as_they_are(likelihoods):
    x, y = (part.double() for part in rows(3_000, 1))
    whole, folds = likelihoods
    for (part, _), fold in zip(parts_of(len(x)), folds, strict=True):
        expected = fold(x[part])
        left = (y[part] - expected.mean) * torch.exp(-0.5 * expected.log_variance)
        # 750 rows of 24 values; rows in tails are cut off where noise is learned.
        assert 0.95 < left.clamp(-4, 4).square().mean().sqrt() < 1.05
        assert not torch.equal(fold.last, whole.last)


def test_a_likelihood_knows_its_givens():
    draw = torch.Generator().manual_seed(4)
    x, given = torch.randn(2, 3_000, 1, generator=draw).double()
    noise = torch.exp(0.5 * given - 2)
    y = (1 + given) * x + noise * torch.randn(3_000, 4, generator=draw).double()
    likelihood, _ = learned(x, y, given)
    there = likelihood(x[:1_000], given[:1_000])
    assert ((there.mean - ((1 + given) * x)[:1_000]).abs() / noise[:1_000]).median() < 0.4
    sizes = (0.5 * there.log_variance).exp() / noise[:1_000]
    assert sizes.log().abs().median() < math.log(1.2)
    # The slope is that of the parameter alone.
    assert there.mean_slope.shape == (1_000, 1, 4)
    slope = there.mean_slope[:, 0].mean(dim=1)
    assert (slope - (1 + given[:1_000, 0])).abs().median() < 0.2
    zero, one = torch.zeros(1).double(), torch.eye(1).double()
    box = Box(zero, zero - 4, zero + 4, one)
    found = modes(likelihood, box, y[:1_000], (0 * x[:1_000],), given[:1_000])
    exact = 1 + 4 * ((1 + given) / noise)[:1_000].square()
    ratio = found.precision[:, :, 0] / exact
    assert ratio.log().abs().median() < math.log(1.3)


@pytest.mark.slow
def test_larger_networks_are_taken_where_they_expect_better():
    """What is expected bends a lot, beside little noise."""

    def right(x):
        return torch.stack([(3 * x[:, 0]).sin() * x[:, 1], (3 * x[:, 1]).cos()], dim=1)

    draw = torch.Generator().manual_seed(1)
    x = torch.randn(2_000, 2, generator=draw).double()
    y = right(x) + 0.02 * torch.randn(2_000, 2, generator=draw).double()
    small, large = (learned(x, y, sizes=sizes)[0] for sizes in ((SMALL,), (SMALL, LARGE)))
    assert [len(one.first_bias) for one in (small, large)] == [SMALL.hidden, LARGE.hidden]
    there = torch.randn(1_000, 2, generator=draw).double().clamp(-2, 2)
    off = [(one.law(there)[0] - right(there)).abs().median() for one in (small, large)]
    assert off[1] < 0.5 * off[0]


def test_smaller_networks_are_kept_where_nothing_bends():
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(400, 2, generator=draw).double()
    y = x @ torch.randn(2, 6, generator=draw).double()
    y = y + torch.randn(400, 6, generator=draw).double()
    likelihood, _ = learned(x, y, sizes=(SMALL, LARGE))
    assert len(likelihood.first_bias) == SMALL.hidden
    assert not likelihood.last.any()  # nor do they add anything


@pytest.mark.parametrize(
    ("alone", "losses", "tried", "kept"),
    [
        # Mean losses of ten observables; half a nat is worth larger networks, two longer training.
        (1.1, (1.0, 0.0, -0.5), [LARGE, LONG], -0.5),
        (1.1, (1.0, 0.0, 0.1), [LARGE, LONG], 0.0),
        (1.1, (1.0, 0.9, -0.5), [LARGE], 0.9),
        (1.1, (1.0, 1.1, -0.5), [LARGE], 1.0),
        (1.04, (1.0, 0.0, -0.5), [], 1.0),
    ],
)
def test_larger_networks_are_tried_where_smaller_ones_gained_enough(
    alone, losses, tried, kept, monkeypatch
):
    by_size = dict(zip((SMALL, LARGE, LONG), losses, strict=True))
    seen = []

    def fake(members, table, size, beat=math.inf):
        seen.append(size)
        return learning._Trained(by_size[size], alone - by_size[size], [], members)

    monkeypatch.setattr(learning, "_trained", fake)
    table = learning._Table(torch.zeros(9, 2), torch.zeros(9, 10), [])
    found = learning._larger(fake([], table, SMALL), table, (LARGE, LONG))
    assert seen[1:] == tried
    assert found.loss == kept


def test_a_file_says_how_wide_networks_are():
    large = Likelihood(2, 3, hidden=LARGE.hidden)
    large.first.copy_(torch.arange(2 * LARGE.hidden).reshape(LARGE.hidden, 2))
    small = Likelihood(2, 3)
    small.load_state_dict(large.state_dict())
    assert torch.equal(small.first, large.first)
    assert small.last.shape == large.last.shape
