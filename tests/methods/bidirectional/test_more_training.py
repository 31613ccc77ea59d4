"""A bidirectional network goes on with more simulations."""

import warnings

import numpy as np
import pytest
import scipy.stats as st
from studies import quick_fit

import sbi_inn as si

PRIOR = si.Prior(a=st.norm(0, 1), b=st.norm(0, 1))
MORE = si.Training(epochs=15)


@si.simulator(batched=True)
def bend(a, b):
    """Give one number for two, without noise."""
    return {"y": a + 0.4 * b**2}


def table(n, seed=2):
    return si.simulate(bend, PRIOR, n=n, seed=seed, n_jobs=1, progress=False)


FRESH = table(2_000, seed=9)


def error(posterior):
    """Median error of the prediction of fresh simulations."""
    found = posterior.emulate(FRESH.parameters())
    return float(np.median(np.abs(found["y"].values - FRESH.dataset["y"].values)))


def quietly(make):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the forward network misses")
        warnings.filterwarnings("ignore", message="the loss became infinite or NaN")
        return make()


@pytest.fixture(scope="module", params=["likelihood", pytest.param("mmd", marks=pytest.mark.slow)])
def first(request):
    method = si.INN(loss=request.param, blocks=4, hidden=32, depth=1)
    return quietly(lambda: quick_fit(bend, PRIOR, method=method, n=400, epochs=8))


@pytest.fixture(scope="module")
def second(first):
    return first.train_more(table(2_000), training=MORE, progress=False)


@pytest.mark.slow
def test_it_predicts_better_and_draws_nearer(first, second):
    assert error(second) < 0.6 * error(first)
    assert second.n_simulations == 2_400
    # It knows its own error, in spreads: a median of 200 validation rows, good to some 10 %.
    spread = second.core.fitted.scaling.vector[1, 0]
    assert second.core.fitted.typical[0] == pytest.approx(1.4826 * error(second) / spread, rel=0.4)
    y = {"y": 0.5}
    far = [abs(bend_of(one.sample(y, 2_000)) - 0.5).mean() for one in (first, second)]
    assert far[1] < 0.8 * far[0]


def bend_of(draws):
    return draws["a"].values + 0.4 * draws["b"].values ** 2


def test_the_first_one_stays_as_it_is(first):
    before = first.sample(0.3, 50)
    first.train_more(table(200, seed=3), training=si.Training(epochs=1), progress=False)
    assert first.sample(0.3, 50).identical(before)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_and_a_file_holds_it(first, second, tmp_path):
    again = first.train_more(table(2_000), training=MORE, progress=False)
    assert again.sample(0.3, 20).identical(second.sample(0.3, 20))
    second.save(tmp_path / "bend.sbi")
    loaded = si.load_posterior(tmp_path / "bend.sbi")
    assert loaded.sample(0.3, 20).identical(second.sample(0.3, 20))
    longer = loaded.train_more(table(400, seed=4), training=si.Training(epochs=1), progress=False)
    assert longer.n_simulations == 2_800


def test_a_training_that_makes_it_worse_changes_nothing(second):
    wild = si.Training(epochs=1, learning_rate=30.0, batch_size=200)
    again = quietly(lambda: second.train_more(table(400, seed=5), training=wild, progress=False))
    assert again.core.fitted.network is second.core.fitted.network
    assert error(again) == error(second)


def test_an_ensemble_goes_on():
    method = si.INN(loss="likelihood", blocks=3, hidden=16, depth=1)
    pair = quietly(
        lambda: si.fit_posterior(
            bend,
            PRIOR,
            n_simulations=400,
            method=method,
            training=si.Training(epochs=3),
            ensemble=2,
            n_jobs=1,
            seed=1,
            progress=False,
        )
    )
    again = pair.train_more(table(1_000), training=si.Training(epochs=8), progress=False)
    assert error(again) < 0.8 * error(pair)
