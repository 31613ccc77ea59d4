"""Networks of one kind asked where posteriors are narrow, of another where they are wide."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st
from numpy.testing import assert_allclose

import sbi_inn as si
from sbi_inn.methods import CINN, Ensemble, TrainingData
from sbi_inn.methods.ensemble.fitted import mixture
from sbi_inn.methods.ensemble.sides import Sides, parted
from sbi_inn.methods.ensemble.training import Member
from sbi_inn.observation.batch import Observations
from sbi_inn.training.history import History

ROWS = 2_000
HISTORY = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)


@dataclass(frozen=True)
class Wide:
    """A trained method: N(mean, e^y) at the observation y, whose log volume is y."""

    mean: float = 0.0
    kind: str = ""
    history: History = HISTORY
    settings: CINN = CINN()

    def log_volume(self, observations):
        return observations.vector[:, 0]

    def sample(self, observations, n, rng):
        sd = np.exp(observations.vector)
        return self.mean + (sd * rng.standard_normal((len(observations), n)))[..., None]

    def log_prob(self, latent, observations):
        each = np.repeat(observations.vector[:, 0], len(latent) // len(observations))
        return st.norm.logpdf(latent[:, 0], self.mean, np.exp(each))


def study(seed=1):
    y = np.random.default_rng(seed).normal(size=(ROWS, 1))
    data = TrainingData(np.zeros((ROWS, 1)), Observations(y, {}), np.arange(0), np.arange(ROWS))
    return y[:, 0], data


def members(*densities):
    kinds = ("", "", "likelihood")
    return [Member(Wide(kind=k), d) for k, d in zip(kinds, densities, strict=True)]


def noise(seed, sd=0.5):
    return sd * np.random.default_rng(seed).normal(size=ROWS)


def test_a_kind_is_asked_where_it_is_better():
    y, data = study()
    better = np.where(y < -0.5, 0.5, -0.5)
    plain = members(noise(1), noise(2) - 0.1, better + noise(3))
    chosen, weights, sides = parted(plain, data)
    assert [one.fitted.kind for one in chosen] == ["likelihood", "", ""]
    assert sides.limit == pytest.approx(-0.5, abs=0.15)  # quantiles are .1 to .2 apart there
    assert_allclose(sides.weights[0], [1, 0, 0])
    assert sides.weights[1, 0] == 0
    assert_allclose(sides.weights.sum(axis=1), 1)
    assert weights[0] == pytest.approx(np.mean(y <= sides.limit))
    assert weights.sum() == pytest.approx(1)
    assert sides.judges == (0, 1)  # the best of each kind
    other = Observations(np.array([[-2.0], [2.0]]), {})
    assert_allclose(sides.at([one.fitted for one in chosen], other), sides.weights)


def test_it_may_be_better_where_posteriors_are_wide():
    y, data = study()
    plain = members(noise(1), noise(2), np.where(y > 0.5, 1.0, -1.0) + noise(3))
    chosen, _, sides = parted(plain, data)
    assert [one.fitted.kind for one in chosen] == ["", "", "likelihood"]
    assert_allclose(sides.weights[1], [0, 0, 1])


def test_noise_hardly_ever_parts_them():
    """Forty pairs of kinds that are equally good at all observations."""
    found = []
    for seed in range(40):
        _, data = study(seed)
        chosen, _, sides = parted(members(*(noise(3 * seed + i) for i in range(3))), data)
        assert sides is not None or len({one.fitted.kind for one in chosen}) == 1
        found.append(sides)
    assert sum(one is not None for one in found) <= 1


def test_what_is_better_everywhere_is_asked_everywhere():
    _, data = study()
    chosen, weights, sides = parted(members(noise(1) - 1, noise(2) - 1, noise(3)), data)
    assert ([one.fitted.kind for one in chosen], sides) == (["likelihood"], None)
    assert_allclose(weights, 1)


def test_what_cannot_be_measured_is_asked_everywhere():
    y, data = study()
    found = [
        replace(one, fitted=SimpleNamespace(kind=one.fitted.kind))
        for one in members(noise(1), noise(2), np.where(y < 0, 1.0, -1.0))
    ]
    assert parted(found, data)[2] is None


@pytest.fixture
def parted_mixture():
    sides = Sides((0, 1), 0.0, np.array([[1.0, 0.0, 0.0], [0.0, 0.3, 0.7]]))
    return mixture(
        Ensemble(CINN(), 3),
        (Wide(-50.0), Wide(0.0), Wide(50.0)),
        sides.weights.mean(axis=0),
        seconds=1.0,
        interrupted=False,
        trained=3,
        sides=sides,
    )


def test_draws_and_densities_are_those_of_the_networks_asked(parted_mixture):
    here = Observations(np.array([[-0.5], [0.5]]), {})
    draws = parted_mixture.sample(here, 1_000, np.random.default_rng(1))[..., 0]
    assert_allclose(draws[0].mean(), -50, atol=0.1)
    assert np.mean(draws[1] > 25) == pytest.approx(0.7)
    assert np.mean(draws[1] < -25) == 0
    x = np.linspace(-70, 70, 8_001)
    both = parted_mixture.log_prob(np.concatenate([x, x])[:, None], here).reshape(2, -1)
    assert_allclose(both[0], st.norm.logpdf(x, -50, np.exp(-0.5)), rtol=1e-10)
    assert_allclose(np.trapezoid(np.exp(both), x, axis=1), 1, atol=1e-8)
    one = parted_mixture.log_prob(x[:, None], here[[1]])
    assert_allclose(one, both[1])
    assert parted_mixture.log_prob(np.empty((0, 1)), here[[1]]).shape == (0,)
    assert parted_mixture.log_prob(np.empty((0, 1)), here[[]]).shape == (0,)
    assert parted_mixture.best_at(here[[0]]).mean == -50
    assert parted_mixture.best_at(here[[1]]).mean == 50


def test_files_keep_them(parted_mixture):
    sides = parted_mixture.sides
    again = Sides.from_arrays(sides.to_arrays(), 3)
    assert (again.judges, again.limit) == (sides.judges, sides.limit)
    assert_allclose(again.weights, sides.weights)
    assert Sides.from_arrays({"weights": np.ones(1)}, 1) is None
    for broken in (
        {"sides": np.ones((2, 3))},
        {"sides": np.array([[2.0, -1.0, 0.0], [0.0, 0.3, 0.7]])},
        {"judges": np.array([0, 3])},
        {"judges": np.array([0, -1])},
        {"limit": np.ones(0)},
        {"limit": np.array([np.nan])},
    ):
        with pytest.raises(ValueError, match="sides"):
            Sides.from_arrays(sides.to_arrays() | broken, 3)


def test_the_volume_is_the_entropy_of_the_draws():
    """Noise from row to row: posteriors are narrow at some observations, and wide at others."""

    def simulator(x, rng):
        sd = np.exp(rng.uniform(-3, 0, size=x.shape))
        return {"y": x + sd * rng.normal(size=x.shape), "sd": sd}

    prior = si.Prior(x=st.norm(0, 1))
    posterior = si.fit_posterior(
        si.simulator(batched=True)(simulator),
        prior,
        n_simulations=2_000,
        ensemble=1,
        training=si.Training(epochs=10),
        seed=1,
        progress=False,
    )
    fitted = posterior.core.fitted
    one = getattr(fitted, "members", (fitted,))[0]
    sd = np.geomspace(0.06, 0.9, 6)
    seen = posterior.schema.stack({"y": np.zeros(6), "sd": sd}, {})
    volume = one.log_volume(seen)
    draws = one.sample(seen, 2_000, np.random.default_rng(1))
    density = one.log_prob(draws.reshape(-1, 1), seen).reshape(6, -1)
    entropy = -density.mean(axis=1) - 0.5 * np.log(2 * np.pi * np.e)
    # Eight latents in place of 2,000; the widths themselves differ by a factor of ten.
    assert_allclose(volume, entropy, atol=0.15)
    exact = np.log(sd / np.sqrt(1 + sd**2))
    assert np.corrcoef(volume, exact)[0, 1] > 0.97
