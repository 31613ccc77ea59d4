"""Features of images begin as those of a regression."""

import time

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.methods.cinn import method
from sbi_inn.methods.cinn import training as cinn_training
from sbi_inn.training.progress import watched

SIDE = 8
PLACES = np.linspace(-1, 1, SIDE)


@si.simulator(images=["sky"], batched=True)
def spot(across, up, rng):
    """Show a spot, and noise."""
    away = (PLACES - across[:, None, None]) ** 2 + (PLACES[:, None] - up[:, None, None]) ** 2
    return {"sky": np.exp(-8 * away) + 0.1 * rng.normal(size=away.shape)}


PRIOR = si.Prior(across=st.uniform(-1, 2), up=st.uniform(-1, 2))
QUICK = {"ensemble": 1, "seed": 1, "progress": False}


@pytest.fixture(scope="module")
def sky():
    return si.simulate(si.Problem(spot, PRIOR), n=1_000, seed=1, n_jobs=1, progress=False)


@pytest.fixture
def regressions(monkeypatch):
    """The histories of all regressions of features that were made."""
    found, regress = [], cinn_training.regress

    def noted(*args, **settings):
        found.append(regress(*args, **settings))
        return found[-1]

    monkeypatch.setattr(cinn_training, "regress", noted)
    return found


@pytest.mark.slow
def test_features_of_images_predict_the_parameters_before_the_likelihood_is_trained(
    sky, regressions
):
    posterior = si.fit_posterior(sky, training=si.Training(epochs=40, batch_size=64), **QUICK)
    (first,) = regressions
    # Two latents of variance 1, of which the prior's mean leaves 2.
    assert first.validation_loss[-1] < 0.3
    assert 10 < first.epoch[-1] <= 20  # half as many, unless it stops improving before
    assert posterior.history.seconds > first.seconds


def test_nothing_else_is_regressed(regressions):
    training = si.Training(epochs=1)
    for name in ("two_moons", "normal_sample"):
        si.fit_posterior(name, n_simulations=200, training=training, **QUICK)
    assert not regressions


def test_what_comes_before_training_is_part_of_its_time(monkeypatch):
    ticks, given = iter([0.0, 3.0, 3.0, 10.0]), []  # 3 s to read observations, 7 s for the start
    learn = method.learn

    def noted(*args, **settings):
        given.append(args[3].max_seconds)
        return learn(*args[:3], si.Training(epochs=1).resolve(180), **settings)

    monkeypatch.setattr(method, "learn", noted)
    monkeypatch.setattr(method, "perf_counter", lambda: next(ticks))
    training = si.Training(max_seconds=20.0)
    posterior = si.fit_posterior("two_moons", n_simulations=200, training=training, **QUICK)
    assert given == [10.0]
    assert 10.0 < posterior.history.seconds < 20.0


def test_time_is_shared(sky, regressions):
    training = si.Training(max_seconds=2.0)
    begin = time.perf_counter()
    posterior = si.fit_posterior(sky, training=training, **QUICK)
    assert time.perf_counter() - begin < 6.0
    assert posterior.history.stopped == "time"
    assert regressions[0].seconds < 1.5


@pytest.mark.slow
def test_progress_goes_from_none_to_all_and_shows_the_likelihood_alone(sky):
    told = []

    def watch(done, loss):
        told.append((done, loss))
        return True

    with watched(watch):
        si.fit_posterior(sky, training=si.Training(epochs=4), **QUICK)
    done, losses = np.array(told).T
    assert (np.diff(done) >= 0).all()
    assert done[-1] == 1.0
    assert np.isnan(losses[done < cinn_training.FIRST]).all()


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_it_stops_in_either_part(sky, share):
    calls = []

    def watch(done, loss):
        calls.append(done)
        return done < share

    with watched(watch):
        posterior = si.fit_posterior(sky, training=si.Training(epochs=8), **QUICK)
    assert posterior.history.stopped == "interrupted"
    assert max(calls) < 1.0
    assert np.isfinite(posterior.sample(sky.dataset.sky[0], 9).up).all()


@pytest.mark.slow
def test_another_seed_makes_other_features(sky):
    training = si.Training(epochs=1)
    one, other = (
        si.fit_posterior(sky, training=training, **{**QUICK, "seed": seed}) for seed in (1, 2)
    )
    y = sky.dataset.sky[0]
    assert not np.allclose(one.sample(y, 50, seed=1).up, other.sample(y, 50, seed=1).up)
    again = si.fit_posterior(sky, training=training, **QUICK)
    assert np.array_equal(one.sample(y, 50, seed=1).up, again.sample(y, 50, seed=1).up)
