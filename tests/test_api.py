"""The front door: every way in, every mistake, and endings that are not the planned one."""

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats as st
import torch
from studies import LINE, SMALL, quick_fit

import sbi_inn as si
from sbi_inn.methods import Ensemble, fitting
from sbi_inn.simulation import pool
from sbi_inn.training import loop as training

Y = [1.0, -0.5]
PRIOR = LINE.prior


def scalar(a, b, rng):
    return a + b + rng.normal(0, 0.5)


# -- ways in ---------------------------------------------------------------------------------------


def test_every_form_of_a_simulator_gives_the_same_posterior():
    table = si.simulate(LINE, n=300, seed=1, n_jobs=1, progress=False)
    forms = [quick_fit(LINE), quick_fit(LINE.simulator, PRIOR), quick_fit(table)]
    expected = forms[0].sample(Y, 20)
    assert all(np.array_equal(f.sample(Y, 20).a, expected.a) for f in forms)
    assert forms[2].problem == forms[0].problem == LINE  # a table knows how it was made
    assert quick_fit("two_moons").problem == si.get("two_moons")


def test_the_prior_and_the_givens_of_a_problem_can_be_replaced():
    other = si.Prior(a=st.uniform(0, 1), b=st.uniform(0, 1))
    assert quick_fit(LINE, other).sample(Y, 500).a.max() <= 1

    def scaled(a, b, k, rng):
        return a * k + b

    posterior = quick_fit(scaled, PRIOR, given={"k": 3})
    assert posterior.schema.constants == {"k": 3.0}


def test_a_method_by_name_and_by_settings():
    assert quick_fit(LINE, method="cinn").settings.name == "cinn"
    with pytest.warns(UserWarning, match="misses"):
        assert quick_fit(LINE, method="inn").settings.name == "inn"
    assert quick_fit(LINE, method=SMALL).settings.hidden == 32
    splines = si.CINN(blocks=2, hidden=16, transform="spline")
    assert np.isfinite(quick_fit(LINE, method=splines).sample(Y, 100).a).all()
    with pytest.raises(ValueError, match="a method among cinn, inn, field; got 'flow'"):
        quick_fit(LINE, method="flow")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_draws_whatever_the_number_of_workers(monkeypatch):
    monkeypatch.setattr(pool, "WORTH_IT", 0.0)  # or one process would do it all
    one, two = (quick_fit(scalar, PRIOR, n_jobs=n) for n in (1, 2))
    assert one.simulations.dataset["y"].equals(two.simulations.dataset["y"])
    assert one.sample(0.5, 100).identical(two.sample(0.5, 100))
    other = quick_fit(scalar, PRIOR, seed=2)
    assert not other.sample(0.5, 100).equals(one.sample(0.5, 100))


def test_without_a_seed_one_is_drawn_and_recorded():
    first, second = (quick_fit(LINE, seed=None) for _ in range(2))
    assert first.seed != second.seed
    again = quick_fit(LINE, seed=first.seed)
    assert again.sample(Y, 20).identical(first.sample(Y, 20))


def test_no_global_generator_is_read_or_set():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    posterior = quick_fit(LINE)
    draws = posterior.sample(Y, 10)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert quick_fit(LINE).sample(Y, 10).identical(draws)


def test_a_held_out_set_of_a_tenth():
    posterior = quick_fit(LINE, n=1_000)
    assert len(posterior.core.test_rows) == 100
    assert len(posterior.core.seen_rows) == 900
    assert not set(posterior.core.test_rows) & set(posterior.core.seen_rows)


# -- simulators that the bidirectional network does not suit ---------------------------------------

INN = si.INN(blocks=4, hidden=32, depth=1)
UNIT = si.Prior(a=st.norm(0, 1), b=st.norm(0, 1))


@pytest.mark.parametrize(
    "simulator",
    [
        lambda a, b, rng: a + 0.5 * b + rng.normal(0, 0.3),
        lambda a, b: (a > 0) + 0.3 * b,
        lambda a, b: np.floor(2 * a) + b,
    ],
    ids=["noisy", "a step", "many steps"],
)
def test_noise_and_steps_are_noticed(simulator):
    message = r"misses y by 0\.\d+ of its spread: .*noisy or discontinuous.*method=\"cinn\""
    with pytest.warns(UserWarning, match=message):
        quick_fit(simulator, UNIT, method=INN, n=2_000, epochs=12)


def test_a_smooth_simulator_is_not_complained_about(capsys):
    posterior = si.fit_posterior(  # warnings are errors
        lambda a, b: {"u": a + 0.5 * b},
        UNIT,
        method=INN,
        n_simulations=2_000,
        training=si.Training(epochs=12),
        seed=1,
    )
    error = posterior.core.fitted.residual[0]
    assert f"the forward network misses u by {error:.2g} spreads" in capsys.readouterr().out


def test_the_worst_observable_is_named():
    def mixed(a, b, rng):
        return {"fine": a, "rough": b + rng.normal(0, 1), "worse": rng.normal(0, 1)}

    prior = si.Prior(**{name: st.norm(0, 1) for name in "abcdef"})
    with pytest.warns(UserWarning, match="misses worse by"):
        posterior = quick_fit(mixed, prior, method=INN, n=2_000, epochs=12)
    assert posterior.core.fitted.residual[0] < 0.1


def test_sets_are_refused_and_the_simulations_kept():
    message = r'one vector of observables; got sets: n. Use method="cinn"'
    with pytest.raises(si.SimulationError, match=message) as caught:
        quick_fit("normal_sample", method="inn", n=200)
    assert len(caught.value.simulations) == 200
    assert quick_fit(caught.value.simulations).sample({"y": [0.1, 0.2]}, 5).sizes == {"draw": 5}


# -- what cannot be fitted -------------------------------------------------------------------------


def test_a_prior_that_is_missing():
    with pytest.raises(si.PriorError, match="a simulator needs a prior"):
        quick_fit(scalar)


def test_an_argument_that_is_no_parameter():
    with pytest.raises(si.SimulationError, match="'c' is not a parameter"):
        quick_fit(lambda a, b, c: a, PRIOR)


def test_an_unknown_name():
    with pytest.raises(KeyError, match="did you mean two_moons"):
        quick_fit("two_moon")


def test_fewer_simulations_than_can_be_split():
    with pytest.raises(si.SimulationError, match="at least 100 successful.*got 60 of 60") as caught:
        quick_fit(scalar, PRIOR, n=60)
    assert len(caught.value.simulations.ok) == 60


def test_too_few_that_succeed_keep_the_table():
    def fragile(a, b):
        if a > -1:
            raise ArithmeticError("overflow")
        return b

    with pytest.raises(si.SimulationError, match=r"got \d+ of 300") as caught:
        quick_fit(fragile, PRIOR)
    table = caught.value.simulations
    assert 0 < len(table.ok) < 100
    assert len(table.ok) + len(table.failures) == 300


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: None, "expected numbers; got None"),
        (lambda a, b: "high", "expected numbers in y; got 'high'"),
        (lambda a, b: np.ones(2 if a > 0 else 3), r"expected y of shape .*sets="),
        (lambda a, b: np.nan, "all 300 simulations failed: 0 raised, 300 returned NaN"),
    ],
)
def test_outputs_that_cannot_be_used(function, message):
    with pytest.raises(si.SimulationError, match=message) as caught:
        quick_fit(function, PRIOR)
    assert caught.value.simulations is not None


def test_a_simulator_that_always_fails():
    def broken(a, b):
        raise ZeroDivisionError("by nothing")

    with pytest.raises(
        si.SimulationError, match="all 300 simulations failed: 300 raised"
    ) as caught:
        quick_fit(broken, PRIOR)
    assert "in broken" in str(caught.value)  # the first traceback
    assert len(caught.value.simulations) == 300


def test_failures_are_said(capsys):
    def fragile(a, b):
        return np.nan if a > 1 else a + b

    si.fit_posterior(
        fragile, PRIOR, n_simulations=300, method=SMALL, training=si.Training(epochs=1), seed=1
    )
    out = capsys.readouterr().out
    assert "of 300 simulations failed" in out
    assert "of the prior's mass. It depends on a: where simulations fail" in out
    assert "posterior.simulations.failures" in out


def test_failures_anywhere_are_no_part_of_the_prior(capsys):
    def fragile(a, b, rng):
        return np.nan if rng.random() < 0.1 else a + b

    posterior = si.fit_posterior(
        fragile, PRIOR, n_simulations=300, method=SMALL, training=si.Training(epochs=1), seed=1
    )
    out = capsys.readouterr().out
    assert "all over the prior: the posterior is learned from the others" in out
    trained = len(posterior.simulations.ok)
    assert trained < 300
    assert f"trained on {trained} simulations" in repr(posterior)


# -- what is looked at before anything is simulated ------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": si.CINN}, TypeError, r"method=CINN\(\); got the class CINN itself"),
        (
            {"method": 3},
            TypeError,
            "a name among cinn, inn, field, or settings with a `fit`.*got 3",
        ),
        ({"method": "flow"}, ValueError, "a method among cinn, inn, field; got 'flow'"),
        ({"ensemble": 1.5}, ValueError, "ensemble must be a whole number; got 1.5"),
        ({"ensemble": True}, ValueError, "ensemble must be a whole number; got True"),
        ({"ensemble": 0}, ValueError, "ensemble must be positive; got 0"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be .*-1 for all cores; got 0"),
        ({"n_jobs": 1.5}, ValueError, "n_jobs must be a whole number; got 1.5"),
        ({"seed": 1.5}, ValueError, "seed must be a whole number; got 1.5"),
        ({"seed": -1}, ValueError, "seed must not be negative; got -1"),
        ({"n_simulations": 300.5}, si.SimulationError, "a whole number, at least 1; got 300.5"),
        ({"n_simulations": 0}, si.SimulationError, "at least 1; got 0"),
        ({"n_simulations": True}, si.SimulationError, "at least 1; got True"),
        ({"training": si.Training}, TypeError, r"expected training=si.Training\(...\); got <class"),
        ({"training": 5}, TypeError, "expected training=.*got 5"),
        ({"summary": 5}, ValueError, "or a torch module.*got 5"),
    ],
)
def test_settings_that_cannot_be_are_said_before_anything_is_simulated(settings, error, message):
    calls = []

    def watched(a, b):
        calls.append(a)
        return a

    with pytest.raises(error, match=message):
        si.fit_posterior(watched, PRIOR, **{"n_simulations": 300, "progress": False} | settings)
    assert not calls


@pytest.mark.parametrize(
    ("record", "field"),
    [
        *[(si.CINN, name) for name in ("blocks", "hidden", "depth", "bins", "features")],
        *[(si.INN, name) for name in ("blocks", "hidden", "latent", "width", "candidates")],
        *[(si.Training, name) for name in ("epochs", "batch_size", "patience")],
        (lambda **members: Ensemble(SMALL, **members), "members"),
    ],
)
def test_counts_are_whole_numbers(record, field):
    for wrong in (2.5, 2.0, True, "2"):
        with pytest.raises(ValueError, match=rf"\({field}=...\) must be a whole number; got"):
            record(**{field: wrong})
    assert getattr(record(**{field: np.int64(2)}), field) == 2


def test_whole_numbers_of_numpy_and_1e3_will_do():
    posterior = quick_fit(LINE, n=3e2, seed=np.int64(1), ensemble=np.int32(1))
    assert posterior.sample(Y, 9).identical(quick_fit(LINE).sample(Y, 9))


# -- what is raised once there are simulations -----------------------------------------------------


@dataclass(frozen=True)
class Raising:
    """A method that raises when it is trained."""

    error: BaseException
    label = "raising"

    def fit(self, data, training, *, seed, progress=True):
        raise self.error


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that takes no attributes."""

    reason: str


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a late one"),
        MemoryError(),
        KeyboardInterrupt(),
        SystemExit(1),
        asyncio.CancelledError(),
        Frozen("cold"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_method_raises_carries_the_simulations(error):
    with pytest.raises(type(error)) as caught:
        quick_fit(LINE, method=Raising(error))
    assert len(caught.value.simulations) == 300
    assert caught.value.__notes__ == ["the 300 simulations are kept in sys.last_value.simulations"]
    assert quick_fit(caught.value.simulations).sample(Y, 5).sizes == {"draw": 5}


@pytest.mark.parametrize("stage", ["split", "latents", "fit"])
def test_ctrl_c_between_the_stages_loses_nothing(monkeypatch, stage):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, stage, interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        quick_fit(LINE)
    assert len(caught.value.simulations) == 300


def test_noise_that_raises_in_training_loses_nothing():
    calls = []

    def noise(y, rng):
        calls.append(len(y))
        if len(calls) > 600:
            raise OverflowError("too much of it")
        return y + rng.normal(0, 0.1, y.shape)

    with pytest.raises(si.SimulationError, match="OverflowError: too much of it") as caught:
        quick_fit(LINE, noise=noise, epochs=9)
    assert len(caught.value.simulations) == 300


def test_a_warning_that_is_made_an_error_after_training_loses_nothing():
    def noisy(a, b, rng):
        return a + rng.normal()

    with pytest.raises(UserWarning, match="misses y by") as caught:  # warnings are errors here
        quick_fit(noisy, PRIOR, method="inn")
    assert len(caught.value.simulations) == 300


# -- endings ---------------------------------------------------------------------------------------


def usable(posterior):
    draws = posterior.sample(Y, 200)
    assert np.isfinite(draws.a).all()
    assert np.isfinite(posterior.log_prob(draws, Y)).all()
    history = posterior.history
    assert history.best_epoch in history.epoch
    assert len(history.epoch) == len(history.train_loss) == len(history.validation_loss)
    assert posterior.plot_training().axes
    assert f"({history.stopped})" in repr(posterior)
    return True


def ends(monkeypatch, *, after, how):
    """Let training end in some way after a number of batches; give the posterior."""
    calls, update = [], training._Run._update

    def ending(run, batch, done):
        calls.append(done)
        if len(calls) > after:
            return how(run, batch, done, update)
        return update(run, batch, done)

    monkeypatch.setattr(training._Run, "_update", ending)
    return quick_fit(LINE, n=500, epochs=12)


def interrupt(run, batch, done, update):
    raise KeyboardInterrupt


def diverge(run, batch, done, update):
    loss = run.loss
    run.loss = lambda rows: loss(rows) * torch.nan
    try:
        return update(run, batch, done)
    finally:
        run.loss = loss


@pytest.mark.parametrize("after", [0, 1, 20], ids=["at once", "at the second batch", "late"])
@pytest.mark.parametrize(("how", "stopped"), [(interrupt, "interrupted"), (diverge, "diverged")])
def test_training_that_ends_early_leaves_a_posterior(monkeypatch, tmp_path, after, how, stopped):
    if how is diverge:
        with pytest.warns(UserWarning, match="the loss became infinite or NaN"):
            posterior = ends(monkeypatch, after=after, how=how)
    else:
        posterior = ends(monkeypatch, after=after, how=how)
    assert posterior.history.stopped == stopped
    assert posterior.history.steps == after
    assert usable(posterior)
    posterior.save(tmp_path / "ended.sbi")
    loaded = si.load_posterior(tmp_path / "ended.sbi")
    assert loaded.sample(Y, 50).identical(posterior.sample(Y, 50))
    assert usable(loaded)
