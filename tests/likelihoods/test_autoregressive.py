"""A law of series, value by value, against processes whose density is known."""

import math

import pytest
import torch

from sbi_inn.flows import LaplaceStart
from sbi_inn.likelihoods.autoregressive import Autoregressive
from sbi_inn.likelihoods.autoregressive_learning import SHORTEST
from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import better_of_series, learned, of_series
from sbi_inn.likelihoods.recursion import before, recursed
from sbi_inn.likelihoods.series_regression import SeriesRegression

LENGTH, NOISE = 40, 0.3


def rows(n, seed=1, *, share=0.8, echo=0.0, shock=0.0, bend=torch.tanh):
    """Level and memory (n, 2), and series (n, LENGTH) that follow from what was before."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    noise = torch.randn(LENGTH, n, generator=draw).double()
    memory, values, last, variance = share * bend(x[:, 1]), [], 0.0, torch.ones(n).double()
    for each in noise:
        new = NOISE * variance.sqrt() * each
        value = x[:, 0] + memory * (values[-1] if values else 0.0) + new + echo * last
        values.append(value)
        variance, last = 1 - shock + shock * (new / NOISE) ** 2, new
    return x, torch.stack(values, dim=1)


def exact(x, y, *, share=0.8, echo=0.0, shock=0.0):
    """The log density of series, but for a constant."""
    memory, last, total = share * torch.tanh(x[:, 1]), 0.0, 0.0
    variance = torch.ones(len(x)).double()
    for now, value in enumerate(y.T):
        owed = memory * y[:, now - 1] if now else 0.0
        new = value - x[:, 0] - owed - echo * last
        total = total - 0.5 * ((new / NOISE) ** 2 / variance + (NOISE**2 * variance).log())
        variance, last = 1 - shock + shock * (new / NOISE) ** 2, new
    return total


@pytest.fixture(scope="module")
def likelihoods():
    return of_series(*rows(2_000))[1]


def test_each_number_follows_from_the_one_before_it():
    drive, share = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(1)).double()
    drive, share = drive.requires_grad_(), share[0].requires_grad_()
    found = recursed(drive, share)
    torch.testing.assert_close(found[1:], drive[1:] + share * found[:-1])
    assert torch.autograd.gradcheck(recursed, (drive, share))


@pytest.mark.parametrize(("lag", "expected"), [(1, [0, 1, 2]), (2, [0, 0, 1]), (9, [0, 0, 0])])
def test_before_the_first_value_there_are_zeros(lag, expected):
    assert before(torch.tensor([1, 2, 3]), lag).tolist() == expected


@pytest.mark.parametrize(
    ("process", "expected"),
    [({}, True), ({"share": 0.0}, False), ({"share": 0.0, "shock": 0.7}, True)],
)
def test_it_is_worth_its_time_where_values_say_more_of_the_next(process, expected):
    x, y = rows(1_500, **process)
    found = better_of_series(learned(x, y), x, y, x[:, :0])
    assert (found is not None) is expected


def test_it_is_not_learned_of_few_rows():
    x, y = rows(600)
    assert better_of_series(learned(x, y), x, y, x[:, :0]) is None


def test_shares_of_what_was_before_are_regressed():
    shares = SeriesRegression(*rows(2_000, share=0.3, bend=lambda x: x)).found.shares
    right = torch.zeros_like(shares)
    right[2, 0] = 0.3  # of the last value, times the second parameter
    # 40,000 values: standard errors of .005.
    assert shares.numpy() == pytest.approx(right.numpy(), abs=0.02)


def test_shocks_that_echo_are_found():
    process = {"share": 0.3, "bend": lambda x: x}
    plain = SeriesRegression(*rows(2_000, echo=0.8, **process))
    echoing = plain.echoing()
    assert echoing.loss < plain.loss
    # Shocks are those that six earlier values leave, of which .8^7 is missing.
    assert echoing.found.shares[0, -1] == pytest.approx(0.8, abs=0.05)
    assert plain.found.shares[0, 0] == pytest.approx(0.8, abs=0.05)  # what an echo is like
    silent = SeriesRegression(*rows(2_000, **process))
    assert silent.loss == pytest.approx(2 * math.log(NOISE), abs=0.04)
    assert silent.echoing().found.shares[0, -1] == pytest.approx(0.0, abs=0.03)


@pytest.mark.parametrize("process", [{}, {"echo": 0.6}, {"share": 0.0, "shock": 0.7}])
def test_its_density_is_nearly_the_exact_one(process, likelihoods):
    likelihood = likelihoods[0] if not process else of_series(*rows(2_000, **process))[1][0]
    x, y = rows(2_000, seed=2, **process)
    _, likely = likelihood.compare(x, y)
    missed = exact(x, y, **process) - likely
    assert 0 < missed.mean() < 0.5  # of 40 values


def test_uphill_is_the_slope_of_its_density(likelihoods):
    x, y = rows(50, seed=3)
    found = likelihoods[0].uphill(x, y, x[:, :0])
    x.requires_grad_()
    square, likely = likelihoods[0].compare(x, y)
    (slope,) = torch.autograd.grad(likely.sum(), x)
    torch.testing.assert_close(found.steepest, slope, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.loss, -likely.detach())
    torch.testing.assert_close(found.misfit[:, 0], square.detach())
    assert (torch.linalg.eigvalsh(found.information) >= -1e-8).all()


def test_the_mode_is_as_far_from_the_truth_as_its_width_says(likelihoods):
    x, y = rows(400, seed=4)
    zero, one = torch.zeros(2).double(), torch.eye(2).double()
    mode = modes(likelihoods[0], Box(zero, zero - 4, zero + 4, one), y, (0 * x,))
    left = ((x - mode.place)[:, None] @ torch.linalg.cholesky(mode.precision))[:, 0]
    # The median square of two standard normal numbers is 1.39, with a standard error of .1.
    assert left.square().sum(dim=1).median() == pytest.approx(1.39, abs=0.3)
    again = modes(likelihoods[0], Box(zero, zero - 4, zero + 4, one), y, (x,))
    assert (mode.loss - again.loss).abs().max() < 0.5  # it is found from far away


def test_a_start_with_such_a_law_is_kept_in_files():
    # Linear in the parameters, so that no start is tried that evens them.
    x, y = (part.float() for part in rows(1_000, share=0.3, bend=lambda x: x))
    y = y[:, :SHORTEST]
    start = LaplaceStart(2, SHORTEST, SHORTEST, tuple(range(SHORTEST)))
    start.fit(x, y)
    assert start.inverts
    assert isinstance(start.likelihood, Autoregressive)
    again = LaplaceStart(2, SHORTEST, SHORTEST, tuple(range(SHORTEST)))
    again.load_state_dict(start.state_dict())
    for one, other in zip(start(x, y), again(x, y), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_series_that_grow_beyond_all_bounds_leave_finite_numbers():
    x, y = rows(1_200, share=1.6)
    assert y.abs().max() > 1e5
    likelihood, _ = of_series(x, y)[1]
    for part in likelihood.compare(x, y):
        assert torch.isfinite(part).all()
