"""Sharp posteriors under vague priors: a straight line, whose posterior is known."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.flows import LaplaceStart
from sbi_inn.methods.cinn.exact_start import as_rows_allow, binary, discrete, emulated
from sbi_inn.methods.cinn.method import CINN
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks import sufficient
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.training.settings import Training

X = np.linspace(-5, 9, 40)
SIGMA = 0.5
VAGUE = 100.0


@si.simulator(batched=True)
def line(a, b, rng):
    return {"y": a[:, None] + b[:, None] * X + SIGMA * rng.normal(size=(len(a), len(X)))}


PRIOR = si.Prior(a=st.norm(0, VAGUE), b=st.norm(0, VAGUE))


def exact(y):
    """Give mean and covariance of intercept and slope (Bayesian linear regression)."""
    design = np.stack([np.ones_like(X), X], axis=1)
    covariance = np.linalg.inv(design.T @ design / SIGMA**2 + np.eye(2) / VAGUE**2)
    return covariance @ design.T @ y / SIGMA**2, covariance


def fitted(n, *, hidden=8, epochs):
    """Fit one small network that starts exact."""
    return si.fit_posterior(
        line,
        PRIOR,
        n_simulations=n,
        method=si.CINN(start="exact", blocks=2, hidden=hidden),
        training=Training(epochs=epochs),
        ensemble=1,
        seed=1,
        progress=False,
    )


@pytest.mark.slow
def test_a_posterior_a_thousand_times_narrower_than_the_prior():
    posterior = fitted(4_500, hidden=16, epochs=8)
    rng = np.random.default_rng(2)
    for a, b in [(30.0, -12.0), (-80.0, 60.0), (0.5, 0.1)]:
        y = a + b * X + SIGMA * rng.normal(size=len(X))
        mean, covariance = exact(y)
        draws = posterior.sample({"y": y}, 4_000, seed=3)
        found = np.stack([draws["a"], draws["b"]], axis=1)
        sd = np.sqrt(np.diag(covariance))
        assert np.abs((found.mean(axis=0) - mean) / sd).max() < 0.35
        np.testing.assert_allclose(found.std(axis=0) / sd, 1, atol=0.2)


@pytest.fixture(scope="module")
def posterior():
    return fitted(2_000, epochs=2)


@pytest.mark.slow
def test_its_latents_are_those_of_its_own_start(posterior):
    """Weighting goes through the latents: from draws back to them, and by the exact likelihood."""
    y = 30 - 12 * X + SIGMA * np.random.default_rng(2).normal(size=len(X))

    def log_likelihood(a, b, y):
        return st.norm(a[:, None] + b[:, None] * X, SIGMA).logpdf(y).sum(axis=1)

    weighted = posterior.importance({"y": y}, log_likelihood, n=2_000, batched=True, seed=1)
    assert weighted.verdict == "trust"
    mean, covariance = exact(y)
    found = np.stack([weighted.draws["a"], weighted.draws["b"]], axis=1)
    error = np.sqrt(np.diag(covariance) / weighted.effective_sample_size)
    assert np.abs((found.mean(axis=0) - mean) / error).max() < 5


def test_an_ensemble_has_both_starts_unless_one_is_asked_for():
    exact = [si.CINN().member(place).starts_exact for place in range(4)]
    assert exact == [False, True, False, True]
    assert si.CINN(start="exact").member(0).starts_exact
    assert not si.CINN(start="trained").member(1).starts_exact
    with pytest.raises(ValueError, match="start"):
        si.CINN(start="warm")


@pytest.mark.parametrize(("beat", "learns"), [(1.0, True), (-50.0, False)])
def test_a_likelihood_is_learned_if_it_beats_the_other_networks(beat, learns):
    """Where an exact start was not worth it, the fourth network tries once more."""
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(700, 2))
    vector = np.stack([np.sinh(latents[:, 0]), latents[:, 1] ** 3, latents.prod(axis=1)], axis=1)
    vector += 0.1 * rng.normal(size=(700, 3))
    data = TrainingData(latents, Observations(vector, {}), np.arange(600), np.arange(600, 700))
    fourth = si.CINN(blocks=2, hidden=8).member(3)
    assert fourth.advised(worth=True, loss=beat) == fourth
    assert fourth.advised(worth=False, loss=np.inf) == fourth
    found = fourth.advised(worth=False, loss=beat).fit(
        data, Training(epochs=1), seed=1, progress=False
    )
    assert isinstance(found.network.start, LaplaceStart) is learns
    assert found.settings.start == ("auto" if learns else "trained")


def test_too_few_simulations_start_as_before():
    posterior = fitted(130, epochs=2)  # of which 67 are trained on: fewer than features
    assert "closed form" not in repr(posterior)


@pytest.mark.slow
def test_it_is_saved_and_read_back(posterior, tmp_path):
    assert "after a Gaussian in closed form" in repr(posterior)
    posterior.save(tmp_path / "line.sbi")
    again = si.load_posterior(tmp_path / "line.sbi")
    y = {"y": 3.0 + 2.0 * X}
    one, other = posterior.sample(y, 10), again.sample(y, 10)
    np.testing.assert_array_equal(one["a"], other["a"])
    np.testing.assert_allclose(posterior.log_prob(one, y), again.log_prob(one, y), rtol=1e-6)


def test_of_few_simulations_the_quantiles_of_sets_are_left_out():
    rng = np.random.default_rng(1)
    sets = {"n": PaddedSet(rng.normal(size=(400, 60, 3)), np.full(400, 60))}
    whole = Observations(np.empty((400, 0)), sets)
    for rows, profiled, started in ((400, ("n",), True), (200, (), True), (50, (), False)):
        data = TrainingData(
            rng.normal(size=(400, 1)), whole, np.arange(rows), np.arange(0), in_folds=True
        )
        exact = Exact.fit(whole[:rows], np.arange(0), likelihood=True)
        assert exact.source.profiled == ("n",)
        allowed = as_rows_allow(exact, data)
        assert (allowed is not None) == started
        if allowed is not None:
            assert allowed.source.profiled == profiled


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "kept"), [(0.1, True), (300.0, False)])
def test_shares_are_read_where_sets_are_much_alike(spread, kept):
    """Sets of two normals, one of which lies where the parameters say, and is as wide."""
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(1_500, 2))
    mean, sd = 3 + spread * latents[:, :1], np.exp(0.2 * latents[:, 1:])
    noise = rng.normal(size=(1_500, 150))
    second = rng.random((1_500, 150)) < 0.2
    entries = np.where(second, mean + sd * noise, 0.5 * noise)
    whole = Observations(
        np.empty((1_500, 0)), {"n": PaddedSet(entries[:, :, None], np.full(1_500, 150))}
    )
    data = TrainingData(latents, whole, np.arange(1_500), np.arange(0), in_folds=True)
    exact = Exact.fit(whole, np.arange(0), likelihood=True, alike=True)
    allowed = as_rows_allow(exact, data)
    assert allowed is not None
    assert bool(allowed.source.shares) == kept


def rows_of(vector, rng):
    seen = Observations(vector, {})
    n = len(vector)
    return TrainingData(rng.normal(size=(n, 1)), seen, np.arange(n), np.arange(0))


def test_more_binary_observables_are_learned_of_than_numbers():
    rng = np.random.default_rng(1)
    numbers, coins = rng.normal(size=(400, 201)), rng.integers(0, 2, (400, 201)).astype(float)
    mixed = np.hstack([numbers[:, :3], coins[:, :2]])
    for vector, learned in ((mixed, 5), (numbers, 0), (coins, 201)):
        data = rows_of(vector, rng)
        exact = Exact.fit(data.observations, np.arange(vector.shape[1]))
        assert len(emulated(exact, data)) == learned


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["regression", "peak"])
def test_hundreds_of_counts_are_read_whole_or_reduced(kind, monkeypatch):
    """Log rates that are linear in the parameters, or a peak that moves through a spectrum."""
    monkeypatch.setattr(sufficient, "MANY", 60)  # in place of 200, which take longer
    rng = np.random.default_rng(1)
    latents, at = rng.normal(size=(500, 2)), np.linspace(-1, 1, 65)
    first, second = latents.T[:, :, None]
    rate = 1 + 40 * np.exp(-0.5 * ((at - 0.4 * second) / 0.1) ** 2) * np.exp(0.3 * first)
    rate = np.exp(first + second * at) if kind == "regression" else rate
    seen = Observations(rng.poisson(rate).astype(float), {})
    data = TrainingData(latents, seen, np.arange(500), np.arange(0))
    exact = Exact.fit(seen, np.arange(65), likelihood=True, latents=latents)
    found = as_rows_allow(exact, data)
    assert found is not None
    assert (found.source.sufficient is None) == (kind == "regression")
    # Of fewer rows than features, too, a start reads what is reduced.
    few = as_rows_allow(exact, replace(data, train=np.arange(305)))
    assert few is not None
    assert few.source.sufficient is not None


def test_of_choices_the_second_network_learns_a_likelihood_and_the_fourth_starts_as_the_first():
    rng = np.random.default_rng(1)
    data = rows_of(rng.integers(0, 2, (400, 8)).astype(float), rng)
    assert binary(data)
    second, fourth = CINN(place=1), CINN(place=3)
    assert second._learns_likelihood(data)
    assert second._may_start_exact(data)
    assert not fourth._may_start_exact(data)
    assert not second._learns_likelihood(rows_of(rng.normal(size=(400, 8)), rng))


def test_counts_are_learned_of_as_choices_are():
    rng = np.random.default_rng(1)
    counts = rng.poisson(20, (400, 8)).astype(float)
    data = rows_of(counts, rng)
    assert discrete(data)
    assert not binary(data)
    assert CINN(place=1)._learns_likelihood(data)
    assert not CINN(place=3)._may_start_exact(data)
    assert discrete(rows_of(np.log(counts + 1), rng))
    assert not discrete(rows_of(counts / 3, rng))


def test_what_is_linear_is_read_as_it_is():
    """Noises of all sizes make tails; by their normal scores, observables are bent."""
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(1_000, 3))
    sizes = np.exp(2 * latents[:, 2:])
    vector = 30 * latents[:, :1] + 10 * latents[:, 1:2] * X[::2]
    vector = vector + sizes * rng.normal(size=(1_000, 20))
    data = TrainingData(latents, Observations(vector, {}), np.arange(900), np.arange(900, 1_000))
    exact = Exact.fit(data.observations, np.arange(20), likelihood=True)
    assert exact.observables != tuple(range(20))
    assert emulated(exact, data) == tuple(range(20))
