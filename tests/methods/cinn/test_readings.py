"""Trying ways to read observables: short trainings decide, and no budget is overdrawn."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from sbi_inn.methods.cinn.readings import TRIED, best_reading
from sbi_inn.training.history import History
from sbi_inn.training.progress import watched, watching
from sbi_inn.training.settings import Training


@dataclass(frozen=True)
class Trained:
    scaling: str
    history: History


class Lesson:
    """Stands for a training: gives the loss that is planned for a way, and keeps what was asked."""

    def __init__(self, losses, stopped="finished", seconds=0.0):
        self.losses, self.stopped, self.seconds, self.asked = losses, stopped, seconds, []

    def __call__(self, way, training):
        self.asked.append((way, training))
        time.sleep(self.seconds)
        loss = self.losses[way]
        return Trained(way, History((1.0,), (loss,), (loss,), 1.0, self.stopped, 9, 0.1))


PLAN = Training(epochs=40, checkpoint="folder")


def test_the_way_of_the_least_loss_is_trained_in_full():
    lesson = Lesson({"a": 2.0, "b": 1.0})
    found = best_reading(["a", "b"], lesson, PLAN, progress=False)
    assert found.scaling == "b"
    assert [way for way, _ in lesson.asked] == ["a", "b", "b"]
    epochs = [training.epochs for _, training in lesson.asked]
    assert epochs == [round(TRIED * 40)] * 2 + [40]
    kept = [training.checkpoint for _, training in lesson.asked]
    assert kept == [None, None, "folder"]  # a trial has no state to go on from


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_what_diverged_is_not_chosen(lost):
    lesson = Lesson({"a": lost, "b": 5.0})
    assert best_reading(["a", "b"], lesson, PLAN, progress=False).scaling == "b"


def test_ctrl_c_in_a_trial_leaves_its_network():
    lesson = Lesson({"a": 2.0, "b": 1.0}, stopped="interrupted")
    found = best_reading(["a", "b"], lesson, PLAN, progress=False)
    assert (found.scaling, found.history.stopped, len(lesson.asked)) == ("a", "interrupted", 1)


def test_trials_are_part_of_the_budget():
    lesson = Lesson({"a": 2.0, "b": 1.0}, seconds=0.2)
    limited = replace(PLAN, max_seconds=10.0)
    found = best_reading(["a", "b"], lesson, limited, progress=False)
    limits = [training.max_seconds for _, training in lesson.asked]
    assert limits[0] == limits[1] == pytest.approx(10 * TRIED / (1 + 2 * TRIED))
    assert 9.0 < limits[2] <= 9.6
    assert found.history.seconds >= 0.6


def test_whoever_looks_on_sees_one_training():
    told = []
    with watched(lambda done, loss: told.append((done, loss)) or True):
        best_reading(["a", "b"], _Telling({"a": 2.0, "b": 1.0}), PLAN, progress=False)
    done, losses = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == pytest.approx(1.0)
    assert np.isnan(losses[:-1]).all()
    assert losses[-1] == 1.0


class _Telling(Lesson):
    def __call__(self, way, training):
        with watching(progress=False) as watch:
            watch(1.0, self.losses[way])
        return super().__call__(way, training)
