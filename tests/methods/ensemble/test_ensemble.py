"""Ensembles: weights, draws and densities of a mixture, and training side by side."""

import math
import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.stats as st
import torch
from scipy.special import logsumexp
from studies import LINE, SMALL

import sbi_inn as si
from sbi_inn.errors import LoadError, NoDensityError, ShapeError
from sbi_inn.methods import (
    CINN,
    INN,
    Decoder,
    Emulator,
    Ensemble,
    Summariser,
    TrainingData,
    Weigher,
    from_arrays,
)
from sbi_inn.methods.ensemble import method as ensemble
from sbi_inn.methods.ensemble.fitted import FittedEnsemble, _counts, mixture
from sbi_inn.methods.ensemble.training import stacked
from sbi_inn.observation.batch import Observations
from sbi_inn.training import loop as training
from sbi_inn.training import side_by_side, workers
from sbi_inn.training.history import History
from sbi_inn.training.loop import Training

ROWS = 300
TINY = CINN(start="trained", blocks=2, hidden=8)
HISTORY = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)
NOWHERE = Observations(np.zeros((1, 1)), {}, 0)


@dataclass(frozen=True)
class Gaussian:
    """A trained method whose posterior is N(mean, 1), whatever is observed."""

    mean: float
    history: History = HISTORY
    settings: CINN = TINY

    def sample(self, observations, n, rng):
        return self.mean + rng.standard_normal((len(observations), n, 1))

    def log_prob(self, latent, observations):
        return st.norm.logpdf(latent[:, 0], self.mean)

    def describe(self):
        return "a Gaussian"


def mixed(*means, weights):
    members = tuple(Gaussian(mean) for mean in means)
    settings = Ensemble(TINY, len(means))
    return mixture(settings, members, np.array(weights), seconds=1.0, interrupted=False, trained=2)


def study(columns=2):
    """Two latent parameters, and as many of them observed with noise."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((ROWS, 2))
    seen = latent[:, :columns]
    return latent, Observations(seen + 0.1 * rng.standard_normal(seen.shape), {}, 0)


def fit(method=TINY, members=2, *, table=None, n_jobs=1, seed=1, **settings):
    rows = np.arange(ROWS)
    return Ensemble(method, members, n_jobs).fit(
        TrainingData(*(table or study()), rows[:250], rows[250:]),
        Training(**({"epochs": 3} | settings)),
        seed=seed,
        progress=False,
    )


@pytest.fixture(scope="module")
def fitted():
    return fit()


@pytest.fixture
def _always_workers(monkeypatch):
    monkeypatch.setattr(ensemble, "WORTH_IT", 0.0)


def same(one, other):
    latent, observations = study()
    draws = [f.sample(observations[:3], 40, np.random.default_rng(2)) for f in (one, other)]
    densities = [f.log_prob(latent, observations) for f in (one, other)]
    pairs = [draws, densities, [one.weights, other.weights]]
    return all(np.array_equal(*pair) for pair in pairs)


# -- weights ---------------------------------------------------------------------------------------


def test_stacking_finds_the_weights_of_a_known_mixture():
    rng = np.random.default_rng(1)
    rows = 20_000
    second = rng.random(rows) < 0.2
    x = rng.standard_normal(rows) + 3.0 * second
    found = stacked(np.stack([st.norm.logpdf(x), st.norm.logpdf(x, 3.0)]))
    # The labels alone give .2 to .003; overlap makes it a little worse.
    assert found[1] == pytest.approx(0.2, abs=0.015)
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("rows", [30, 100, 1_000])
@pytest.mark.parametrize("spread", [0.1, 0.5, 2.0])
def test_noise_does_not_decide_between_equals(rows, spread):
    rng = np.random.default_rng(1)
    # log p1 - log p2 of rows drawn from their mean, as it is between two equals: symmetric.
    found = [
        stacked(0.5 * spread * np.outer([1.0, -1.0], rng.standard_normal(rows))) for _ in range(50)
    ]
    first = np.array(found)[:, 0]
    assert np.std(first) < 0.06  # .044 at most, known to a tenth of itself
    assert np.mean(first) == pytest.approx(0.5, abs=0.03)


def test_a_member_that_is_much_worse_gets_little():
    log_density = np.stack([np.zeros(1_000), np.full(1_000, -5.0)])
    assert stacked(log_density)[1] < 0.03


def test_rows_without_any_density_say_nothing():
    rng = np.random.default_rng(1)
    log_density = rng.standard_normal((3, 200))
    expected = stacked(log_density)
    nothing = np.array([[-np.inf, np.nan], [-np.inf, -np.inf], [np.nan, np.nan]])
    assert np.allclose(stacked(np.hstack([log_density, nothing])), expected)
    assert np.allclose(stacked(nothing), 1 / 3)
    # Where one member alone gives none, it does.
    log_density[1, :100] = -np.inf
    assert stacked(log_density)[1] < expected[1] - 0.05


# -- draws and densities ---------------------------------------------------------------------------


def test_the_density_is_the_weighted_sum_and_normalised():
    found = mixed(-1.0, 2.0, weights=[0.3, 0.7])
    x = np.linspace(-12, 12, 4_001)
    density = np.exp(found.log_prob(x[:, None], NOWHERE))
    expected = 0.3 * st.norm.pdf(x, -1) + 0.7 * st.norm.pdf(x, 2)
    np.testing.assert_allclose(density, expected, rtol=1e-10)
    assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-8)


def test_draws_follow_the_weights_and_the_first_are_fair():
    found = mixed(0.0, 100.0, weights=[0.3, 0.7])
    many = Observations(np.zeros((4_000, 1)), {}, 0)
    draws = found.sample(many, 10, np.random.default_rng(1))[..., 0]
    second = draws > 50
    assert set(second.sum(axis=1)) == {7}  # 10 times .7: nothing is left to chance
    # A position is the second member's in .7 of 4,000 observations, to .007.
    assert np.abs(second.mean(axis=0) - 0.7).max() < 0.03
    one = found.sample(many, 1, np.random.default_rng(2))[..., 0]
    assert np.mean(one > 50) == pytest.approx(0.7, abs=0.03)
    assert np.std(draws[second] - 100) == pytest.approx(1, abs=0.02)


def test_shares_are_right_on_average_and_add_up():
    weights = np.array([0.21, 0.5, 0.29])
    chance = np.random.default_rng(1).random(20_000)
    for n in (0, 1, 2, 7, 1_000):
        counts = _counts(weights, n, chance)
        assert (counts.sum(axis=1) == n).all()
        assert (np.abs(counts - n * weights) < 1).all()
        # Each count is one of two neighbours: its mean is known to .5 / sqrt(20000) = .004.
        np.testing.assert_allclose(counts.mean(axis=0), n * weights, atol=0.015)


def test_no_draws_and_no_observations(fitted):
    _, observations = study()
    rng = np.random.default_rng(1)
    assert fitted.sample(observations[:3], 0, rng).shape == (3, 0, 2)
    assert fitted.sample(observations[:0], 5, rng).shape == (0, 5, 2)


def test_networks_are_mixed(fitted):
    latent, observations = study()
    each = np.stack([m.log_prob(latent, observations) for m in fitted.members])
    expected = logsumexp(each + np.log(fitted.weights)[:, None], axis=0)
    np.testing.assert_allclose(fitted.log_prob(latent, observations), expected)
    assert np.abs(each[0] - each[1]).max() > 1e-3  # two different networks
    draws = fitted.sample(observations[:5], 20, np.random.default_rng(1))
    assert draws.shape == (5, 20, 2)
    assert np.array_equal(draws, fitted.sample(observations[:5], 20, np.random.default_rng(1)))


def test_what_an_ensemble_of_cinns_can(fitted):
    _, observations = study()
    assert isinstance(fitted, Decoder)
    assert isinstance(fitted, Summariser)
    assert not isinstance(fitted, Emulator | Weigher)
    features = [m.summarise(observations) for m in fitted.members]
    assert np.array_equal(fitted.summarise(observations), np.hstack(features))
    heaviest = replace(fitted, weights=np.array([0.2, 0.8]))
    z = np.zeros((4, fitted.latent_dim))
    expected = fitted.members[1].decode(observations[:1], z)
    assert np.array_equal(heaviest.decode(observations[:1], z), expected)
    assert np.allclose(heaviest.encode(observations[:1], expected)[0], z, atol=1e-4)
    assert fitted.describe() == f"ensemble of 2: {fitted.members[0].describe()}"
    assert not isinstance(mixed(0.0, weights=[1.0]), Decoder | Summariser)
    assert mixed(0.0, weights=[1.0]).describe() == "ensemble of 1 of 2 networks: a Gaussian"


def test_what_an_ensemble_of_inns_can():
    latent, observations = study(columns=1)
    found = fit(INN(blocks=2, hidden=8, candidates=1), table=(latent, observations))
    assert isinstance(found, Decoder)
    assert isinstance(found, Emulator)
    assert isinstance(found, Weigher)
    exactly = found.at_tolerance(0.0)
    assert [m.settings.tolerance for m in exactly.members] == [0.0, 0.0]
    with pytest.raises(NoDensityError):
        exactly.log_prob(latent, observations)
    assert np.array_equal(found.residual, found.best.residual)
    assert np.array_equal(
        found.log_weight(latent, observations), found.log_prob(latent, observations)
    )
    again = from_arrays(*found.to_arrays())
    assert np.array_equal(
        again.log_prob(latent, observations), found.log_prob(latent, observations)
    )


# -- training --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("_always_workers")
def test_the_number_of_processes_changes_nothing(fitted):
    threads = torch.get_num_threads()
    workers = fit(n_jobs=2)
    assert same(fitted, workers)
    for here, there in zip(fitted.members, workers.members, strict=True):
        assert replace(there.history, seconds=0.0) == replace(here.history, seconds=0.0)
    assert torch.get_num_threads() == threads
    assert not same(fitted, fit(seed=2))


def test_one_thread_and_back_again():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with side_by_side.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError), side_by_side.one_thread():
            raise ZeroDivisionError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_a_larger_ensemble_holds_the_smaller_one(fitted):
    latent, observations = study()
    larger = fit(members=3)
    for one, other in zip(fitted.members, larger.members, strict=False):
        assert np.array_equal(
            one.log_prob(latent, observations), other.log_prob(latent, observations)
        )


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.usefixtures("_always_workers")
def test_what_a_method_raises_reaches_the_caller(n_jobs):
    class Picky:
        label = "picky"
        schedule = TINY.schedule

        def fit(self, data, training, *, seed, progress):
            raise ShapeError(f"process {os.getpid()} wants sets")

    with pytest.raises(ShapeError, match="wants sets") as caught:
        fit(Picky(), n_jobs=n_jobs)
    assert (str(os.getpid()) in str(caught.value)) == (n_jobs == 1)


def test_a_short_training_stays_here():
    long, short = Training(), Training(epochs=1)
    many = Ensemble(TINY, 2, n_jobs=2)
    assert many.processes(long, 9_000) == 2
    assert many.processes(short, 9_000) == 1
    assert many.processes(replace(long, max_seconds=3.0), 9_000) == 1
    assert Ensemble(TINY, 2, n_jobs=1).processes(long, 9_000) == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.usefixtures("_always_workers")
def test_a_budget_of_time_is_that_of_the_whole(n_jobs):
    found = fit(members=2, n_jobs=n_jobs, epochs=10**6, max_seconds=1.0)
    each = 1.0 * n_jobs / 2
    for member in found.members:
        assert member.history.stopped == "time"
        assert each <= member.history.seconds < each + 1.5  # the machine may be busy
    assert found.history.seconds >= 1.0
    assert found.history.stopped == "time"


# -- endings ---------------------------------------------------------------------------------------


def ending(monkeypatch, steps, how):
    """Have training end at the update after so many, counted over all members."""
    calls, update = [], training._Run._update

    def counted(run, batch, done):
        calls.append(done)
        return how(run) if len(calls) == steps + 1 else update(run, batch, done)

    monkeypatch.setattr(training._Run, "_update", counted)


def interrupt(run):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("steps", "members"), [(5, 1), (15, 2)])
def test_an_interruption_leaves_what_was_trained(monkeypatch, steps, members):
    ending(monkeypatch, steps, interrupt)
    found = fit(members=3, epochs=3)  # 9 steps each
    assert len(found.members) == members
    assert found.history.stopped == "interrupted"
    assert found.members[-1].history.steps == steps - 9 * (members - 1)
    assert np.isfinite(found.log_prob(*study())).all()


@pytest.mark.usefixtures("_always_workers")
def test_an_interruption_ends_the_workers(monkeypatch):
    calls, wait = [], side_by_side.wait

    def interrupted(futures, timeout):
        calls.append(timeout)
        if len(calls) == 5:  # after half a second, in which the two that run have begun
            while not any(future.running() for future in futures):
                wait(futures, timeout=0.05)
            raise KeyboardInterrupt
        return wait(futures, timeout=timeout)

    fit(n_jobs=2)  # the workers are there
    monkeypatch.setattr(side_by_side, "wait", interrupted)
    found = fit(members=2, n_jobs=2, epochs=10**6, early_stopping=False)
    assert found.history.stopped == "interrupted"
    assert {m.history.stopped for m in found.members} == {"interrupted"}
    assert np.isfinite(found.log_prob(*study())).all()


def test_a_stop_on_the_board_reaches_training(tmp_path):
    board = side_by_side.Board.new(str(tmp_path), 2)
    watch = board.watch(1)
    assert watch(0.5, math.nan)
    assert watch(0.6, 2.0)
    told = []
    board.show(lambda done, loss: told.append((done, loss)))
    board.finish(0)
    board.show(lambda done, loss: told.append((done, loss)))
    assert told == [(0.3, 2.0), (0.8, 2.0)]
    side_by_side.Board(board.path, 2).stop()  # by another process
    assert board.stopped
    assert not watch(0.7, 2.0)
    assert side_by_side._work(interrupt, board, 0) is None  # one that has not begun does not begin


def diverge(run):
    return math.nan


def test_a_member_that_diverges_is_left_out(monkeypatch):
    ending(monkeypatch, 4, diverge)
    with pytest.warns(UserWarning, match="1 of 2 networks turned non-finite"):
        found = fit()
    assert len(found.members) == 1
    assert found.weights == [1.0]
    assert found.history.stopped == "finished"
    assert found.settings.members == 2


def test_all_that_diverge_are_kept(monkeypatch):
    monkeypatch.setattr(training._Run, "_update", lambda run, batch, done: math.nan)
    found = fit()
    assert len(found.members) == 2
    assert found.history.stopped == "diverged"


# -- files and the front door ----------------------------------------------------------------------


def test_to_arrays_and_back(fitted):
    config, arrays = fitted.to_arrays()
    again = from_arrays(config, arrays)
    assert same(again, fitted)
    assert again.settings == fitted.settings
    assert again.history == fitted.history
    assert again.describe() == fitted.describe()


@pytest.mark.parametrize(
    "damage",
    [
        lambda config, arrays: config.update(members=[]),
        lambda config, arrays: config["members"].append(config["members"][0]),
        lambda config, arrays: config.pop("seconds"),
        lambda config, arrays: config.update(members=[3, 4]),
        lambda config, arrays: arrays.pop("mixture"),
        lambda config, arrays: arrays.pop("member1-weights"),
        lambda config, arrays: arrays["mixture"].update(weights=np.ones(3)),
    ],
)
def test_what_cannot_be_read_back(fitted, damage):
    config, arrays = fitted.to_arrays()
    damage(config, arrays)
    with pytest.raises(LoadError, match="do not fit the settings"):
        from_arrays(config, arrays)


def test_settings_of_an_ensemble():
    assert CINN().default_members == 4
    assert INN().default_members == 1
    assert Ensemble(INN(), 3).default_members == 3
    with pytest.raises(ValueError, match="must be positive; got 0"):
        Ensemble(CINN(), 0)
    assert Ensemble(CINN(), 2).label == "cINN"


def quick(**settings):
    return si.fit_posterior(
        LINE,
        n_simulations=400,
        method=settings.pop("method", SMALL),
        training=Training(epochs=2),
        seed=1,
        progress=False,
        **settings,
    )


def test_the_front_door():
    assert isinstance(quick().core.fitted, FittedEnsemble)
    assert len(quick(ensemble=3).core.fitted.members) == 3
    assert not isinstance(quick(ensemble=1).core.fitted, FittedEnsemble)
    again = Ensemble(SMALL, 3)
    assert len(quick(method=again).core.fitted.members) == 3
    assert not isinstance(quick(method=again, ensemble=1).core.fitted, FittedEnsemble)
    with pytest.raises(ValueError, match="ensemble must be positive; got 0"):
        quick(ensemble=0)


def test_a_posterior_of_an_ensemble(tmp_path):
    posterior = quick(ensemble=2)
    assert "ensemble of 2: cINN of 4" in repr(posterior)
    y = [1.0, -0.5]
    posterior.save(tmp_path / "two.sbi")
    loaded = si.load_posterior(tmp_path / "two.sbi")
    draws = posterior.sample(y, 100)
    assert loaded.sample(y, 100).identical(draws)
    assert np.array_equal(loaded.log_prob(draws, y), posterior.log_prob(draws, y))
    assert loaded.settings == posterior.settings
    assert loaded.history == posterior.history
    assert len(posterior.plot_training().axes[0].lines) == 5  # one more: the other's validation
    assert posterior.plot_latent(y, n=5) is not None
    assert posterior.to_datatree(y) is not None
    curve = posterior.learning_curve(fractions=(0.3, 0.6), progress=False)
    assert len(curve.n) == 3


def test_a_mixture_is_no_worse_than_its_members():
    """By Jensen's inequality: the mean log density of the truths, weighted over the members."""
    posterior = quick(ensemble=3)
    table, rows = posterior.simulations, posterior.core.test_rows
    truths = posterior.prior.to_latent(table.parameters(rows)), table.observations(rows)
    alone = [member.log_prob(*truths).mean() for member in posterior.core.fitted.members]
    assert posterior.core.fitted.log_prob(*truths).mean() > posterior.core.fitted.weights @ alone


# -- without workers (last: they take seconds to start) --------------------------------------------


@pytest.mark.usefixtures("_always_workers")
def test_workers_that_die_are_done_without(fitted):
    here = os.getpid()

    @dataclass(frozen=True)
    class Deadly:
        label = "deadly"
        schedule = TINY.schedule

        def fit(self, data, training, *, seed, progress):
            if os.getpid() != here:
                os._exit(1)
            return TINY.fit(data, training, seed=seed, progress=progress)

    with pytest.warns(UserWarning, match="goes on in this process"):
        found = fit(Deadly(), n_jobs=2)
    assert same(found, fitted)
    assert workers._pool.cache_info().currsize == 0  # new ones will be started


@pytest.mark.usefixtures("_always_workers")
def test_without_workers_training_goes_on_here(fitted, monkeypatch):
    def impossible(*_, **__):
        raise OSError("no semaphores")

    workers.forget()
    monkeypatch.setattr(workers, "ProcessPoolExecutor", impossible)
    side_by_side.warm_up(2)  # says nothing: training will
    with pytest.warns(UserWarning, match="no semaphores.*goes on in this process"):
        found = fit(n_jobs=2)
    assert same(found, fitted)
