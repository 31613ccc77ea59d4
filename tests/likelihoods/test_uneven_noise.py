"""Regressions by widths of each row, and the likelihoods that are learned from them."""

import math

import pytest
import torch

from sbi_inn.likelihoods.learning import learned
from sbi_inn.likelihoods.likelihood import UNEVEN, Likelihood
from sbi_inn.likelihoods.uneven_noise import ROUNDS, Read, best, in_turn
from sbi_inn.regressions.left_out import left_out
from sbi_inn.regressions.prediction import powers
from sbi_inn.regressions.splines import knots_of, splines

PLACES = torch.linspace(-1, 1, 20, dtype=torch.float64)
STEEP = 2.0  # the log of the noise changes by so much with a standard deviation of its parameter


def line(x):
    """Expected values of a line: level and slope are the first two parameters."""
    return x[:, :1] + x[:, 1:2] * PLACES


def rows(n, seed, steep=STEEP):
    """Level, slope and noise, and 20 values of a line; the noise spans a factor of thousands."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=draw, dtype=torch.float64)
    noise = torch.exp(steep * x[:, 2:])
    return x, line(x) + noise * torch.randn(n, 20, generator=draw, dtype=torch.float64)


def read(x, *more):
    """What is read of parameters: these, more features, and their splines."""
    return Read(torch.cat([x, *more], dim=1), splines(x, knots_of(x)))


def log_widths(found, x, of):
    """Log widths at parameters x, by what was regressed on rows of others."""
    shared = splines(x, knots_of(of)) @ found.bends
    return found.log_offset + x @ found.log_slope + shared[:, None]


def parts(n):
    return list(left_out(n, 4))


@pytest.fixture(scope="module")
def likelihood():
    return learned(*rows(3_000, 1))[0]


def test_slopes_of_means_and_of_log_widths_are_found():
    x, y = rows(4_000, 1)
    found = in_turn(read(x), y, 3, ROUNDS)
    assert (found.slope[0] - 1).abs().max() < 0.01
    assert (found.slope[1] - PLACES).abs().max() < 0.01
    # Of 4,000 squares, whose logarithm varies by sqrt(2): .02 for half of it, times 4.5.
    here = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    widths = log_widths(found, here, x)
    assert (widths[1] - widths[0] - STEEP).abs().max() < 0.05
    assert (widths[2] - widths[0]).abs().max() < 0.07  # of two slopes
    assert widths[0].abs().max() < 0.05


def log_half_normal(z):
    """Logarithms of half-normal numbers, of normal ones: they bend the more, the smaller."""
    return torch.log(2**0.5 * torch.erfinv(0.5 + 0.5 * torch.erf(z / 2**0.5)))


def half_normal_rows(n):
    """As `rows`, with half-normal noise."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(n, 3, generator=draw, dtype=torch.float64)
    noise = torch.exp(log_half_normal(x[:, 2:]))
    return x, line(x) + noise * torch.randn(n, 20, generator=draw, dtype=torch.float64)


def test_widths_that_bend_are_found_down_to_the_smallest():
    x, y = half_normal_rows(8_000)
    found = in_turn(read(x), y, 3, ROUNDS)
    here = torch.zeros(9, 3, dtype=torch.float64)
    here[:, 2] = torch.linspace(-2, 2, 9)
    off = (log_widths(found, here, x).mean(dim=1) - log_half_normal(here[:, 2])).abs()
    # A row tells its noise to 1 / sqrt(2 * 20) = .16. Of 8,000, about 50 are near the ends, and
    # ten times as many near the middle.
    assert off.max() < 3 * 0.16 / 50**0.5
    assert off[2:-2].max() < 3 * 0.16 / 500**0.5


def test_rows_that_are_noisier_than_is_foreseen_count_for_less():
    x, y = rows(4_000, 1, steep=0.0)
    struck = y.clone()
    struck[::50] += 30 * torch.randn(80, 20, generator=torch.Generator().manual_seed(2)).double()
    off = [(in_turn(read(x), one, 3, ROUNDS).slope[0] - 1).abs().mean() for one in (y, struck)]
    assert off[1] < 1.2 * off[0]


def test_a_regression_that_counts_all_rows_alike_is_far_worse():
    x, y = rows(4_000, 1)
    even, uneven = (in_turn(read(x), y, 3, rounds) for rounds in (0, ROUNDS))
    off = [(one.slope[0] - 1).abs().mean() for one in (even, uneven)]
    assert off[1] < 0.05 * off[0]


def test_ways_are_chosen_by_rows_left_out():
    x, y = rows(1_000, 1)
    squares = read(x, x.square())
    found = best(squares, 3, y, parts(1_000))
    assert found is not None
    assert len(found) == 5
    assert not found[0].slope[3:].any()  # squares only add noise
    bent = y + 3 * x[:, :1].square()
    found = best(squares, 3, bent, parts(1_000))
    assert found is not None
    assert (found[0].slope[3] - 3).abs().max() < 0.05


def test_even_noise_needs_no_widths():
    x, y = rows(400, 1, steep=0.0)
    assert best(read(x), 3, y, parts(400)) is None


@pytest.mark.parametrize("noise", [0.03, 0.3, 3.0])
def test_a_likelihood_knows_small_noise_beside_large(likelihood, noise):
    assert likelihood.log_slope.any()
    x = torch.tensor([[0.5, -0.5, math.log(noise) / STEEP]], dtype=torch.float64)
    mean, log_variance = likelihood.law(x)
    # Means of rows as noisy as this one are known to some percent of it.
    assert ((mean - line(x)) / noise).square().mean().sqrt() < 0.25
    assert abs(float(0.5 * log_variance.mean()) - math.log(noise)) < 0.1


def test_a_likelihood_knows_noise_that_bends():
    likelihood, _ = learned(*half_normal_rows(3_000))
    here = torch.zeros(3, 3, dtype=torch.float64)
    here[:, 2] = torch.tensor([-1.5, 0.0, 1.5])
    _, log_variance = likelihood.law(here)
    off = 0.5 * log_variance.mean(dim=1) - log_half_normal(here[:, 2])
    # Of 3,000 rows 50 are within .1 of the outer ones.
    assert off.abs().max() < 3 * 0.16 / 50**0.5


def test_what_is_noisy_for_no_reason_seen_has_the_usual_width():
    """Where widths do not follow the parameters, nothing is weighed, and nothing has changed."""
    x, y = rows(600, 3, steep=0.0)
    likelihood, _ = learned(x, y)
    assert not likelihood.log_slope.any()
    _, log_variance = likelihood.law(x[:200])
    assert abs(float(log_variance.mean())) < 0.15


def test_slopes_are_those_of_means_and_log_variances(likelihood):
    x = rows(7, 5)[0].requires_grad_()
    said = likelihood(x)
    pairs = ((said.mean, said.mean_slope), (said.log_variance, said.log_variance_slope))
    for value, slope in pairs:
        for place in (0, 19):
            (by_torch,) = torch.autograd.grad(value[:, place].sum(), x, retain_graph=True)
            torch.testing.assert_close(slope[:, :, place].detach(), by_torch)
    mean, log_variance = likelihood.law(x.detach())
    torch.testing.assert_close(mean, said.mean.detach())
    torch.testing.assert_close(log_variance, said.log_variance.detach())


def test_an_older_file_weighs_nothing():
    x, y = rows(600, 3, steep=0.0)
    kept = learned(x, y)[0]
    older = {name: value for name, value in kept.state_dict().items() if name not in UNEVEN}
    again = Likelihood(3, 20)
    again.load_state_dict(older)
    assert torch.equal(again.law(x)[1], kept.law(x)[1])


def test_splines_are_not_shared_beside_the_size_of_the_noise_itself():
    draw = torch.Generator().manual_seed(5)
    x = torch.randn(4_000, 1, generator=draw).double()
    noise = torch.randn(4_000, 20, generator=draw).double()
    y = log_half_normal(x).exp() * noise
    read = Read(powers(x, 2), splines(x, knots_of(x)))
    assert in_turn(read, y, 2, 3).bends.any()
    y[:, -1] = log_half_normal(x)[:, 0] + 0.03 * noise[:, -1]
    assert not in_turn(read, y, 2, 3).bends.any()
