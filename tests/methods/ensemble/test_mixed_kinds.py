"""Networks of two kinds in one ensemble: which are trained, and which are mixed."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st
from scipy.special import logsumexp

import sbi_inn as si
from sbi_inn.methods import CINN, Ensemble
from sbi_inn.methods.ensemble import method as ensemble
from sbi_inn.methods.ensemble.training import Member, alike, stacked
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.training.history import History

OF_A_NUMBER = Observations(np.empty((300, 1)), {})


@dataclass(frozen=True)
class Known:
    """A trained network of a kind, which gives each validation row this density."""

    kind: str
    settings: object = None


def member(kind, mean, spread=0.0, seed=1):
    rows = mean + spread * np.random.default_rng(seed).normal(size=400)
    return Member(Known(kind), rows)


def test_kinds_are_not_mixed_even_where_a_mixture_would_be_likelier():
    narrow = [member("likelihood", 1.0, 3.0)]
    wide = [member("", 0.4, 3.0, seed) for seed in (2, 3)]
    both = np.stack([one.log_density for one in (*narrow, *wide)])
    mixed = logsumexp(both, axis=0, b=stacked(both)[:, None]).mean()
    assert mixed > 1.2 > narrow[0].log_density.mean()
    kept = alike([*wide, *narrow])
    assert len({one.fitted.kind for one in kept}) == 1


def test_the_likelier_kind_is_kept_and_nothing_is_left_out_of_it():
    wide = [member("", 0.0), member("", -0.1)]
    assert alike([*wide, member("likelihood", 0.5)])[0].fitted.kind == "likelihood"
    assert alike([*wide, member("likelihood", -0.5)]) == wide
    assert alike(wide) == wide
    nothing = member("likelihood", 0.5)
    nothing.log_density[:] = -np.inf
    assert alike([*wide, nothing]) == wide


# -- which are trained -----------------------------------------------------------------------------


@pytest.mark.parametrize(("second", "beat"), [(0.0, None), (-9.0, 0.0)])
def test_a_likelihood_has_to_beat_the_others_where_an_exact_start_is_not_worth_it(
    monkeypatch, second, beat
):
    history = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    seconds, trained, said = [], [], []

    def train_all(jobs, *_, what, **__):
        said.append(what)
        return [job() for job in jobs]

    def train(method, data, training, seed):
        seconds.append(training.max_seconds)
        trained.append(method)
        fitted = SimpleNamespace(settings=method, history=history)
        return Member(fitted, np.full(300, second if method.place == 1 else 0.0))

    monkeypatch.setattr(ensemble, "train", train)
    monkeypatch.setattr(ensemble, "train_all", train_all)
    monkeypatch.setattr(ensemble, "mixture", lambda *_, **about: about["trained"])
    monkeypatch.setattr(Ensemble, "processes", lambda *_: 2)
    data = SimpleNamespace(rows=300, observations=OF_A_NUMBER)
    budget = si.Training(max_seconds=30)
    assert Ensemble(CINN(), 4).fit(data, budget, seed=1) == 4
    assert seconds == [15] * 4  # two networks after each other
    assert [method.place for method in trained] == [1, 2, 0, 3]
    assert said == ["2 of 4 networks", "the other 2 of 4 networks"]
    assert [method.beat for method in trained] == [None, None, None, beat]


@pytest.mark.parametrize("members", [1, 2])
def test_few_networks_do_not_wait_for_each_other(members):
    data = SimpleNamespace(observations=OF_A_NUMBER)
    stages = ensemble._stages([CINN().member(place) for place in range(members)], data)
    assert stages == ([*range(members)], [])


def test_of_a_single_set_none_waits_and_what_takes_longest_begins():
    sets = {"n": PaddedSet(np.ones((300, 5, 2)), np.full(300, 5))}
    data = SimpleNamespace(observations=Observations(np.empty((300, 0)), sets))
    methods = [CINN().member(place) for place in range(4)]
    assert ensemble._stages(methods, data) == ([3, 0, 1, 2], [])
    beside = SimpleNamespace(observations=Observations(np.empty((300, 1)), sets))
    assert ensemble._stages(methods, beside) == ([1, 2], [0, 3])


@pytest.mark.slow
def test_a_mean_and_its_noise_are_found_under_a_vague_prior():
    """Replicates tell the noise by small differences of large numbers."""
    at = np.repeat([0.05, 0.2, 1.0], 4)

    @si.simulator(batched=True)
    def dose(vmax, half, sd, rng):
        mean = vmax[:, None] * at / (half[:, None] + at)
        return {"v": mean + sd[:, None] * rng.normal(size=mean.shape)}

    prior = si.Prior(vmax=st.uniform(0, 1000), half=st.loguniform(0.01, 1), sd=st.loguniform(1, 99))
    posterior = si.fit_posterior(
        dose, prior, n_simulations=1_200, training=si.Training(epochs=8), seed=1, progress=False
    )
    assert "1 of 4 networks" in repr(posterior)
    assert "likelihood" in {one.kind for one in posterior.core.fitted.members}
    check = posterior.check(progress=False)
    assert check.records["calibration"].found.pooled < 0.03
