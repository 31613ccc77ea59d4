"""Networks that take turns in the rows they validate on."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from linear_regression import Regression

import sbi_inn as si
from sbi_inn.methods.ensemble.folds import FEW, Folds, in_folds
from sbi_inn.methods.ensemble.method import Ensemble
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.training.settings import Training


@dataclass(frozen=True)
class Told(Regression):
    """A regression whose second kind knows nothing, and which says what it was given."""

    place: int = 0
    given: tuple = ()

    def member(self, place):
        return replace(self, place=place)

    def fit(self, data, training, *, seed, progress=True):
        assert len(np.intersect1d(data.train, data.validation)) == 0
        found = super().fit(data, training, seed=seed)
        if self.place:
            found = replace(found, slope=0 * found.slope, covariance=np.eye(1))
        renewed = () if data.renew is None else tuple(data.renew(None).vector[:, 0])
        given = (tuple(data.train), tuple(data.validation), renewed)
        return replace(found, settings=replace(self, given=given))


def table(n, renew=False):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, 1))
    observed = Observations(x + 0.3 * rng.standard_normal((n, 1)), {})
    every = np.arange(n)
    again = (lambda _: Observations(every[:, None].astype(float), {})) if renew else None
    return TrainingData(x, observed, every, every[:0], renew=again)


def fitted(data, members=4, **options):
    method = Folds(Ensemble(Told(), members, n_jobs=1), **options)
    return method.fit(data, Training(epochs=1), seed=1, progress=False)


@dataclass(frozen=True)
class Keeping(Told):
    """Writes where its checkpoints are to be, as the first one there."""

    def fit(self, data, training, *, seed, progress=True):
        Path(training.checkpoint).mkdir(parents=True)
        return super().fit(data, training, seed=seed, progress=progress)


def test_every_network_has_checkpoints_of_its_own(tmp_path):
    method = Folds(Ensemble(Keeping(), 3, n_jobs=1))
    method.fit(table(300), Training(epochs=1, checkpoint=tmp_path), seed=1, progress=False)
    networks = 3 * 2
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"member{place}" for place in range(networks)]


def test_every_row_validates_one_network_of_a_kind_and_trains_the_others():
    found = fitted(table(300))
    held_out = [member.settings.given[1] for member in found.members]
    assert len(set(held_out)) == len(held_out) == 4
    for member in found.members:
        train, validation, _ = member.settings.given
        assert sorted((*train, *validation)) == list(range(300))
        assert len(validation) == 60


def test_the_rows_that_were_left_out_decide_between_kinds():
    found = fitted(table(300))
    assert [member.settings.place for member in found.members] == [0, 0, 0, 0]
    assert found.weights == pytest.approx(np.full(4, 0.25))
    assert found.settings.members == 4


def test_many_rows_take_fewer_networks():
    assert len(fitted(table(FEW)).members) == 2
    assert len(fitted(table(300), quick=True).members) == 2


def test_noise_is_drawn_anew_for_the_rows_that_train():
    for member in fitted(table(200, renew=True)).members:
        train, _, renewed = member.settings.given
        assert renewed == train


def test_another_method_stays_as_it_is():
    assert in_folds(Told()) == Told()
    assert in_folds(Ensemble(Told(), 3)).label == "regression"


def test_networks_have_checkpoints_of_their_own(tmp_path):
    method = Folds(Ensemble(si.CINN(blocks=1, hidden=8), 4, n_jobs=1), quick=True)
    training = Training(epochs=1, checkpoint=tmp_path)
    found = [method.fit(table(120), training, seed=1, progress=False) for _ in range(2)]
    networks = len(found[0].members)
    assert networks == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"member{i}" for i in range(4)]
    once, again = (one.log_prob(np.zeros((1, 1)), table(1).observations) for one in found)
    assert once == again
