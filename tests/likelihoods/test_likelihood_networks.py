"""Networks of a likelihood, trained side by side: when they stop, and that this is done once."""

import math

import pytest
import torch

from sbi_inn.likelihoods import networks, observable_networks
from sbi_inn.likelihoods.networks import SMALL, Size
from sbi_inn.likelihoods.observable_networks import Targets, trained


def rows(n):
    """Parameters of n rows, what networks learn of one observable, and parts of the rows."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 2, generator=generator)
    left = x[:, :1].sin() + torch.randn(n, 1, generator=generator)
    no = torch.zeros(1, dtype=torch.bool)
    targets = Targets(
        left.expand(3, -1, -1), torch.zeros(n, 1), no, no, torch.ones(1), torch.zeros(1)
    )
    every = torch.arange(n)
    seen = [every, every[every % 2 == 0], every[every % 2 == 1]]
    return x, targets, seen, [seen[2], seen[1]]


def looks(monkeypatch, beat=math.inf):
    """Train, and give what was found, and the losses of rows left out at each look."""
    found, held = [], observable_networks._held_losses

    def watched(*args):
        losses = held(*args)
        found.append(float(losses.mean()))
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(observable_networks, "_held_losses", watched)
        # Without its memory.
        return trained.__wrapped__(*rows(120), Size(128, 6_000, 1e-2), beat), found


def test_what_has_lost_is_trained_no_further_and_its_best_is_kept(monkeypatch):
    """Of a hundred rows a large network soon knows each by heart."""
    (best, weights), short = looks(monkeypatch)
    monkeypatch.setattr(observable_networks, "LOST", float("inf"))
    (other, others), whole = looks(monkeypatch)
    assert short == whole[: len(short)]
    assert len(short) < len(whole)
    assert best == other == min(whole)
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))


def test_who_falls_behind_another_is_trained_no_further_after_half(monkeypatch):
    monkeypatch.setattr(observable_networks, "LOST", math.inf)
    whole, short, ahead = (looks(monkeypatch, beat)[1] for beat in (math.inf, 0.0, 1e3))
    assert short == whole[: len(short)]
    assert len(whole) / 4 < len(short) < len(whole)
    assert ahead == whole


def test_who_asks_again_is_given_the_same(monkeypatch):
    first = trained(*rows(120), SMALL)
    monkeypatch.setattr(networks, "Stacked", None)  # nothing is trained any more
    assert trained(*rows(120), SMALL) is first
    with pytest.raises(TypeError):
        trained(*rows(121), SMALL)
    with pytest.raises(TypeError):
        trained(*rows(120), SMALL._replace(rate=1e-3))


def choices(n, k, *, linear):
    """Targets of k choices, whose log odds are linear in one parameter, or bend as well."""
    draw = torch.Generator().manual_seed(2)
    x, at = torch.randn(n, 1, generator=draw), torch.linspace(-1, 1, k)
    odds = 2 * (x + at)
    bent = odds if linear else odds + 4 * x.square() - 4
    came = 2 * torch.bernoulli(torch.sigmoid(bent), generator=draw) - 1
    yes, no = torch.ones(k, dtype=torch.bool), torch.zeros(k, dtype=torch.bool)
    left = (came * odds).expand(3, -1, -1)
    targets = Targets(left, came, yes, no, torch.ones(k), torch.zeros(k))
    every = torch.arange(n)
    seen = [every, every[every % 2 == 0], every[every % 2 == 1]]
    return x, targets, seen, [seen[2], seen[1]]


@pytest.mark.parametrize("linear", [True, False])
def test_of_many_choices_a_few_say_whether_networks_are_needed(monkeypatch, linear):
    monkeypatch.setattr(observable_networks, "CHOICES_TRIED", 8)
    x, targets, seen, held = choices(1_000, 40, linear=linear)
    widths, descended = [], observable_networks.descended

    def watched(table, n_said, *args):
        widths.append(n_said)
        return descended(table, n_said, *args)

    monkeypatch.setattr(observable_networks, "descended", watched)
    loss, weights = trained.__wrapped__(x, targets, seen, held, SMALL)
    assert weights[4].shape == (3, SMALL.hidden, 80)
    assert weights[5].shape == (3, 1, 80)
    without = observable_networks.without(targets, held)
    if linear:
        assert 80 not in widths
        assert not any(weight[..., :40].any() for weight in weights[4:])
        assert loss == without
    else:
        assert 80 in widths
        assert loss < without - 0.1


def test_slopes_of_choices_are_those_that_torch_finds():
    _, targets, *_ = choices(50, 6, linear=False)
    networks, some = torch.arange(3)[:, None], torch.arange(20).expand(3, -1)
    here = targets.at(networks, some)
    said = torch.randn(3, 20, 12, generator=torch.Generator().manual_seed(3)).requires_grad_()
    loss = observable_networks._losses(said, here).mean(dim=(1, 2)).sum()
    (by_torch,) = torch.autograd.grad(loss, said)
    torch.testing.assert_close(observable_networks._slope(said.detach(), here), by_torch)
