"""Two laws of each observable, against known mixtures: a line some of whose points are outliers."""

import math

import pytest
import torch

from sbi_inn.flows import LaplaceStart
from sbi_inn.likelihoods import learning
from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import learned, parts_of
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.two_laws import TwoLaws
from sbi_inn.likelihoods.two_laws_learning import mixed, regressed

POINTS, NOISE, FAR, SHARE = 12, 0.1, 2.0, 0.25
TIMES = torch.linspace(-1, 1, POINTS).double()


def rows(n, seed=1, share=SHARE):
    """Offset and slope (n, 2), and points (n, 12), some of which are outliers about zero."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    near, far = torch.randn(2, n, POINTS, generator=draw).double()
    outlier = torch.rand(n, POINTS, generator=draw) < share
    return x, torch.where(outlier, FAR * far, line(x) + NOISE * near)


def line(x):
    return x[:, :1] + x[:, 1:] * TIMES


def exact(x, y):
    """The log density of points."""
    near = torch.distributions.Normal(line(x), NOISE).log_prob(y) + math.log(1 - SHARE)
    far = torch.distributions.Normal(0.0, FAR).log_prob(y) + math.log(SHARE)
    return torch.logaddexp(near, far).sum(dim=1)


@pytest.fixture(scope="module")
def likelihoods():
    return learned(*rows(2_000))


def test_a_mixture_of_regressions_finds_both_lines():
    x, y = rows(2_000)
    found = regressed(x, y)
    right = torch.stack([torch.ones_like(TIMES), TIMES])
    # The standard error of a slope is that of .1 / sqrt(1,500), .003.
    assert (found.slope[0] - right).abs().max() < 0.015
    assert (found.slope[1]).abs().max() < 0.4  # 2 / sqrt(500) = .09
    assert found.size[0].numpy() == pytest.approx(NOISE, rel=0.1)
    assert found.size[1].numpy() == pytest.approx(FAR, rel=0.15)
    assert torch.sigmoid(found.odds).numpy() == pytest.approx(SHARE, abs=0.05)


@pytest.mark.parametrize(("share", "expected"), [(0.0, Likelihood), (SHARE, TwoLaws)])
def test_two_laws_are_taken_where_some_points_are_outliers(share, expected):
    likelihood, folds = learned(*rows(1_000, share=share))
    assert {type(one) for one in (likelihood, *folds)} == {expected}


def test_noise_with_two_peaks_is_mixed_and_noise_of_one_law_is_not():
    draw = torch.Generator().manual_seed(1)
    normal = torch.randn(2_000, 8, generator=draw).double()
    sign = torch.randint(2, (2_000, 8), generator=draw).double() * 2 - 1
    assert not mixed(normal)
    assert not mixed(normal * torch.rand(8, generator=draw).double())
    assert mixed(0.2 * normal + sign)


def test_few_discrete_observables_keep_their_law():
    x, y = rows(600)
    y[:, 0] = (y[:, 0] > 0).double()
    assert isinstance(learned(x, y)[0], Likelihood)


def test_its_density_is_nearly_the_exact_one(likelihoods):
    x, y = rows(2_000, seed=2)
    _, likely = likelihoods[0].compare(x, y)
    # `compare` leaves out the constant of a normal law.
    missed = exact(x, y) - likely + 0.5 * POINTS * math.log(2 * math.pi)
    assert 0 < missed.mean() < 0.04 * POINTS


def test_uphill_is_the_slope_of_its_density(likelihoods):
    x, y = rows(50, seed=3)
    found = likelihoods[0].uphill(x, y, x[:, :0])
    x.requires_grad_()
    _, likely = likelihoods[0].compare(x, y)
    (slope,) = torch.autograd.grad(likely.sum(), x)
    torch.testing.assert_close(found.steepest, slope, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.loss, -likely.detach())
    assert (torch.linalg.eigvalsh(found.information) >= -1e-8).all()


def test_the_mode_is_where_the_points_that_are_no_outliers_say(likelihoods):
    x, y = rows(400, seed=4)
    zero, one = torch.zeros(2).double(), torch.eye(2).double()
    plain = y @ torch.linalg.pinv(line(one)).double()  # least squares, outliers and all
    mode = modes(likelihoods[0], Box(zero, zero - 4, zero + 4, one), y, (0 * x, plain))
    width = torch.linalg.inv(mode.precision).diagonal(dim1=1, dim2=2).sqrt()
    away = ((mode.place - x) / width).abs()
    # Of a standard normal number the median size is .67. Widths are those of points that say what
    # law they follow, which makes them a tenth too small.
    assert away.median() == pytest.approx(0.67 * 1.1, abs=0.1)
    assert width.median() < 0.06  # 12 points of noise .1, of which nine count: .1 / 3
    assert (away > 5).double().mean() < 0.05


def test_a_start_with_two_laws_is_kept_in_files():
    x, y = (part.float() for part in rows(800))
    start = LaplaceStart(2, POINTS, POINTS, tuple(range(POINTS)))
    start.fit(x, y)
    assert start.inverts
    assert isinstance(start.likelihood, TwoLaws)
    again = LaplaceStart(2, POINTS, POINTS, tuple(range(POINTS)))
    again.load_state_dict(start.state_dict())
    for one, other in zip(start(x, y), again(x, y), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_rows_of_a_part_say_nothing_of_its_likelihood(monkeypatch):
    """What is learned without a part is the same whatever the part's observables are."""
    monkeypatch.setattr(learning.two_laws_learning, "FURTHER_PASSES", 60)
    monkeypatch.setattr(learning.two_laws_learning, "WORTH", -math.inf)  # whatever they gain
    x, y = rows(800)
    part, _ = parts_of(len(x))[-1]
    other = y.clone()
    other[part] = other[part].roll(1, dims=0)
    one, two = (learned(x, each)[1][-1] for each in (y, other))
    assert isinstance(one, TwoLaws)
    torch.testing.assert_close(one.slope[0], two.slope[0], rtol=0.02, atol=0.02)
