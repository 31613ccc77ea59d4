"""The networks of a comparison: losses, what is read, and what may reach what."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pairs import compared_counts, quick
from scipy import stats

import sbi_inn as si
from sbi_inn.checks.none_of_them import FeatureSpread
from sbi_inn.comparison import checking
from sbi_inn.flows import Mixture
from sbi_inn.methods.ib_inn.calibration import LogitCalibration
from sbi_inn.methods.ib_inn.losses import class_loss, density_loss
from sbi_inn.methods.ib_inn.reading import Reading, discrete, readable
from sbi_inn.methods.ib_inn.start import Start, start_of
from sbi_inn.observation.batch import Observations

WEIGHTS = torch.tensor([0.2, 0.3, 0.5]).log()


def mixture(dim=4):
    torch.manual_seed(1)
    return Mixture(3, dim)


def test_a_mixture_is_normalised_and_its_parts_add_up():
    one = mixture()
    z = torch.randn(50, 4) * 3
    each = [stats.multivariate_normal(m).logpdf(z) for m in one.means.detach().numpy()]
    np.testing.assert_allclose(one.log_each(z).detach().T, each, rtol=1e-4, atol=1e-4)
    total = one.log_prob(z, WEIGHTS)
    np.testing.assert_allclose(
        total.detach(), np.log(np.exp(each).T @ np.exp(WEIGHTS.numpy())), rtol=1e-3
    )
    parts = one.parts(z, WEIGHTS)
    np.testing.assert_allclose(sum(parts).detach(), total.detach(), rtol=1e-4, atol=1e-4)


def test_classes_do_not_differ_across_their_span():
    one = mixture()
    across = torch.linalg.svd(one.means.detach() - one.means.detach().mean(0))[2][2:]
    z = torch.randn(20, 4)
    moved = z + 5 * across[0]
    before, after = one.parts(z, WEIGHTS), one.parts(moved, WEIGHTS)
    torch.testing.assert_close(before[0], after[0], rtol=1e-4, atol=1e-3)
    assert (before[1] - after[1]).abs().max() > 1


@pytest.mark.parametrize(("classes", "dim"), [(2, 1), (3, 1), (2, 2), (5, 2), (3, 8)])
def test_means_start_at_a_distance_of_five(classes, dim):
    torch.manual_seed(1)
    distances = torch.pdist(Mixture(classes, dim).means.detach())
    nearest = distances.min() if dim == 1 else distances.mean()
    assert nearest.item() == pytest.approx(5.0, rel=1e-4)


def test_means_move_at_three_times_the_rate():
    fast, slow = Mixture(2, 2), Mixture(2, 2, rate=1.0)
    moved = []
    for one in (fast, slow):
        before = one.means.detach().clone()
        optimiser = torch.optim.Adam(one.parameters(), lr=1e-3)
        one.log_prob(torch.ones(8, 2), torch.tensor([0.5, 0.5]).log()).mean().backward()
        optimiser.step()
        moved.append((one.means.detach() - before).abs().max().item())
    assert moved[0] == pytest.approx(3 * moved[1], rel=1e-3)


def test_losses_are_those_of_the_source():
    one, z, log_det = mixture(), torch.randn(9, 4), torch.randn(9)
    labels = torch.arange(9) % 3
    d2 = torch.cdist(z, one.means).square()
    each = one.log_each(z)
    constant = 0.5 * 4 * math.log(2 * math.pi)
    printed = -torch.logsumexp(-d2 / 2 + WEIGHTS, 1) - log_det + constant
    torch.testing.assert_close(density_loss(each, WEIGHTS, log_det), printed, rtol=1e-4, atol=1e-4)
    posterior = torch.log_softmax(-d2 / 2 + WEIGHTS, 1)
    own = posterior[torch.arange(9), labels] - WEIGHTS[labels]
    torch.testing.assert_close(class_loss(each, WEIGHTS, labels), -own, rtol=1e-4, atol=1e-4)
    smooth = class_loss(each, WEIGHTS, labels, 0.1) - WEIGHTS[labels]
    mixed = 0.9 * posterior[torch.arange(9), labels] + 0.1 * posterior.mean(1)
    torch.testing.assert_close(smooth, -mixed, rtol=1e-4, atol=1e-4)
    # At gamma = 1 / dim (beta = 1) it is the class-conditional likelihood, up to a factor.
    beta_one = density_loss(each, WEIGHTS, log_det) + class_loss(each, WEIGHTS, labels)
    conditional = -(each[torch.arange(9), labels] + log_det)
    torch.testing.assert_close(beta_one, conditional, rtol=1e-4, atol=1e-4)


def test_gamma_balances_the_losses():
    assert si.IBINN(gamma=1).balance == (1, 1)
    assert si.IBINN(gamma=0).balance == (2, 0)
    assert si.IBINN(gamma=math.inf).balance == (0, 2)
    for wrong in (-1, "many", None):
        with pytest.raises(ValueError, match=r"gamma=\.\.\."):
            si.IBINN(gamma=wrong)


def rows(table):
    return Observations(np.asarray(table, float), {})


def test_counts_are_dequantised_and_constants_left_out():
    rng = np.random.default_rng(1)
    counts, real = rng.poisson(5, 2_000), rng.normal(size=2_000)
    tenths, atom = rng.integers(0, 40, 2_000) / 10, np.maximum(real, 0)
    table = np.column_stack([counts, real, np.full(2_000, 7.0), tenths, atom])
    assert discrete(table).tolist() == [True, False, False, True, False]
    reading = Reading.of_observables(rows(table))
    assert reading.columns.tolist() == [0, 1, 3, 4]
    np.testing.assert_allclose(reading.steps * reading.scale[1], [1, 0, 0.1, 0], atol=1e-9)
    assert reading.log_det == pytest.approx(-np.log(reading.scale[1]).sum())
    assert readable(rows(table))
    assert not readable(rows(np.where(table == 7, np.nan, table)))


@pytest.mark.slow
def test_the_density_of_counts_has_a_bound():
    rng = np.random.default_rng(2)
    data = labelled(rng.poisson([[3.0], [6.0]], (2, 1_500)).reshape(-1, 1))
    training = si.Training(epochs=120, early_stopping=False)
    one = si.IBINN(blocks=2, hidden=16).fit(data, training, members=1, seed=1, progress=False)
    found = one.likelihoods(rows(np.arange(12)[:, None]))[0].total
    truth = np.log(stats.poisson.pmf(np.arange(12), [[3], [6]]).mean(axis=0))
    assert np.abs(found - truth)[:9].max() < 0.35


def labelled(table):
    from sbi_inn.methods.ib_inn.data import LabelledData

    n = len(table) // 2
    order = np.random.default_rng(0).permutation(len(table))
    return LabelledData(rows(table), np.repeat([0, 1], n), 2, order[n // 4 :], order[: n // 4])


@pytest.mark.slow
def test_one_number_without_a_given_is_enough():
    rng = np.random.default_rng(3)
    data = labelled(np.concatenate([rng.normal(0, 1, 1_500), rng.normal(1, 1, 1_500)])[:, None])
    one = si.IBINN(blocks=2).fit(data, si.Training(epochs=90), members=1, seed=1, progress=False)
    y = np.linspace(-1, 2, 11)
    log = one.evidence(rows(y[:, None])).log
    np.testing.assert_allclose(log[:, 1] - log[:, 0], y - 0.5, atol=0.35)
    total = one.likelihoods(rows(y[:, None]))[0].total
    truth = np.log((stats.norm.pdf(y) + stats.norm.pdf(y, 1)) / 2)
    assert np.abs(total - truth).max() < 0.5


def test_the_start_is_exact_where_log_odds_are_quadratic():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(0, 1, (10_000, 2)), rng.normal(0, 2, (10_000, 2))])
    x, labels = torch.from_numpy(x).float(), torch.arange(2).repeat_interleave(10_000)
    order = torch.randperm(20_000, generator=torch.Generator().manual_seed(1))
    x, labels = x[order], labels[order]
    start = Start.fit(x[2_000:], labels[2_000:], (x[:2_000], labels[:2_000]), 2, seed=1)
    new = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [0.0, 3.0]])
    logits = start(new)
    odds = (logits[:, 1] - logits[:, 0]).numpy()
    truth = new.square().sum(1).numpy() * 0.375 - 2 * np.log(2)
    assert np.abs(odds - truth).max() < 0.15
    drawn = start.drawn(new)
    spread = (drawn[:, :, 1] - drawn[:, :, 0]).std(0).numpy()
    assert (np.abs(odds - truth) < 4 * spread).all()
    assert Start.fit(x[:15], labels[:15], (x[30:60], labels[30:60]), 2, seed=1) is None


def test_few_rows_do_not_change_logits_that_are_right():
    rng = np.random.default_rng(5)
    odds = rng.normal(0, 2, 2_000)
    labels = (rng.random(2_000) < 1 / (1 + np.exp(-odds))).astype(int)
    logits = np.stack([0 * odds, odds], axis=1)[:, None]
    right = LogitCalibration.fit(logits, labels, rng)
    assert np.abs(right.powers - 1).max() < 0.05
    assert np.abs(right.shifts).max() < 0.05
    assert 0.02 < right.repeated[:, 0].std() < 0.2
    shifted = LogitCalibration.fit(logits + [0.0, 0.7], labels, rng)
    assert shifted.shifts[0] - shifted.shifts[1] == pytest.approx(0.7, abs=0.2)


def shrunk(one, steps=150):
    """Let the loss of the density reach the classifier, which it never may."""
    member = one.members[0]
    classifier, flow, reading = member.classifier, member.flow, member.reading
    observations = compared_counts().core.usual.observations
    batch = member._batches(observations)[0]
    scale = torch.from_numpy(reading.scale.astype(np.float32))
    rotation = torch.from_numpy(reading.rotation.astype(np.float32))
    steering = member.numbers(observations).steering[: len(batch)]
    optimiser = torch.optim.Adam(classifier.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        logits = classifier(batch) + start_of(member.start, batch, 2)
        features = torch.cat([logits[:, 1:] - logits[:, :1], classifier.features(batch)], dim=1)
        x = (features[:, reading.columns] - scale[0]) / scale[1] @ rotation
        z, log_det = flow.flow(x, steering)
        loss = density_loss(flow.mixture.log_each(z), flow.log_weights, log_det).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.slow
def test_a_density_that_reaches_the_summary_is_caught():
    from copy import deepcopy

    comparison = compared_counts()
    fitted = comparison.core.fitted
    good = checking.candidates_of(comparison.core)
    assert FeatureSpread.of(good).verdict == "trust"
    planted = replace(fitted, members=tuple(deepcopy(m) for m in fitted.members))
    losses = shrunk(planted)
    assert losses[-1] < losses[0] - 1  # it pays to shrink
    found = FeatureSpread.of(replace(good, features=planted.features(good.tests.observations)))
    assert found.verdict != "trust", found
    assert "shrunk" not in found.well


def test_training_keeps_the_density_away_from_the_classifier():
    """Whatever gamma is, the classifier is the same: the density cannot have reached it."""
    pairs = {name: compared_counts().simulations[name] for name in ("poisson", "geometric")}
    weights = [
        quick(pairs, epochs=1, method=si.IBINN(blocks=1, hidden=8, gamma=gamma))
        .core.fitted.members[0]
        .classifier.state_dict()
        for gamma in (0.0, 50.0)
    ]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=0, atol=0)


def test_gamma_is_chosen_among_those_that_classify_well():
    rng = np.random.default_rng(6)
    data = labelled(np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(1, 1, (300, 2))]))
    method = si.IBINN(gamma="auto", blocks=1, hidden=8)
    one = method.fit(data, si.Training(epochs=2), members=1, seed=1, progress=False)
    assert one.settings.gamma in (0.02, 0.1, 0.5, 1.0, 5.0, 50.0)
