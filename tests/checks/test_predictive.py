"""Re-simulations beside one observation: statistics that do not fit are named, others are not."""

import numpy as np
import pytest
from studies import SAMPLE, ExactSample, exact_posterior

from sbi_inn.checks.predictive import Predictive
from sbi_inn.observation.statistics import described, described_names, spread
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.seeds import Stream

NAMES = tuple(f"s{i}" for i in range(5))


@pytest.fixture(scope="module")
def posterior():
    return exact_posterior(600, 600, problem=SAMPLE, fitted=ExactSample())


def predictive(posterior, y, draws=1_000):
    """Simulate again at draws given a set of measurements."""
    schema = posterior.schema
    observation, rng = schema.read({"y": y}), np.random.default_rng(1)
    flat = posterior.core.draw(observation, draws, rng)[0]
    same = observation[np.zeros(draws, np.int64)]
    _, again, _ = observe_again(SAMPLE, schema, flat, same, seed=1, stream=Stream.CHECK_SIMULATIONS)
    return Predictive(
        described(again, schema),
        described(observation, schema)[0],
        spread(described(posterior._subject().tests.head(600).observations, schema)),
        described_names(schema),
    )


def measured(seed, share=0.0, n=200, both_sides=True):
    """Measurements of which a share is off by six standard deviations."""
    rng = np.random.default_rng(seed)
    y, off = rng.normal(1.0, 0.5, n), round(share * n)
    y[:off] += 6 * 0.5 * (np.where(np.arange(off) % 2, 1, -1) if both_sides else 1)
    return y


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_set_looks_like_its_re_simulations(posterior, seed):
    found = predictive(posterior, measured(seed))
    assert found.verdict == "trust"
    assert "all 11 statistics" in found.sentence


@pytest.mark.parametrize("seed", range(3))
def test_outliers_on_both_sides_show_in_the_kurtosis(posterior, seed):
    # A mean and a standard deviation absorb them: mean and sd of the set are those of the draws.
    found = predictive(posterior, measured(seed, 0.05))
    assert found.verdict == "do not trust"
    assert "kurtosis of y" in found.sentence
    assert "Look at the observation" in found.advice
    assert found.table["p_value"]["mean of y"] > 0.01
    assert found.table["p_value"]["sd of y"] > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_outliers_on_one_side_show_in_the_skewness(posterior, seed):
    found = predictive(posterior, measured(seed, 0.2, both_sides=False))
    assert found.verdict == "do not trust"
    assert found.table["p_value"]["skewness of y"] < 1e-3
    assert found.sentence.startswith("skewness of y is")


def test_a_deterministic_simulator_that_misses_by_a_hair():
    again = 1e-4 * np.random.default_rng(1).normal(size=(1_000, 5))
    found = Predictive(again, np.full(5, 0.01), np.ones(5), NAMES)
    assert found.p_values.max() < 1e-6  # a hundred times as far as any re-simulation
    assert found.verdict == "trust"
    assert Predictive(again, np.full(5, 0.2), np.ones(5), NAMES).verdict == "caution"


def test_p_values_are_uniform_beside_draws_of_the_same_law():
    rng = np.random.default_rng(1)
    found = Predictive(
        rng.normal(size=(2_000, 400)),
        rng.normal(size=400),
        np.ones(400),
        tuple(map(str, range(400))),
    )
    for level in (0.01, 0.1, 0.5):
        noise = 4 * np.sqrt(level * (1 - level) / 400)
        assert (found.p_values <= level).mean() == pytest.approx(level, abs=noise)
    assert found.verdict == "trust"  # though four of 400 have a p-value below .01


def test_the_statistic_that_is_off_is_named_with_its_numbers():
    again = np.random.default_rng(1).normal(3, 1, size=(5_000, 5))
    observed = np.array([3.0, 3.0, 12.0, 3.0, 3.0])
    found = Predictive(again, observed, np.full(5, 4.0), NAMES)
    assert found.verdict == "do not trust"
    assert found.sentence.startswith("s2 is 12,")
    assert found.value == pytest.approx((12 - 3) / 4, abs=4 * 1.2533 / 4 / np.sqrt(5_000))
    assert found.table["p_value"].idxmin() == "s2"
    row = found.table.loc["s2", ["observed", "median", "low95", "high95"]]
    assert row.to_numpy() == pytest.approx([12, 3, 3 - 1.96, 3 + 1.96], abs=0.15)
    assert found.plot().axes


def test_a_wide_scatter_is_no_distance():
    # Most simulations end at zero: the spread is small beside what this posterior allows.
    again = np.random.default_rng(1).normal(5, 3, (1_000, 5))
    found = Predictive(again, np.full(5, 2.0), np.full(5, 0.1), NAMES)
    assert found.verdict == "trust"
    assert (found.measure, found.threshold) == ("p-value", 0.01)
    assert found.value == found.p_value > 0.01
    assert found.decided == "within the limit"
    far = Predictive(again, np.array([2.0, 40, 2, 2, 2]), np.full(5, 0.1), NAMES)
    assert far.measure == "distance, in spreads"
    assert far.decided.startswith("distance, in spreads 3")
