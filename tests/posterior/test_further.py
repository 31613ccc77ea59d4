"""More training: with simulations that came later, and with fresh ones in every pass."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from linear_regression import Regression
from studies import LINE, exact, quick_fit

import sbi_inn as si
from sbi_inn.training.settings import Training

BRIEF = Training(epochs=6)


def more(n=2_000, seed=2, problem=LINE):
    return si.simulate(problem, n=n, seed=seed, n_jobs=1, progress=False)


@pytest.fixture(scope="module")
def first():
    return quick_fit(LINE, n=400, epochs=3)


@pytest.fixture(scope="module")
def second(first):
    return first.train_more(more(), training=BRIEF, progress=False)


def loss(posterior, rows=4_000):
    """Mean of the negative log-likelihood of fresh simulations, and its least possible value."""
    table = more(rows, seed=9)
    flat, y = table.prior.flatten(table.parameters()), table.observations()
    latents = table.prior.to_latent(table.parameters(), np.empty((rows, 0)))
    found = -posterior.core.fitted.log_prob(latents, y)
    mean, covariance = exact(y.vector)
    best = -st.multivariate_normal(np.zeros(2), covariance).logpdf(flat - mean)
    return found.mean(), best.mean() - np.log(2.0)  # the latents of b are half as wide


def test_more_simulations_bring_it_closer_to_the_exact_posterior(first, second):
    before, least = loss(first)
    after, _ = loss(second)
    assert before - least > 0.08
    assert after - least < 0.5 * (before - least)


def test_the_first_one_stays_as_it_is(first):
    y = [1.0, -0.5]
    before = first.sample(y, 50)
    again = first.train_more(more(300), training=Training(epochs=1), progress=False)
    assert first.sample(y, 50).identical(before)
    assert first.n_simulations == 400
    assert again.n_simulations == 700


@pytest.mark.slow
def test_it_has_the_rows_of_both(first, second):
    assert second.n_simulations == 2_400
    assert len(second.simulations) == 2_400
    tests = second.core.test_rows
    assert set(first.core.test_rows) < set(tests)
    assert len(tests) == 50 + 200
    assert second.last_check == ""
    assert not set(second.core.seen_rows) & set(tests)
    second.check(progress=False)


def test_the_same_seed_gives_the_same(first, second):
    again = first.train_more(more(), training=BRIEF, progress=False)
    assert again.sample([1.0, 0.0], 20).identical(second.sample([1.0, 0.0], 20))
    other = first.train_more(more(), training=BRIEF, seed=8, progress=False)
    assert not other.sample([1.0, 0.0], 20).identical(second.sample([1.0, 0.0], 20))


@pytest.mark.slow
def test_a_loaded_one_goes_on_with_the_new_rows_alone(first, tmp_path):
    first.save(tmp_path / "line.sbi")
    loaded = si.load_posterior(tmp_path / "line.sbi")
    again = loaded.train_more(more(), training=BRIEF, progress=False)
    after, least = loss(again)
    assert after - least < 0.5 * (loss(first)[0] - least)
    assert again.n_simulations == 2_400
    assert len(again.simulations) == 2_050
    again.save(tmp_path / "again.sbi")
    read = si.load_posterior(tmp_path / "again.sbi")
    assert read.sample([1.0, 0.0], 20).identical(again.sample([1.0, 0.0], 20))


def test_a_training_that_makes_it_worse_changes_nothing(second):
    wild = Training(epochs=1, learning_rate=10.0, batch_size=300)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the loss became infinite or NaN")
        again = second.train_more(more(400, seed=5), training=wild, progress=False)
    assert loss(again)[0] == loss(second)[0]


@pytest.mark.slow
def test_an_ensemble_goes_on_with_all_its_members():
    ensemble = si.fit_posterior(
        LINE,
        n_simulations=400,
        method=si.CINN(blocks=2, hidden=16),
        training=Training(epochs=2),
        ensemble=2,
        n_jobs=1,
        seed=1,
        progress=False,
    )
    again = ensemble.train_more(more(1_000), training=BRIEF, progress=False)
    assert loss(again)[0] < loss(ensemble)[0]
    members = len(ensemble.core.fitted.members)
    assert len(again.core.fitted.members) <= members
    assert again.settings.method.label == "cINN"


def test_a_table_without_a_stated_prior():
    rng = np.random.default_rng(1)

    def table(n):
        a = rng.normal(size=n)
        columns = {"a": a, "y": a + rng.normal(0, 0.3, n)}
        return si.read_simulations(pd.DataFrame(columns), parameters=["a"], progress=False)

    first = quick_fit(table(400), epochs=1)
    again = first.train_more(table(600), training=Training(epochs=4), progress=False)
    assert again.n_simulations == 1_000
    assert again.prior == first.prior
    assert again.sample(1.0, 2_000)["a"].mean() == pytest.approx(1 / 1.09, abs=0.15)


OTHERS = {
    "another prior": (
        lambda: more(
            problem=replace(LINE, prior=si.Prior(a=st.norm(0, 1), b=st.norm(0, 3))), n=150
        ),
        si.PriorError,
        "from another prior",
    ),
    "other parameters": (
        lambda: si.simulate(
            lambda a, c: {"y": np.array([a, c])},
            si.Prior(a=st.norm(0, 1), c=st.norm(0, 2)),
            n=150,
            progress=False,
            seed=1,
        ),
        si.PriorError,
        "b",
    ),
    "other observables": (
        lambda: si.simulate(
            lambda a, b: {"y": np.array([a, b, a])}, LINE.prior, n=150, progress=False, seed=1
        ),
        si.SimulationError,
        r"observables {'y': \(3,\)}, where it was {'y': \(2,\)}",
    ),
    "too few": (lambda: more(60), si.SimulationError, "at least 100 successful simulations"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_simulations_of_another_study(first, name):
    make, error, message = OTHERS[name]
    with pytest.raises(error, match=message):
        first.train_more(make(), training=BRIEF, progress=False)


def test_a_method_without_networks_cannot_go_on():
    straight = quick_fit(LINE, method=Regression(), epochs=1)
    with pytest.raises(
        TypeError, match='train_more is for method="cinn" and method="inn"; the training of regr'
    ):
        straight.train_more(more(200))


# -- while training --------------------------------------------------------------------------------


def online(training, **settings):
    return si.fit_posterior(
        LINE,
        n_simulations=500,
        method=si.CINN(blocks=2, hidden=16, dropout=0.0),
        training=training,
        ensemble=1,
        online=True,
        n_jobs=1,
        seed=1,
        progress=False,
        **settings,
    )


@pytest.mark.slow
def test_fresh_simulations_are_not_learned_by_heart():
    training = Training(epochs=30, early_stopping=False)
    fresh = online(training)
    found, least = loss(fresh)
    by_heart, _ = loss(
        si.fit_posterior(
            LINE,
            n_simulations=500,
            method=si.CINN(blocks=2, hidden=16, dropout=0.0),
            training=training,
            ensemble=1,
            n_jobs=1,
            seed=1,
            progress=False,
        )
    )
    assert found - least < 0.6 * (by_heart - least)
    assert fresh.n_simulations == 500 + 29 * 400
    assert len(fresh.simulations) == 500


def test_it_ends_with_its_time():
    posterior = online(Training(max_seconds=1.5))
    assert posterior.history.stopped == "time"
    assert posterior.history.seconds == pytest.approx(1.5, abs=1.0)
    assert posterior.n_simulations > 500


def test_the_same_seed_simulates_the_same():
    one, other = (online(Training(epochs=3)).sample([1.0, 0.0], 20) for _ in range(2))
    assert one.identical(other)


def test_failures_givens_sets_and_noise_come_along():
    def trial(mean, n, rng):
        if mean > 1.5:
            raise ValueError("too far")
        return {"x": rng.normal(mean, 1.0, n)}

    problem = si.Problem(
        si.simulator(trial, sets={"n": ["x"]}),
        si.Prior(mean=st.norm(0, 1)),
        given={"n": st.randint(2, 9)},
        noise=lambda x, rng: {"x": x + rng.normal(0, 0.1, x.shape)},
    )
    posterior = si.fit_posterior(
        problem,
        n_simulations=300,
        method=si.CINN(blocks=2, hidden=16, features=8),
        training=Training(epochs=3),
        ensemble=1,
        online=True,
        n_jobs=1,
        seed=1,
        progress=False,
    )
    assert posterior.sample({"x": np.array([0.1, 0.3])}, 10).sizes == {"draw": 10}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, ValueError, r"training=si.Training\(max_seconds=600\)"),
        ({"training": Training(epochs=1), "method": "inn"}, ValueError, 'is for method="cinn"'),
    ],
)
def test_what_online_needs(settings, error, message):
    with pytest.raises(error, match=message):
        si.fit_posterior(LINE, online=True, progress=False, **settings)


def test_a_table_cannot_be_simulated_on():
    with pytest.raises(si.SimulationError, match="it needs a simulator"):
        si.fit_posterior(more(200), online=True, training=Training(epochs=1), progress=False)
