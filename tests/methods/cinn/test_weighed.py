"""Draws that are weighed by a learned likelihood, beside posteriors that are known."""

from copy import deepcopy
from dataclasses import fields, replace

import numpy as np
import pytest
import scipy.stats as st
import torch

import sbi_inn as si
from sbi_inn.methods.cinn import weighed as module
from sbi_inn.methods.cinn.fitted import FittedCINN
from sbi_inn.methods.cinn.weighed import KEPT, REFERENCE, Power, WeighedCINN, weighed
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.methods.row_generators import RowGenerators

PLACES = np.linspace(-2, 2, 40)
PRIOR = si.Prior(level=st.norm(0, 1), slope=st.norm(0, 1))


def log_odds(level, slope):
    return level[:, None] + slope[:, None] * PLACES


@si.simulator(batched=True)
def choices(level, slope, rng):
    """Forty choices, whose log odds are linear."""
    chance = 1 / (1 + np.exp(-log_odds(level, slope)))
    return {"y": (rng.random(chance.shape) < chance).astype(float)}


@pytest.fixture(scope="module")
def posterior():
    """One network that was hardly trained, after a start that has learned a likelihood."""
    return si.fit_posterior(
        choices,
        PRIOR,
        n_simulations=2_000,
        method=si.CINN(start="exact", place=1, blocks=2, hidden=8),
        training=si.Training(epochs=1),
        ensemble=1,
        seed=1,
        progress=False,
    )


@pytest.fixture(scope="module")
def data():
    """Simulations that nothing was trained on."""
    table = si.simulate(si.Problem(choices, PRIOR), n=300, seed=7, n_jobs=1, progress=False)
    latents = PRIOR.to_latent(table.parameters(table.ok))
    return TrainingData(latents, table.observations(table.ok), np.arange(0), np.arange(300))


@pytest.fixture(scope="module")
def plain(posterior):
    """The same network with its weights changed at random: its draws are wrong."""
    fitted = posterior.core.fitted
    network, generator = deepcopy(fitted.network), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.flow.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator)
    return FittedCINN(
        *(getattr(fitted, part.name) for part in fields(FittedCINN)[:-2]), network, fitted.shape
    )


@pytest.fixture(scope="module")
def fitted(plain, data):
    """Its draws, weighed."""
    return weighed(plain, replace(data, validation=np.arange(200)))


@pytest.fixture(scope="module")
def mended(posterior, fitted):
    return type(posterior)(replace(posterior.core, fitted=fitted))


def exact(y):
    """Give means and standard deviations of level and slope, by a grid."""
    level, slope = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-5, 5, 401)] * 2))
    odds = log_odds(level, slope)
    log_p = odds @ y - np.logaddexp(0, odds).sum(axis=1) - (level**2 + slope**2) / 2
    weight = np.exp(log_p - log_p.max())
    weight /= weight.sum()
    each = np.stack([level, slope])
    mean = each @ weight
    return mean, np.sqrt((each - mean[:, None]) ** 2 @ weight)


@pytest.mark.slow
def test_it_says_that_draws_are_weighed(mended, fitted):
    assert isinstance(fitted, WeighedCINN)
    assert "its draws weighed by a learned likelihood" in repr(mended)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "slope"), [(0.3, 0.5), (-1.5, 1.0), (1.0, -2.0)])
def test_draws_are_those_of_the_exact_posterior(mended, level, slope):
    chance = 1 / (1 + np.exp(-log_odds(np.array([level]), np.array([slope]))[0]))
    y = (np.random.default_rng(3).random(40) < chance).astype(float)
    mean, sd = exact(y)
    draws = mended.sample({"y": y}, 4_000, seed=2)
    found = np.stack([draws["level"], draws["slope"]])
    assert np.abs((found.mean(axis=1) - mean) / sd).max() < 0.2  # 2,000 simulations tell so much
    np.testing.assert_allclose(found.std(axis=1) / sd, 1, atol=0.12)


@pytest.mark.slow
def test_truths_are_likelier_than_by_the_network_alone(fitted, plain, data):
    others = data.latents[200:], data.observations[200:]
    gain = fitted.log_prob(*others) - plain.log_prob(*others)
    assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain))
    assert gain.min() >= np.log(KEPT)


@pytest.mark.slow
def test_draws_are_weighed_where_a_start_found_no_use_for_its_likelihood(plain, data):
    other = replace(plain, network=deepcopy(plain.network))
    other.network.start.inverts.fill_(False)
    fitted = weighed(other, replace(data, validation=np.arange(200)))
    others = data.latents[200:], data.observations[200:]
    gain = fitted.log_prob(*others) - other.log_prob(*others)
    assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain))


@pytest.mark.slow
def test_the_density_integrates_to_one_and_is_that_of_the_draws(fitted, data):
    observation, rng = data.observations[:1], np.random.default_rng(5)
    draws = fitted.sample(observation, 20_000, rng)[0]
    law = st.multivariate_t(draws.mean(axis=0), 2 * np.cov(draws.T), df=5, seed=6)
    places = law.rvs(20_000)
    share = np.exp(fitted.log_prob(places, observation) - law.logpdf(places))
    error = share.std() / np.sqrt(len(share))
    reference = fitted.reference(observation)
    weights = np.exp(fitted.power.at(reference)[:, None] * (reference - reference.max()))
    of_reference = weights.std() / weights.mean() / np.sqrt(REFERENCE)  # of random places
    assert share.mean() == pytest.approx(1, abs=3 * error + 2 * of_reference)
    mean = (share[:, None] * places).mean(axis=0) / share.mean()
    assert np.abs(mean - draws.mean(axis=0)).max() < 0.05 * draws.std(axis=0).min()


@pytest.mark.slow
def test_what_is_drawn_for_one_does_not_depend_on_others(fitted, data):
    some = data.observations[:5]
    drawn = fitted.sample(some, 30, RowGenerators.at(some, 1))
    alone = fitted.sample(some[3:4], 30, RowGenerators.at(some, 1)[3:4])
    np.testing.assert_allclose(alone[0], drawn[3], atol=1e-3)
    assert len(np.unique(drawn[3][:, 0])) > 20


@pytest.mark.slow
def test_densities_are_the_same_in_small_pieces(fitted, data, monkeypatch):
    rows = data.latents[:20], data.observations[:4]
    whole = fitted.log_prob(*rows)
    monkeypatch.setattr(module, "BLOCK", 100)
    np.testing.assert_allclose(fitted.log_prob(*rows), whole, atol=1e-6)


@pytest.mark.slow
def test_it_is_saved_and_read_back(mended, fitted, data, tmp_path):
    mended.save(tmp_path / "choices.sbi")
    again = si.load_posterior(tmp_path / "choices.sbi").core.fitted
    assert again.power == fitted.power
    some = data.observations[:3], data.latents[:3]
    np.testing.assert_allclose(again.log_prob(*some[::-1]), fitted.log_prob(*some[::-1]), atol=1e-5)


@pytest.mark.slow
def test_weights_that_are_wrong_are_not_taken(plain, data, monkeypatch):
    def higher(self, x, known, own):
        return 20.0 * x[:, :, 0].double()

    monkeypatch.setattr(WeighedCINN, "_log_ratio", higher)
    assert type(weighed(plain, data)) is FittedCINN


@pytest.mark.slow
def test_training_goes_on_and_weights_are_chosen_anew(fitted, data):
    again = fitted.train_more(
        replace(data, train=np.arange(200), validation=np.arange(200, 300)),
        si.Training(epochs=1),
        seed=1,
        progress=False,
    )
    before, now = (one.log_prob(data.latents, data.observations).mean() for one in (fitted, again))
    assert now > before - 0.1  # what it keeps is judged by 100 simulations


def test_where_weights_are_worth_little_they_count_for_less():
    rng = np.random.default_rng(1)
    agreeing, apart = 0.1 * rng.normal(size=(1, 256)), 20 * rng.normal(size=(1, 256))
    power = Power(1.0, 0.25)
    assert power.at(agreeing) == 1
    assert 0 <= power.at(apart)[0] < 0.2
    bounded = power.log_density(np.array([[-1e5]]), agreeing)
    np.testing.assert_allclose(bounded, np.log(KEPT))
