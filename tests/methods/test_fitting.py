"""From a table of simulations to a trained method."""

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, SMALL

import sbi_inn as si
from sbi_inn.methods import fitting
from sbi_inn.methods.fitting import split


def table(n, simulator=LINE):
    return si.simulate(simulator, n=n, seed=1, n_jobs=1, progress=False)


@pytest.mark.parametrize(
    ("n", "test", "validation"), [(100, 50, 10), (1_000, 100, 100), (60_000, 5_000, 5_000)]
)
def test_sizes(n, test, validation):
    parts = split(table(n), seed=1)
    assert len(parts.test) == test
    assert len(parts.validation) == validation
    assert len(parts.train) == n - test - validation


def test_every_row_that_succeeded_serves_once():
    def fragile(a, b):
        return np.nan if a > 0.5 else a + b

    simulations = table(400, si.Problem(fragile, LINE.prior))
    parts = split(simulations, seed=1)
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert np.array_equal(np.sort(rows), simulations.ok)


def test_the_split_follows_the_seed():
    simulations = table(300)
    one, same, other = (split(simulations, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.test, same.test)
    assert np.array_equal(one.train, same.train)
    assert not np.array_equal(one.test, other.test)


def test_too_few_to_split():
    with pytest.raises(
        si.SimulationError, match="at least 100 successful simulations.*got 99 of 99"
    ) as caught:
        split(table(99), seed=1)
    assert len(caught.value.simulations) == 99


def test_gaps_that_a_simulator_makes_are_failures_and_the_message_says_where_they_belong():
    def gappy(a, b, rng):
        return np.where(rng.random(2) < 0.9, np.nan, [a, b])

    with pytest.raises(si.SimulationError, match=r"NaN or infinity.*missing on purpose.*noise="):
        split(table(150, si.Problem(gappy, LINE.prior)), seed=1)


def test_observations_that_a_method_does_not_take_keep_the_table():
    simulations = table(150, "normal_sample")
    with pytest.raises(si.SimulationError, match="got sets: n") as caught:
        fitting.fit(simulations, si.INN(), si.Training(epochs=1), seed=1, progress=False)
    assert caught.value.simulations is simulations


def test_test_rows_change_nothing():
    """Neither the weights nor the scaling has seen a row that is held out."""
    simulations = table(300)
    parts = split(simulations, seed=1)
    spoiled = table(300)
    spoiled.dataset["y"].values[parts.test] = 1e9
    spoiled.dataset["a"].values[parts.test] = 40.0
    fits = [
        fitting.fit(t, SMALL, si.Training(epochs=1), seed=1, progress=False)[0]
        for t in (simulations, spoiled)
    ]
    observations = simulations.observations()[:3]
    draws = [f.sample(observations, 5, np.random.default_rng(1)) for f in fits]
    assert np.array_equal(*draws)


def test_training_happens_on_the_latent_side():
    """A prior of any unit and shape trains like its N(0, I)."""
    wide = si.Prior(a=st.norm(0, 1e6), b=st.norm(0, 2e6))

    @si.simulator(batched=True)
    def scaled(a, b, rng):
        return LINE.simulator(a / 1e6, b / 1e6, rng)

    fits = [
        fitting.fit(table(300, p), SMALL, si.Training(epochs=1), seed=1, progress=False)[0]
        for p in (LINE, si.Problem(scaled, wide))
    ]
    assert fits[0].history.validation_loss == pytest.approx(fits[1].history.validation_loss)
