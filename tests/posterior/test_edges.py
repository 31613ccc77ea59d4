"""Densities at the bounds of a parameter, where nothing was simulated."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, Settings, exact_posterior

import sbi_inn as si
from sbi_inn.posterior.density import Density
from sbi_inn.training.history import History

PRIOR = si.Prior(a=st.norm(0, 1), c=st.uniform(2, 3), d=st.expon())
EDGES = np.array([2.0, 2.0 + 1e-12, 2.0001, 3.5, 4.9999, 5.0 - 1e-12, 5.0])


@dataclass(frozen=True)
class Loose:
    """Says nothing of any parameter, and falls more slowly in the tails than the prior."""

    width: float = 1.3
    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    def sample(self, observations, n, rng):
        return self.width * rng.standard_normal((len(observations), n, 3))

    def log_prob(self, latent, observations):
        return st.norm(0, self.width).logpdf(latent).sum(axis=1)


def at(c):
    return {"a": np.zeros(len(c)), "c": c, "d": np.full(len(c), 0.7)}


def density(seen):
    return Density(Loose(), PRIOR, seen)


def test_without_a_number_of_simulations_it_spikes():
    found = density(np.inf).log_prob(at(EDGES), None)
    assert found[-1] - found[3] > 12


@pytest.mark.parametrize("seen", [500, 10_000])
def test_it_does_not_spike_at_the_edge(seen):
    found = density(seen).log_prob(at(EDGES), None)
    outermost = st.norm.isf(0.5 / seen)
    held = 0.5 * outermost**2 * (1 - 1 / Loose.width**2)
    assert found.max() - found[3] == pytest.approx(held, rel=1e-6)
    assert found[0] == found[1] == found[-1] == found[-2]


def test_within_reach_nothing_changes():
    c = np.linspace(2.01, 4.99, 50)
    one, other = (density(seen).log_prob(at(c), None) for seen in (10_000, np.inf))
    assert np.array_equal(one, other)


def test_an_unbounded_side_is_left_alone():
    far = {"a": np.array([5.0, -6.0]), "c": np.array([3.0, 3.0]), "d": np.array([20.0, 25.0])}
    one, other = (density(seen).log_prob(far, None) for seen in (1_000, np.inf))
    assert np.array_equal(one, other)
    near_zero = {"a": np.zeros(1), "c": np.full(1, 3.0), "d": np.full(1, 1e-14)}
    one, other = (density(seen).log_prob(near_zero, None) for seen in (1_000, np.inf))
    assert other - one > 5


def test_a_density_still_integrates_to_one():
    found = Density(Loose(1.05), PRIOR, 2_000)
    c = np.concatenate(
        [2 + 3 * np.geomspace(1e-9, 0.5, 4_000), 5 - 3 * np.geomspace(1e-9, 0.5, 4_000)]
    )
    c.sort()
    d = np.full(len(c), 0.7)
    marginal = found.log_prob({"a": np.zeros(len(c)), "c": c, "d": d}, None)
    # a and d are independent of c: their densities at 0 and 0.7 are a factor.
    z = st.norm.ppf(st.expon.cdf(0.7))
    factor = st.norm.logpdf(0, 0, 1.05) + st.expon.logpdf(0.7)
    factor += st.norm.logpdf(z, 0, 1.05) - st.norm.logpdf(z)
    assert np.trapezoid(np.exp(marginal - factor), c) == pytest.approx(1.0, abs=0.005)


def test_the_highest_density_of_a_fit_is_no_spike():
    @si.simulator(batched=True)
    def unseen(a, c, rng):
        return {"y": a + rng.normal(0, 0.5, len(a))}

    posterior = si.fit_posterior(
        unseen,
        si.Prior(a=st.norm(0, 1), c=st.uniform(0, 1)),
        n_simulations=600,
        method=si.CINN(blocks=2, hidden=16),
        training=si.Training(epochs=10),
        ensemble=2,
        n_jobs=1,
        seed=1,
        progress=False,
    )
    y = {"y": 0.5}
    c = np.concatenate([np.linspace(0, 1, 101), [1e-12, 1 - 1e-12]])
    found = posterior.log_prob({"a": np.full(len(c), 0.4), "c": c}, y).values
    inner = found[(c > 0.05) & (c < 0.95)]
    assert found.max() < inner.max() + 1.5
    top = posterior.map_estimate(y)
    assert posterior.log_prob({n: np.array([v]) for n, v in top.items()}, y) < inner.max() + 2


def test_a_posterior_knows_how_many_simulations_there_were():
    posterior = exact_posterior()
    assert posterior.core.density.seen == posterior.n_simulations
    more = replace(posterior.core, n_simulations=10**6)
    assert more.density._reach[1].tolist() == [np.inf, np.inf]  # LINE has no bounds
    assert LINE.prior.support["a"] == (-np.inf, np.inf)
