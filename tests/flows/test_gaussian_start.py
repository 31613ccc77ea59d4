"""A Gaussian posterior in closed form, against the one that made the rows."""

import numpy as np
import pytest
import torch

from sbi_inn.flows import GaussianStart
from sbi_inn.flows.gaussian_start import Reading


def rows(n, seed):
    """Two numbers of which the second is a hundred times as wide in some contexts as in others."""
    draw = torch.Generator().manual_seed(seed)
    context = torch.randn(n, 3, generator=draw)
    spread = torch.exp(torch.stack([torch.full((n,), -3.0), 1.5 * context[:, 2]], dim=1))
    mean = context[:, :2] @ torch.tensor([[1.0, 0.5], [0.0, -2.0]]) + 3.0
    return mean + spread * torch.randn(n, 2, generator=draw), context, mean, spread


@pytest.fixture(scope="module")
def start():
    x, context, *_ = rows(6_000, 0)
    fitted = GaussianStart(2, 3)
    fitted.fit(x, context)
    return fitted


def test_means_are_sharp_where_the_posterior_is(start):
    _, context, mean, spread = rows(2_000, 1)
    found, _ = start.inverse(torch.zeros(2_000, 2), context)
    away = (found - mean) / spread
    # Regression by plain least squares is off by ten spreads where the second number is sharp.
    assert away.abs().quantile(0.95) < 0.2


def test_widths_follow_the_context(start):
    x, context, *_ = rows(20_000, 1)
    z, _ = start(x, context)
    third = context[:, 2].argsort().reshape(4, -1)
    for part in third:
        # Of 5,000 draws a standard deviation is known within 1 %.
        np.testing.assert_allclose(z[part].std(dim=0), 1, atol=0.06)


def test_predictions_go_no_further_than_those_of_rows_that_were_seen(start):
    near, far = start.predict(torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 300.0]]))[:, 2:]
    assert (far - near).abs().max() < 1.5


def test_a_context_of_noise_is_shrunk_away():
    draw = torch.Generator().manual_seed(1)
    x, noise = torch.randn(400, 1, generator=draw), torch.randn(400, 50, generator=draw)
    fitted = GaussianStart(1, 50)
    fitted.fit(x, noise)
    fresh = torch.randn(2_000, 1, generator=draw)
    z, _ = fitted(fresh, torch.randn(2_000, 50, generator=draw))
    assert 0.8 < z.std() < 1.3


def test_a_needle_stays_thin():
    """Two numbers that are a thousand times as wide together as apart, wider in some contexts."""
    draw = torch.Generator().manual_seed(2)
    context = torch.randn(6_000, 1, generator=draw)
    along, across = torch.randn(2, 6_000, 1, generator=draw) * torch.exp(context.T)[..., None]
    x = torch.cat([along, along + 1e-3 * across], dim=1)
    fitted = GaussianStart(2, 1)
    fitted.fit(x, context)
    draws, _ = fitted.inverse(torch.randn(6_000, 2, generator=draw), context)
    apart = (draws[:, 1] - draws[:, 0]) / torch.exp(context[:, 0])
    # Of 6,000 draws a standard deviation is known within 1 %.
    assert abs(apart.std().item() / 1e-3 - 1) < 0.1


def test_few_rows_are_enough_where_noises_are_independent():
    """A regression of 80 rows on 60 observables would know next to nothing."""
    draw = torch.Generator().manual_seed(3)
    slope = torch.randn(2, 60, generator=draw)

    def study(n):
        x = torch.randn(n, 2, generator=draw)
        return x, x @ slope + 4 * torch.randn(n, 60, generator=draw)

    fitted = GaussianStart(2, 60)
    fitted.fit(*study(80))
    exact = torch.linalg.inv(slope @ slope.T / 16 + torch.eye(2)).diagonal()
    x, context = study(4_000)
    left = x - fitted.inverse(torch.zeros(4_000, 2), context)[0]
    assert (left.square().mean(dim=0) < 1.4 * exact).all()


def test_what_bends_is_followed():
    draw = torch.Generator().manual_seed(4)
    context = torch.randn(1_000, 1, generator=draw)
    x = context + 0.5 * context**2 + 0.1 * torch.randn(1_000, 1, generator=draw)
    fitted = GaussianStart(1, 1)
    fitted.fit(x, context)
    places = torch.tensor([[-1.0], [0.0], [1.0], [2.0]])
    found = fitted.inverse(torch.zeros(4, 1), places)[0]
    torch.testing.assert_close(found, places + 0.5 * places**2, atol=0.1, rtol=0)


def bent(n, seed, curve=0.4, size=0.3):
    """Two numbers of which thirty observables are quadratic functions; the third is their noise."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=draw)
    slopes = torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    a, b = x[:, :1], x[:, 1:2]
    mean = torch.cat([a, b, curve * a**2, curve * a * b, curve * b**2], dim=1) @ slopes
    noise = size * torch.exp(0.3 * x[:, 2:])
    return x, mean + noise * torch.randn(n, 30, generator=draw)


def density(start, x, c):
    z, log_det = start(x, c)
    return (log_det - 0.5 * z.square().sum(dim=1)).double().mean().item()


@pytest.mark.parametrize("n", [1_500, 6_000])
def test_an_emulator_sees_what_bends_and_how_large_the_noise_is(n):
    plain, told = GaussianStart(3, 30), GaussianStart(3, 30, 30)
    x, c = bent(n, 1)
    plain.fit(x, c, 30)
    told.fit(x, c, 30)
    fresh = bent(4_000, 2)
    # Thirty values tell the noise to .43 of its spread, which is worth .5 nats at most. Without an
    # emulator, what bends looks like noise.
    assert density(told, *fresh) > density(plain, *fresh) + 0.15
    z, _ = told(*fresh)
    low, high = z.quantile(torch.tensor([0.16, 0.84]), dim=0)
    np.testing.assert_allclose((high - low) / 2, 1, atol=0.05 if n > 2_000 else 0.1)


def test_a_second_prediction_knows_the_size_of_the_noise_where_the_first_cannot():
    told = GaussianStart(3, 30, 30)
    x, c = bent(3_000, 1, curve=1.0, size=0.1)
    told.fit(x, c, 30, Reading(2))
    fresh, seen = bent(4_000, 2, curve=1.0, size=0.1)
    read = torch.cat([seen, told.first(seen, seen)], dim=1)
    first = torch.addmm(told.first.offset, seen, told.first.slope)
    second = torch.addmm(told.second.offset, read, told.second.slope)
    noise = fresh[:, 2:]
    missed = [
        (noise - said @ torch.linalg.lstsq(said, noise).solution).std() for said in (first, second)
    ]
    assert missed[0] > 0.9
    assert missed[1] < 0.7


def test_a_second_prediction_is_read_where_rows_left_out_become_likelier():
    one, two = GaussianStart(3, 30, 30), GaussianStart(3, 30, 30)
    x, c = bent(1_500, 1, curve=0.7, size=0.1)
    two.fit(x, c, 30)
    assert two.passes == 2
    one.fit(x, c, 30, Reading(1))
    fresh = bent(4_000, 2, curve=0.7, size=0.1)
    assert density(two, *fresh) > density(one, *fresh)


def test_an_emulator_of_nothing_is_left_out():
    draw = torch.Generator().manual_seed(3)
    x, c, fresh, other = (torch.randn(1_500, k, generator=draw) for k in (2, 40, 2, 40))
    told, plain = GaussianStart(2, 40, 40), GaussianStart(2, 40)
    told.fit(x, c, 40)
    plain.fit(x, c, 40)
    assert density(told, fresh, other) > density(plain, fresh, other) - 0.02


def test_a_cubic_emulator_is_taken_where_observables_are_cubic():
    def twisted(n, seed):
        x, c = bent(n, seed, curve=0.7, size=0.1)
        slopes = torch.randn(2, 30, generator=torch.Generator().manual_seed(5))
        return x, c + 0.3 * x[:, :2] ** 3 @ slopes

    cubic, quadratic = GaussianStart(3, 30, 30), GaussianStart(3, 30, 30)
    x, c = twisted(3_000, 1)
    cubic.fit(x, c, 30)
    quadratic.fit(x, c, 30, Reading(2))
    x, c = twisted(4_000, 2)
    # Of the usual row: some in the tails are far off with either of them.
    z, found = zip(*(start(x, c) for start in (cubic, quadratic)), strict=True)
    log_prob = torch.stack(found) - 0.5 * torch.stack(z).square().sum(dim=2)
    assert log_prob[0].median() > log_prob[1].median() + 0.5
    n_quadratic = 3 + 6
    assert cubic.second.emulator.slope[n_quadratic:].abs().max() > 0
    assert quadratic.second.emulator.slope[n_quadratic:].abs().max() == 0


def test_one_row_far_out_does_not_make_all_others_wide():
    x, context, *_ = rows(4_000, 1)
    fresh = rows(4_000, 2)[:2]
    fitted, spoilt = GaussianStart(2, 3), GaussianStart(2, 3)
    fitted.fit(x, context)
    x = x.clone()
    x[0, 0] += 300
    spoilt.fit(x, context)
    assert density(spoilt, *fresh) > density(fitted, *fresh) - 0.05
