"""Screening: noise is left out; what says something in any of the ways it looks at stays."""

import numpy as np
import pytest

from sbi_inn.methods import CINN, TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Scaling, informative
from sbi_inn.training.loop import Training

N, COLUMNS = 2_000, 60


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def parameters(rng):
    return rng.normal(size=(N, 3))


@pytest.fixture
def noise(rng):
    return rng.normal(size=(N, COLUMNS))


def both(u, first, second):
    """Two columns whose correlation is that number of each row, and their laws always normal."""
    return first, u * first + np.sqrt(1 - u**2) * second


def test_columns_whose_location_follows_a_parameter_are_read(parameters, noise):
    noise[:, [4, 50]] += 0.3 * parameters[:, [0, 2]]
    assert informative(parameters, noise).tolist() == [4, 50]


def test_a_column_whose_spread_follows_a_parameter_is_read(parameters, noise):
    noise[:, 9] *= np.exp(0.4 * parameters[:, 1])
    assert informative(parameters, noise).tolist() == [9]


def test_columns_that_only_together_say_something_are_read(parameters, noise):
    noise[:, 7], noise[:, 30] = both(np.tanh(parameters[:, 0]), noise[:, 7], noise[:, 30])
    assert informative(parameters, noise).tolist() == [7, 30]


@pytest.mark.parametrize("periods", [1, 2, 4])
def test_a_column_that_oscillates_with_a_parameter_is_read(rng, noise, periods):
    uniform = rng.random((N, 2))
    noise[:, 3] = np.cos(2 * np.pi * periods * uniform[:, 0]) + 0.2 * noise[:, 3]
    assert informative(uniform, noise).tolist() == [3]


def test_units_and_outliers_do_not_matter(parameters, noise):
    noise[:, 5] += parameters[:, 0]
    expected = informative(parameters, noise)
    stretched = np.sign(noise) * np.expm1(3 * np.abs(noise)) * 1e-12
    assert informative(1e6 * parameters, stretched).tolist() == expected.tolist() == [5]


def test_a_constant_is_not_read(parameters, noise):
    noise[:, 0] += parameters[:, 0]
    noise[:, 1] = 7.0
    assert informative(parameters, noise).tolist() == [0]


def test_counts_and_yes_or_no_are_read(rng, parameters, noise):
    noise[:, 0] = rng.poisson(np.exp(parameters[:, 0]))
    noise[:, 1] = rng.random(N) < 1 / (1 + np.exp(-parameters[:, 1]))
    assert informative(parameters, noise).tolist() == [0, 1]


def test_noise_seldom_passes(rng):
    """Measured: in 2 of 100 tables some noise column is kept, in .3 of them all are."""
    kept = []
    for _ in range(40):
        parameters, noise = rng.normal(size=(N // 2, 3)), rng.standard_t(2, size=(N // 2, COLUMNS))
        noise[:, 0] = parameters[:, 0]
        kept.append(len(informative(parameters, noise)))
    assert sum(k > 1 for k in kept) <= 4


def test_many_columns_that_each_say_too_little_to_be_seen_stay(rng, parameters, noise):
    noise += 0.06 * parameters[:, [0]]
    # Each is at 2.7 standard errors: the largest of so many noise columns are further out.
    assert informative(parameters, noise).tolist() == list(range(COLUMNS))


@pytest.mark.parametrize(
    ("rows", "columns"), [(400, COLUMNS), (N, 10), (600, 1_001)], ids=["rows", "few", "many"]
)
def test_nothing_is_left_out_where_it_cannot_be_told_or_does_not_matter(rng, rows, columns):
    parameters, noise = rng.normal(size=(rows, 1)), rng.normal(size=(rows, columns))
    noise[:, 0] = parameters[:, 0]
    assert informative(parameters, noise).tolist() == list(range(columns))


def test_where_nothing_is_seen_all_stays(parameters, noise):
    assert informative(parameters, noise).tolist() == list(range(COLUMNS))


def test_scaling_gives_what_is_read(rng):
    table = np.column_stack([rng.normal(size=N), rng.lognormal(0, 3, size=N), rng.normal(size=N)])
    observations = Observations(table, {})
    scaling = Scaling.fit(observations, np.array([0, 1]))
    everything, some = Scaling.fit(observations), scaling.features(observations)
    assert some.shape == (N, 3)  # the second has normal scores as well
    np.testing.assert_array_equal(some, everything.features(observations)[:, [0, 1, 3]])
    assert scaling.vectors(observations).shape == (N, 3)
    again = Scaling.from_arrays(scaling.to_arrays())
    np.testing.assert_array_equal(again.features(observations), some)


@pytest.mark.parametrize("screening", [True, False])
def test_a_network_reads_what_is_informative(parameters, noise, screening):
    noise[:, [4, 50]] += parameters[:, [0, 2]]
    settings = CINN(blocks=1, hidden=8, screening=screening)
    rows, others = np.arange(N - 100), np.arange(N - 100, N)
    observations = Observations(noise, {})
    data = TrainingData(parameters, observations, rows, others)
    fitted = settings.fit(data, Training(epochs=1), seed=1, progress=False)
    changed = noise.copy()
    changed[:, 10] += 5.0
    same = fitted.log_prob(parameters, observations) == fitted.log_prob(
        parameters, Observations(changed, {})
    )
    assert same.all() if screening else not same.any()
    assert ("reading 2 of 60 observables" in fitted.describe()) == screening
