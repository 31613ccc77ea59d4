"""Many observations together: each may pass, and all of them lean to one side."""

import numpy as np
import pytest
from studies import exact_posterior, subject_of

from sbi_inn.checks import look_together
from sbi_inn.checks.goodness import LEARNED, OBSERVED, goodness_of_fit


class Learned:
    """A sampler whose learned summary is the first number."""

    def __init__(self, schema):
        self.schema = schema

    def features(self, observations):
        return observations.vector[:, :1]


@pytest.fixture(scope="module")
def posterior():
    return exact_posterior(1_000, 1_000, simulator=False)


def look(posterior, shift, n=60, seed=1, sampler=None):
    tests = subject_of(posterior).tests
    seen = subject_of(exact_posterior(n, n, simulator=False, seed=100 + seed)).tests.observations
    moved = posterior.schema.stack({"y": seen.vector + shift}, {})
    rng = np.random.default_rng(seed)
    return look_together(sampler or posterior.core, tests.observations, moved, rng)


@pytest.mark.parametrize("seed", range(3))
def test_simulated_observations_together(posterior, seed):
    found = look(posterior, 0.0, seed=seed)
    assert found.passed
    assert found.n == 60
    assert list(found.tests) == [OBSERVED]
    assert found.p_value > 0.01
    assert "60 observations together look like simulated ones" in found.sentence
    assert found.value < found.threshold


@pytest.mark.parametrize("seed", range(3))
def test_observations_that_all_lean_to_one_side(posterior, seed):
    # .7 spreads of y: nothing strange for one observation, and impossible for sixty.
    shift = 0.7 * posterior.core.scale
    found = look(posterior, shift, seed=seed)
    assert not found.passed
    assert found.p_value < 0.01
    assert found.value > found.threshold
    assert "unlike" in found.sentence
    assert "Look at the observation" in found.advice
    alone = subject_of(exact_posterior(60, 60, simulator=False, seed=100 + seed)).tests.observations
    each = goodness_of_fit(
        subject_of(posterior), posterior.schema.stack({"y": alone.vector + shift}, {})
    )
    assert np.mean([one.passed for one in each]) > 0.8


def test_a_small_set_is_not_accused_by_chance(posterior):
    p_values = [look(posterior, 0.0, n=5, seed=seed).p_value for seed in range(25)]
    assert np.mean(np.array(p_values) <= 0.1) < 0.1 + 3 * np.sqrt(0.09 / 25)


def test_learned_summaries_are_looked_at_too(posterior):
    found = look(posterior, 0.0, sampler=Learned(posterior.schema))
    assert list(found.tests) == [OBSERVED, LEARNED]
    assert found.table.index.to_list() == [OBSERVED, LEARNED]
    least = found.table["p_value"].min()
    assert found.p_value == min(1.0, 2 * least)
    assert found.table["p_value"][found.strangest] == least
    assert found.plot().axes


def test_of_two_looks_one_can_still_object(posterior):
    """A p-value of few repetitions, corrected for two looks, could not fall below the limit."""
    found = look(posterior, 5.0, sampler=Learned(posterior.schema))
    assert len(found.tests) == 2
    assert found.verdict == "do not trust"
