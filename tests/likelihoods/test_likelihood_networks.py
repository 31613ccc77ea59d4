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
