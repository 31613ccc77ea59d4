"""Whether bidirectional networks come close to posteriors that can be written down."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st
from linear import MEAN, OBSERVATIONS, SD, SIGNAL, exact_linear, linear, whitened
from studies import columns, quick_fit

import sbi_inn as si

LIKELIHOOD = si.INN(blocks=4, hidden=32, depth=1)
DISCREPANCY = si.INN(loss="mmd", blocks=3, hidden=32, depth=1)
NOISE = 0.2  # of the signal
N = 20_000  # draws: their moments are known to about 1 / sqrt(N) = .007 prior sd


def with_candidates(posterior, candidates):
    """Give the same network, with another number of candidates a draw."""
    settings = replace(posterior.settings, candidates=candidates)
    fitted = replace(posterior.core.fitted, settings=settings)
    return si.Posterior(replace(posterior.core, fitted=fitted))


@pytest.fixture(scope="module", params=["likelihood", pytest.param("mmd", marks=pytest.mark.slow)])
def deterministic(request):
    if request.param == "likelihood":
        return quick_fit(linear(), method=LIKELIHOOD, n=2_000, epochs=25)
    return quick_fit(linear(), method=DISCREPANCY, n=4_000, epochs=35)


@pytest.fixture(scope="module")
def noisy():
    with pytest.warns(UserWarning, match="misses y"):
        return quick_fit(linear(NOISE), method=LIKELIHOOD, n=4_000, epochs=20)


# -- exactly at the observation --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("y", OBSERVATIONS, ids=["usual", "in the tails"])
def test_moments_of_weighted_draws(deterministic, y):
    mean, covariance = exact_linear(y)
    draws = whitened(deterministic.at_tolerance(0.0).sample(y, N))
    # 4 candidates a draw: chance gives .007, times four; the rest is what four candidates leave.
    assert np.abs(draws.mean(axis=0) - mean).max() < 0.04
    assert np.abs(np.cov(draws, rowvar=False) - covariance).max() < 0.04


@pytest.mark.parametrize("y", OBSERVATIONS, ids=["usual", "in the tails"])
def test_moments_of_the_networks_own_draws(deterministic, y):
    mean, covariance = exact_linear(y)
    own = with_candidates(deterministic, 1).at_tolerance(0.0)
    draws = whitened(own.sample(y, N))
    # Without weights, what so short a training leaves shows: here, means and sds of about 1.
    assert np.abs(draws.mean(axis=0) - mean).max() < 0.3
    assert np.abs(np.cov(draws, rowvar=False) - covariance).max() < 0.35


def test_draws_at_tolerance_zero_lie_on_the_observation(deterministic):
    again = deterministic.at_tolerance(0.0).resimulate(OBSERVATIONS[0], 1_000)
    # The network misses y by its residual: the error of two observables is about twice that.
    assert again.scaled_error.median() < 3 * deterministic.core.fitted.residual.max()
    assert deterministic.core.fitted.residual.max() < 0.05


# -- within a tolerance ----------------------------------------------------------------------------


@pytest.mark.parametrize("y", OBSERVATIONS, ids=["usual", "in the tails"])
def test_a_tolerance_is_noise_on_the_observation(deterministic, y):
    """A deterministic simulator within a tolerance is one with noise of that size."""
    sd = 0.3 * deterministic.core.fitted.scaling.vector[1]  # a tolerance is in spreads
    mean, covariance = exact_linear(y, sd)
    within = deterministic.at_tolerance(0.3)
    draws = whitened(within.sample(y, N))
    assert np.abs(draws.mean(axis=0) - mean).max() < 0.05
    assert np.abs(np.cov(draws, rowvar=False) - covariance).max() < 0.05
    true = st.multivariate_normal(mean, covariance)
    points = true.rvs(2_000, random_state=1)
    named = dict(zip("abcd", (MEAN + SD * points).T, strict=True))
    gap = true.logpdf(points) - np.log(SD).sum() - within.log_prob(named, y).values
    # The mean gap is the Kullback-Leibler divergence.
    assert -0.02 < gap.mean() < 0.05
    assert gap.std() < 0.2


@pytest.mark.parametrize("y", OBSERVATIONS, ids=["usual", "in the tails"])
@pytest.mark.parametrize("candidates", [1, 4])
def test_a_noisy_simulator(noisy, y, candidates):
    mean, covariance = exact_linear(y, NOISE * SIGNAL)
    posterior = with_candidates(noisy, candidates)
    draws = whitened(posterior.sample(y, N))
    # Weights leave the error of the forward network only; the network's own draws have more.
    assert np.abs(draws.mean(axis=0) - mean).max() < (0.15 if candidates == 1 else 0.07)
    assert np.abs(np.cov(draws, rowvar=False) - covariance).max() < 0.12
    true = st.multivariate_normal(mean, covariance)
    points = true.rvs(2_000, random_state=1)
    named = dict(zip("abcd", (MEAN + SD * points).T, strict=True))
    gap = true.logpdf(points) - np.log(SD).sum() - posterior.log_prob(named, y).values
    assert -0.02 < gap.mean() < 0.1


def test_the_default_tolerance_is_the_noise(noisy):
    # In spreads, which hold signal and noise: .2 / sqrt(1 + .2^2). The median error of 400
    # validation rows tells it to 1.17 / sqrt(400) = .06, four times that is .24.
    expected = NOISE / np.sqrt(1 + NOISE**2)
    assert np.abs(noisy.core.fitted.tolerance / expected - 1).max() < 0.25


# -- densities -------------------------------------------------------------------------------------


def bent(a, b):
    return {"y": a + 0.5 * b**2}


@pytest.fixture(scope="module")
def curve():
    prior = si.Prior(a=st.norm(0, 1), b=st.norm(1, 0.5))
    return quick_fit(bent, prior, method=LIKELIHOOD, n=2_000, epochs=20).at_tolerance(0.15)


@pytest.mark.parametrize("candidates", [1, 4])
def test_the_density_integrates_to_one(curve, candidates):
    posterior = with_candidates(curve, candidates)
    a, b = (g.ravel() for g in np.meshgrid(*[np.linspace(-6, 6, 481)] * 2, indexing="ij"))
    density = np.exp(posterior.log_prob({"a": a, "b": b}, 0.7).values)
    # 16,384 candidates normalise the weighted one: a relative error of about .01.
    assert abs(density.sum() * (12 / 480) ** 2 - 1) < 0.03


def test_the_weighted_density_is_the_prior_near_the_observation(curve):
    prior, tolerance = (
        curve.prior,
        curve.core.fitted.tolerance * curve.core.fitted.scaling.vector[1],
    )
    draws = curve.sample(0.7, 500)
    gap = (bent(draws.a.values, draws.b.values)["y"] - 0.7) / tolerance
    named = {name: draws[name].values for name in "ab"}
    expected = prior.log_prob(named) - 0.5 * gap**2
    difference = curve.log_prob(draws, 0.7).values - expected
    # Constant, but for the error of the forward network: .02 of a spread is .13 of the tolerance.
    assert np.std(difference) < 0.2
    assert np.std(curve.log_prob(draws, 0.7).values) > 0.5


# -- givens ----------------------------------------------------------------------------------------

SUM = np.array([1.0, 0.5])


def amplified(a, b, k):
    return {"y": k * (a + 0.5 * b)}


@pytest.fixture(scope="module")
def gain():
    prior = si.Prior(a=st.norm(0, 1), b=st.norm(0, 1))
    problem = si.Problem(amplified, prior, given={"k": st.uniform(1, 1)})
    return quick_fit(problem, method=LIKELIHOOD, n=2_000, epochs=20)


@pytest.mark.parametrize("k", [1.2, 1.8])
def test_a_given_steers_the_posterior(gain, k):
    draws = columns(gain.at_tolerance(0.0).sample({"y": 1.0, "k": k}, N))
    assert np.abs(draws.mean(axis=0) - SUM / (SUM @ SUM) / k).max() < 0.03
    covariance = np.eye(2) - np.outer(SUM, SUM) / (SUM @ SUM)
    assert np.abs(np.cov(draws, rowvar=False) - covariance).max() < 0.03
    found = gain.emulate({"a": [1.0, 0.0, -1.0], "b": [0.0, 1.0, 1.5], "k": k})
    assert np.allclose(found.y / k, [1.0, 0.5, -0.25], atol=0.02)


def test_emulation_needs_the_given_and_takes_one_a_row(gain):
    with pytest.raises(si.ShapeError, match="expected the givens k beside the parameters"):
        gain.emulate({"a": 1.0, "b": 0.0})
    found = gain.emulate({"a": 1.0, "b": 0.0, "k": [1.1, 1.5, 1.9]})
    assert np.allclose(found.y, [1.1, 1.5, 1.9], atol=0.03)
    with pytest.raises(si.ShapeError, match=r"same number of rows of each.*'k': \(2,\)"):
        gain.emulate({"a": [1.0, 0.0, 0.5], "b": 0.0, "k": [1.1, 1.5]})
