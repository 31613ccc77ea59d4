"""Pairs of simulators to be told apart: their evidences, against integrals done in another way."""

import numpy as np
import pytest
import scipy.stats as st
from sbi_inn.simulators import counts, seir, sir, t_test, trend
from scipy.integrate import solve_ivp
from scipy.special import logsumexp

from sbi_inn.simulation.run import simulate


def simulated(problem, n=6):
    return simulate(problem, n=n, seed=1, n_jobs=1, progress=False)


def sets(problem, name):
    """Give simulated sets of measurements, each as long as it is."""
    data = simulated(problem).dataset
    lengths = data["n"].values.astype(int)
    return [row[:n] for row, n in zip(data[name].values, lengths, strict=True)]


def integral(log_likelihood, prior, around, width):
    """Integrate a likelihood of one parameter over its prior, near its peak."""
    low, high = prior.support()
    x = np.linspace(max(around - width, low), min(around + width, high), 4_001)[1:-1]
    return logsumexp(log_likelihood(x) + prior.logpdf(x)) + np.log(x[1] - x[0])


@pytest.mark.parametrize("model", ["line", "parabola"])
def test_the_evidence_of_a_trend_against_importance_sampling(model):
    powers = trend.TIMES[:, None] ** np.arange(trend.POWERS[model])
    spreads = list(trend.SPREADS.values())[: powers.shape[1]]
    covariance = np.linalg.inv(powers.T @ powers) * trend.NOISE**2
    for y in simulated(getattr(trend, f"problem_{model}"), 5).dataset["y"].values:
        best = np.linalg.lstsq(powers, y, rcond=None)[0]
        proposal = st.multivariate_t(best, 1.2 * covariance, df=10, seed=1)
        parameters = proposal.rvs(20_000)
        log_weight = st.norm(parameters @ powers.T, trend.NOISE).logpdf(y).sum(axis=-1)
        log_weight += st.norm(0, spreads).logpdf(parameters).sum(axis=-1)
        log_weight -= proposal.logpdf(parameters)
        weight = np.exp(log_weight - trend.log_evidence(y, model))
        assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(20_000)


@pytest.mark.parametrize("model", ["poisson", "negative_binomial"])
def test_the_evidence_of_counts_against_quadrature(model):
    for y in sets(getattr(counts, f"problem_{model}"), "y"):
        even = integral(
            lambda rate, y=y: st.poisson(rate).logpmf(y[:, None]).sum(axis=0),
            st.gamma(counts.SHAPE, scale=1 / counts.RATE),
            max(y.mean(), 0.2),
            10 * np.sqrt((y.mean() + 0.2) / len(y)),
        )
        assert counts.log_evidence_poisson(y) == pytest.approx(even, abs=1e-6)
        uneven = integral(
            lambda p, y=y: st.nbinom(counts.SHARES, p).logpmf(y[:, None]).sum(axis=0),
            st.beta(counts.ALPHA, counts.BETA),
            (5 + counts.ALPHA / len(y)) / (5 + y.mean() + 11 / len(y)),
            0.9,
        )
        assert counts.log_evidence_negative_binomial(y) == pytest.approx(uneven, abs=1e-6)


def test_both_models_of_counts_expect_five():
    for problem in (counts.problem_poisson, counts.problem_negative_binomial):
        data = simulated(problem, 4_000).dataset
        n, y = data["n"].values, data["y"].values
        assert (n.min(), n.max()) == (counts.FEWEST, counts.MOST)
        means = np.nanmean(y, axis=1)
        assert abs(means.mean() - 5) < 4 * means.std() / np.sqrt(len(means))


def test_the_evidence_of_a_t_test_against_quadrature():
    for problem in (t_test.problem_null, t_test.problem_alternative):
        for x in sets(problem, "x"):
            alternative = integral(
                lambda mu, x=x: st.norm(mu, 1).logpdf(x[:, None]).sum(axis=0),
                st.norm(0, 1),
                x.mean(),
                2.5,
            )
            assert t_test.log_evidence_alternative(x) == pytest.approx(alternative, abs=1e-6)
            assert t_test.log_evidence_null(x) == st.norm(0, 1).logpdf(x).sum()


@pytest.mark.parametrize(
    "rates", [(0.4, 0.125, 0.2), (0.15, 0.2, 0.1), (2.5, 0.25, 0.5), (0.8, 0.08, 0.12)]
)
def test_the_epidemic_with_a_latent_period_against_an_integrator(rates):
    beta, gamma, sigma = rates

    def change(_, state):
        meet, fall_ill = beta * state[0] * state[2], sigma * state[1]
        return [-meet, meet - fall_ill, fall_ill - gamma * state[2]]

    times, start = sir.DAYS * np.arange(sir.TIMES), [1 - sir.FIRST, sir.FIRST, 0]
    exact = solve_ivp(change, (0, times[-1]), start, t_eval=times, rtol=1e-10, atol=1e-16).y[2]
    found = seir.infected(*(np.array([one]) for one in rates))[0]
    assert np.allclose(found, exact, rtol=1e-3, atol=2e-5)


def test_the_likelihoods_of_the_epidemics_by_hand():
    beta, gamma, sigma = (np.array([one]) for one in (0.5, 0.1, 0.3))
    y = simulated(seir.problem, 1).dataset["y"].values[0]
    for found, shares in (
        (sir.log_likelihood(y, beta, gamma), sir.infected(beta, gamma)),
        (seir.log_likelihood(y, beta, gamma, sigma), seir.infected(beta, gamma, sigma)),
    ):
        assert found == pytest.approx(st.binom.logpmf(y, 1_000, shares[0]).sum())
