"""Latents of parameters with flat priors."""

import math

import pytest
import torch

from sbi_inn.flows import LaplaceStart, laplace_start
from sbi_inn.flows.evened import KNEE, Evened
from sbi_inn.likelihoods.networks import SMALL


@pytest.fixture
def even():
    found = Evened(3)
    found.flat[:2] = True
    return found


def test_it_is_undone_and_knows_its_slope(even):
    x = torch.linspace(-8, 8, 301).double()[:, None].expand(-1, 3).clone().requires_grad_()
    w, log_det = even(x)
    back, other = even.inverse(w)
    torch.testing.assert_close(back, x, rtol=1e-9, atol=1e-6)
    torch.testing.assert_close(other, -log_det, rtol=1e-6, atol=1e-6)
    slope = torch.autograd.grad(w.sum(), x)[0]
    torch.testing.assert_close(slope.log().sum(dim=1), log_det)
    assert (w.diff(dim=0) > 0).all()


def test_what_is_normal_becomes_even(even):
    x = torch.randn(50_000, 3, generator=torch.Generator().manual_seed(1))
    w, _ = even(x)
    inside = (x[:, 0].abs() < KNEE).double().mean()
    assert inside == pytest.approx(0.995, abs=0.001)
    shares = torch.histc(w[:, 0], 10, -(3**0.5), 3**0.5) / len(w)
    assert (shares - 0.1).abs().max() < 4 * math.sqrt(0.09 / len(w)) + 0.0026
    assert torch.equal(w[:, 2], x[:, 2])


def test_parameters_are_chosen_by_what_is_observed():
    draw = torch.Generator().manual_seed(11)
    x = torch.randn(2_000, 3, generator=draw).double()
    flat = torch.special.ndtr(x[:, 0])
    noise = 0.05 * torch.randn(2_000, 4, generator=draw).double()
    y = torch.stack([flat, flat - x[:, 1], x[:, 1], x[:, 2]], dim=1) + noise
    found = Evened(3)
    found.fit(x, y, y[:, :0])
    assert found.flat.tolist() == [True, False, False]


@pytest.mark.parametrize("flat", [True, False])
def test_of_choices_log_odds_say_which_parameters_to_even(flat):
    """A probability of yes goes from 0 to 1 like an even number: it is no guide."""
    draw = torch.Generator().manual_seed(12)
    x = torch.randn(3_000, 2, generator=draw).double()
    read = 3.5 * (torch.special.ndtr(x) - 0.5) if flat else x
    odds = 4 * (read[:, :1] + read[:, 1:] * torch.linspace(-1, 1, 20))
    yes = torch.bernoulli(torch.sigmoid(odds), generator=draw)
    found = Evened(2)
    found.fit(x, 3 + 4 * yes, yes[:, :0])
    assert found.flat.tolist() == [flat, flat]


def test_a_start_evens_where_rows_left_out_gain(monkeypatch):
    """Of a sum that is known well and a difference that is not, a posterior bends in latents."""
    monkeypatch.setattr(laplace_start, "LARGE", SMALL)  # larger networks would take long
    x, noise = torch.randn(2, 800, 2, generator=torch.Generator().manual_seed(2))

    def told(x):
        both = torch.stack([x.sum(dim=1), x[:, 0] - x[:, 1]], dim=1)
        return both + torch.tensor([0.003, 0.3]) * noise

    straight, bent = told(torch.special.ndtr(x)), told(x)
    for y, flat in ((straight, True), (bent, False)):
        start = LaplaceStart(2, 2, 2, (0, 1))
        start.fit(x, y)
        assert start.inverts or not flat
        assert bool(start.even.flat.any()) == flat
        z, log_det = start(x, y)
        back, other = start.inverse(z, y)
        torch.testing.assert_close(back, x, rtol=0.0, atol=2e-3)
        torch.testing.assert_close(other, -log_det, rtol=0.0, atol=2e-2)


def test_a_file_of_before_evens_nothing(even):
    fresh = Evened(3)
    fresh.load_state_dict({})
    assert not fresh.flat.any()
