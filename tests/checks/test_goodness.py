"""Could the simulations have produced it? Of observations that they could, and that they could not.

The stub of a sampler here knows observations only: what is judged is the observation, and no
posterior takes part.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats as st
from studies import SAMPLE, ExactLine, Settings, exact_posterior

import sbi_inn as si
from sbi_inn.checks import Familiar
from sbi_inn.checks.goodness import GIVEN_OTHERS, LEARNED, OBSERVED, RANKED, SINGLE
from sbi_inn.observation.schema import Schema
from sbi_inn.training.history import History


class Watcher:
    """Reads vectors of `k` numbers; its learned summary is a linear map of them."""

    def __init__(self, k, learned=None, givens=()):
        self.k, self.learned = k, learned
        self.schema = Schema({"y": (k,)}, sets={}, givens=givens, constants={}, trained={})

    def features(self, observations):
        if self.learned is None:
            return np.empty((len(observations), 0))
        return observations.vector @ self.learned

    def stack(self, y, **givens):
        return self.schema.stack({"y": y, **givens}, {})


def judged(watcher, simulated, seen):
    familiar = Familiar.of(watcher, watcher.stack(simulated))
    return familiar.compare(watcher, watcher.stack(np.atleast_2d(seen)))


def correlated(rng, n, k):
    return rng.normal(size=(n, k)) @ np.linalg.cholesky(0.5 + 0.5 * np.eye(k)).T


@pytest.mark.parametrize(("k", "learned"), [(1, 0), (2, 2), (20, 3)])
def test_p_values_are_uniform_on_held_out_simulations(k, learned):
    rng = np.random.default_rng(k)
    watcher = Watcher(k, rng.normal(size=(k, learned)) if learned else None)
    found = judged(watcher, correlated(rng, 2_000, k), correlated(rng, 1_000, k))
    looks = [OBSERVED] + [SINGLE, GIVEN_OTHERS] * (k >= 5) + [LEARNED] * bool(learned)
    assert list(found[0].p_values) == looks
    for look in looks:
        assert st.kstest([one.p_values[look] for one in found], "uniform").pvalue > 0.01
    alarms = np.mean([not one.passed for one in found])
    assert alarms < 0.01 + 4 * np.sqrt(0.01 / 1_000)


@pytest.mark.parametrize("sd", [6.0, 20.0, 1e4])
def test_an_observation_far_away_is_flagged_and_named(sd):
    rng = np.random.default_rng(1)
    seen = correlated(rng, 10, 3)
    seen[:, 1] = sd
    for found in judged(Watcher(3), correlated(rng, 2_000, 3), seen):
        assert found.verdict == "do not trust"
        assert found.value == found.p_value < 1e-3
        assert found.sticks_out == "y[1]"
        assert found.sticks_out_by == found.sticking_out.max() > 3
        assert f"y[1] = {sd:.3g}" in found.sentence
        assert "Look at the observation" in found.advice
        assert found.table.index[0] == "y[1]"


def test_a_hole_between_the_simulations_is_far_away_too():
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 2 * np.pi, 2_000)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.02, (2_000, 2))
    hole, ring_point = judged(Watcher(2), ring, [[0.0, 0.0], [0.0, 1.0]])
    assert hole.verdict == "do not trust"
    assert ring_point.verdict == "trust"


def test_one_odd_statistic_among_twenty():
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(40, 20))
    seen[:, 7] = 6  # sd, which changes a distance over 20 of them by little
    found = judged(Watcher(20), rng.normal(size=(2_000, 20)), seen)
    assert np.mean([one.sticks_out == "y[7]" for one in found]) > 0.95
    assert np.mean([not one.passed for one in found]) > 0.95
    single = np.array([one.p_values[SINGLE] for one in found])
    whole = np.array([one.p_values[OBSERVED] for one in found])
    assert np.median(single) < np.median(whole)


def test_too_typical_is_as_strange_as_too_far():
    # Of 40 numbers with noise all are about 6.3 from the centre: the centre itself never comes.
    rng = np.random.default_rng(1)
    centre, usual = judged(Watcher(40), rng.normal(size=(2_000, 40)), np.zeros((2, 40)))
    assert centre.p_values[OBSERVED] == usual.p_values[OBSERVED] < 1e-3
    assert not centre.passed
    edge = rng.normal(size=(1, 40))
    assert judged(Watcher(40), rng.normal(size=(2_000, 40)), edge)[0].passed


def test_a_learned_summary_sees_what_few_of_many_numbers_hide():
    # The summary is the mean of 30 numbers, all of which are half a standard deviation too high.
    rng = np.random.default_rng(1)
    watcher = Watcher(30, np.full((30, 1), 1 / 30))
    shifted = rng.normal(1.0, 1.0, (20, 30))
    found = judged(watcher, rng.normal(size=(2_000, 30)), shifted)
    assert np.mean([one.p_values[LEARNED] < 1e-3 for one in found]) > 0.9
    assert np.mean([one.p_values[OBSERVED] < 1e-3 for one in found]) < 0.9
    for one in found:
        decides = min(one.p_values.values()) == one.p_values[LEARNED]
        assert ("learned summary" in one.sentence) == decides


def test_what_is_usual_has_a_plain_sentence():
    rng = np.random.default_rng(1)
    found = judged(Watcher(2), rng.normal(size=(2_000, 2)), [0.3, -0.8])[0]
    assert found.passed
    assert found.advice == ""
    assert f"{100 * found.p_value:.0f} % are as strange" in found.sentence
    assert found.threshold == 0.01
    assert found.plot().axes


def test_a_given_is_the_experimenters_choice_and_not_what_sticks_out():
    posterior = exact_posterior(900, 900, problem=SAMPLE, simulator=False)
    rng = np.random.default_rng(1)
    y = rng.normal(0.5, 1, 200)
    y[:40] += 6.0  # the simulations that look most like it are of much smaller sets
    found = posterior.goodness_of_fit({"y": y})
    assert found.names[-1] == "n"
    assert found.sticking_out[-1] > 2
    assert found.sticks_out in {"skewness of y", "95 % quantile of y"}
    assert found.sticks_out_by == found.sticking_out[:-1].max()
    assert f"{found.sticks_out} = " in found.findings[0].words


def decades(n, seed):
    """Curves of twenty points that rise by up to six decades."""
    rng = np.random.default_rng(seed)
    slope, level = rng.uniform(0, 6, (n, 1)), rng.normal(0, 1, (n, 1))
    return 10 ** (slope * np.linspace(0, 1, 20) + level + 0.05 * rng.normal(size=(n, 20)))


def test_where_a_statistic_spans_decades_ranks_are_looked_at():
    good = decades(1, 2)
    saw = good * np.where(np.arange(20) % 2, 1, 30)
    found = judged(Watcher(20, None), decades(3_000, 1), np.concatenate([good, saw, -good]))
    assert RANKED in found[0].p_values
    assert [one.verdict for one in found] == ["trust", "do not trust", "do not trust"]
    even = judged(Watcher(2, None), np.random.default_rng(0).normal(size=(500, 2)), np.ones((1, 2)))
    assert RANKED not in even[0].p_values


@pytest.mark.parametrize("n", [300, 3_000])
def test_one_statistic_over_decades_is_no_more_often_strange_than_it_should_be(n):
    rng = np.random.default_rng(1)
    found = judged(Watcher(1), rng.standard_cauchy((n, 1)), rng.standard_cauchy((1_000, 1)))
    assert RANKED in found[0].p_values
    p_values = np.array([one.p_value for one in found])
    assert (p_values < 0.01).mean() < 0.025
    far = judged(Watcher(1), rng.standard_cauchy((n, 1)), np.array([[1e9]]))
    assert far[0].p_value < 0.01


K, FINE, COARSE = 20, 0.1, 1.0


@si.simulator(batched=True)
def means(mu, rng):
    """Measure twenty means one by one, with little noise."""
    return {"y": mu + FINE * rng.normal(size=mu.shape)}


@si.simulator(batched=True)
def one_mean(mu, rng):
    """Measure one mean twenty times."""
    return {"y": mu[:, None] + COARSE * rng.normal(size=(len(mu), K))}


MEANS = si.Problem(means, si.Prior(mu=st.multivariate_normal(np.zeros(K))))
ONE_MEAN = si.Problem(one_mean, si.Prior(mu=st.norm(0, 3)))


@dataclass(frozen=True)
class Exact:
    """The exact posterior of latents that are standard normal, with a normal likelihood."""

    mean: Callable
    sd: float
    settings: Settings = Settings()
    history: History = ExactLine().history

    def sample(self, observations, n, rng):
        mean = self.mean(observations.vector)[:, None]
        return mean + self.sd * rng.standard_normal((len(mean), n, mean.shape[2]))

    def to_arrays(self):
        return {"name": "exact"}, {}


EXACT_MEANS = Exact(lambda y: y / (1 + FINE**2), FINE / np.sqrt(1 + FINE**2))
# 20 values with noise 1 and a prior of width 3, in units of this width.
EXACT_ONE_MEAN = Exact(
    lambda y: 3 * y.sum(axis=1, keepdims=True) / (1 + 9 * K), 1 / np.sqrt(1 + 9 * K)
)


def test_usual_parameters_of_a_wide_prior_are_not_strange():
    """All twenty are near zero, which no simulation has: their own posterior has it, too."""
    y = {"y": FINE * np.random.default_rng(0).normal(size=K)}
    posterior = exact_posterior(2_000, 2_000, problem=MEANS, fitted=EXACT_MEANS)
    alone = posterior.goodness_of_fit_each([y])
    found = posterior.goodness_of_fit(y)
    assert alone.p_value[0] < 1e-3
    assert found.p_value > 0.05
    assert found.verdict == "trust"
    assert "closer to the middle than most simulated ones" in found.sentence
    assert "500 draws at this observation, simulated again" in [
        text.get_text() for text in found.plot().legends[0].get_texts()
    ]
    without = exact_posterior(2_000, 2_000, problem=MEANS, fitted=EXACT_MEANS, simulator=False)
    assert without.goodness_of_fit(y).p_value < 1e-3  # nothing to compare it with


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_what_was_averaged_is_strange_beside_its_own_posterior(value):
    posterior = exact_posterior(2_000, 2_000, problem=ONE_MEAN, fitted=EXACT_ONE_MEAN)
    y = {"y": value + 0.1 * np.random.default_rng(0).normal(size=K)}  # 100 measurements each
    found = posterior.goodness_of_fit(y)
    assert found.again
    assert not found.passed
    assert "as if it had been averaged" in found.sentence
    assert posterior.goodness_of_fit({"y": value + np.random.default_rng(0).normal(size=K)}).passed
