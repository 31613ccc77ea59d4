"""The training loop: its settings, what it learns, and what it leaves alone."""

import itertools
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lines import Line, after, line_data, train_line, validated, weights
from torch import nn

from sbi_inn.training import course
from sbi_inn.training.course import WARM_UP
from sbi_inn.training.history import History
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.settings import Training

# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["epochs", "max_seconds", "batch_size", "learning_rate", "patience", "gradient_clip"]
)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_settings_must_be_positive(name, value):
    with pytest.raises(ValueError, match=name):
        Training(**{name: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight_decay": -1e-9},
        {"weight_decay": math.nan},
        {"averaging": -0.1},
        {"averaging": 1.0},
        {"averaging": math.nan},
    ],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=f"expected.*{next(iter(wrong))}.*got"):
        Training(**wrong)


def test_settings_at_the_edge_of_their_range():
    Training(epochs=1, weight_decay=0, averaging=0, gradient_clip=math.inf, max_seconds=math.inf)


@pytest.mark.parametrize("n_train", [1, 10, 100, 10_000, 1_000_000])
def test_what_is_none_follows_from_the_rows(n_train):
    settings = Training().resolve(n_train)
    assert 1 <= settings.batch_size <= n_train
    assert settings.epochs >= 1
    assert isinstance(settings.epochs, int)
    assert settings.learning_rate > 0
    assert settings.max_seconds is None
    assert settings.resolve(n_train) == settings


def test_more_rows_take_more_steps_and_larger_batches():
    small, large = (Training().resolve(n) for n in (1_000, 100_000))
    assert large.batch_size > small.batch_size
    steps = [n // s.batch_size * s.epochs for n, s in ((1_000, small), (100_000, large))]
    assert steps[0] < steps[1] < 100 * steps[0]


def test_what_is_given_stays():
    given = Training(
        epochs=3, max_seconds=9.0, batch_size=50, learning_rate=0.1, patience=2, averaging=0.5
    )
    assert given.resolve(100) == given
    assert given.resolve(20) == replace(given, batch_size=20)  # no more than there are


# -- learning --------------------------------------------------------------------------------------


def test_the_optimum_of_a_regression_is_found():
    line, history = train_line(Training(epochs=60, learning_rate=0.03, weight_decay=0))
    x, y = line_data(500).double().T
    design = torch.stack([x, torch.ones_like(x)], dim=1)
    solution = torch.linalg.lstsq(design, y).solution
    deviation = (y - design @ solution).std(correction=0)
    np.testing.assert_allclose(
        weights(line).numpy(), [*solution.tolist(), deviation.log()], atol=0.01
    )
    with torch.no_grad():
        reached = line.loss(line_data(500)).double().mean().item()
    optimum = deviation.log().item() + 0.5 * math.log(2 * math.pi) + 0.5
    # The optimum is a minimum over these rows: nothing can lie below it.
    assert optimum - 1e-6 < reached < optimum + 1e-3
    assert validated(line) == pytest.approx(min(history.validation_loss), abs=1e-6)


def test_the_history_is_that_of_the_run():
    _, history = train_line(
        Training(epochs=10, batch_size=100, learning_rate=0.1, early_stopping=False)
    )
    assert history.stopped == "finished"
    assert history.steps == 50
    assert history.epoch == tuple(range(1, 11))
    assert len(history.train_loss) == len(history.validation_loss) == 10
    assert history.best_epoch == history.epoch[np.argmin(history.validation_loss)]
    assert history.train_loss[-1] < history.train_loss[0]
    assert 0 < history.seconds < 60


def test_a_long_run_is_validated_about_fifty_times():
    _, history = train_line(Training(epochs=200, batch_size=250, early_stopping=False))
    assert 45 <= len(history.epoch) <= 55
    assert history.epoch[-1] == 200


def test_the_end_of_a_run_is_validated_whatever_the_interval():
    # 103 epochs of one step are validated every second step, and 103 is odd.
    _, history = train_line(Training(epochs=103, batch_size=500, early_stopping=False))
    assert history.epoch[-2:] == (102, 103)


def test_fewer_rows_than_a_batch():
    line = Line()
    data = line_data(3), line_data(2, seed=1)
    history = fit(line, line.loss, *data, Training(epochs=2), seed=0, progress=False)
    assert history.steps == 2
    assert weights(line).isfinite().all()


def test_every_row_is_visited_once_an_epoch_in_an_order_of_its_own():
    seen = []

    class Numbered:
        def __len__(self):
            return 60

        def __getitem__(self, rows):
            seen.append(rows.tolist())
            return line_data(60)[rows]

    line = Line()
    settings = Training(epochs=2, batch_size=20)
    fit(line, line.loss, Numbered(), line_data(10), settings, seed=0, progress=False)
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second
    assert first != sorted(first)


def test_frozen_parameters_stay():
    line = Line()
    line.s.requires_grad_(False)
    settings = Training(epochs=3, learning_rate=0.1)
    fit(line, line.loss, line_data(200), line_data(50), settings, seed=0, progress=False)
    assert line.s.item() == 0
    assert line.w.item() != 0


def test_the_module_ends_ready_for_use():
    line, _ = train_line(Training(epochs=1))
    assert not line.training


def test_the_gradient_is_clipped():
    steep = train_line(Training(epochs=3, gradient_clip=1e-12, weight_decay=0))[0]
    # AdamW forgets the size of a gradient, save when it drowns in its epsilon of 1e-8.
    assert weights(steep).abs().max() < 1e-4


def test_weights_decay():
    line = Line()
    with torch.no_grad():
        line.w.fill_(1.0)
    settings = Training(epochs=100, learning_rate=0.01, weight_decay=1.0, early_stopping=False)
    fit(
        line,
        lambda rows: 0 * line.loss(rows),
        line_data(64),
        line_data(8),
        replace(settings, averaging=0.0),
        seed=0,
        progress=False,
    )
    # The first validation is the best, since none of the later ones is better.
    assert line.w.item() < 1


# -- the schedule ----------------------------------------------------------------------------------


class Slope(nn.Module):
    """A loss of slope one everywhere, so that each step of AdamW is the learning rate."""

    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.path = []

    def loss(self, rows):
        if self.training:
            self.path.append(self.p.item())
        return self.p.expand(len(rows))

    def rates(self, settings):
        data = torch.zeros(10, 1)
        settings = replace(settings, weight_decay=0, learning_rate=0.1, batch_size=10)
        self.history = fit(self, self.loss, data, data, settings, seed=0, progress=False)
        return -np.diff(self.path)


def test_the_learning_rate_warms_up_and_falls_like_a_cosine():
    total = 1000
    rates = Slope().rates(Training(epochs=total))
    step = np.arange(total - 1)
    rise = np.minimum(1, (step + 1) / (WARM_UP * total + 1))
    expected = 0.1 * rise * (0.5 + 0.5 * np.cos(np.pi * step / total))
    np.testing.assert_allclose(rates, expected, rtol=1e-6, atol=1e-9)


def test_a_budget_of_time_ends_the_run_and_anneals(monkeypatch):
    ticks = itertools.count(step=1e-3)  # in place of a clock, which a busy machine delays
    monkeypatch.setattr(course, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    slope = Slope()
    rates = slope.rates(Training(epochs=10**7, max_seconds=0.8))
    assert slope.history.stopped == "time"
    assert 0.8 <= slope.history.seconds < 10
    assert slope.history.steps < 10**7
    assert len(slope.history.epoch) >= 1
    # The whole schedule passes in this time: up to the peak, and down to nothing.
    assert 0.08 < rates.max() <= 0.1 + 1e-6
    assert rates[0] < 0.02
    assert rates[-1] < 0.03


def test_a_budget_that_is_not_needed_changes_nothing():
    _, history = train_line(Training(epochs=2, max_seconds=1e6))
    assert history.stopped == "finished"


# -- randomness ------------------------------------------------------------------------------------


def jitter(rows, done, generator):
    return rows + 0.1 * torch.randn(rows.shape, generator=generator)


@pytest.mark.parametrize("augment", [None, jitter])
def test_the_seed_decides(augment):
    short = Training(epochs=3, batch_size=50, learning_rate=0.1)
    one, same, other = (
        weights(train_line(short, seed=seed, augment=augment)[0]) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_training_batches_alone_are_augmented():
    calls = []

    def augment(rows, done, generator):
        calls.append((len(rows), done))
        return torch.full_like(rows, math.nan) if len(calls) > 20 else rows

    settings = Training(epochs=5, batch_size=100)
    _, history = train_line(settings, augment=augment)
    assert [n for n, _ in calls] == 21 * [100]
    np.testing.assert_allclose([done for _, done in calls], np.arange(21) / 25)
    assert np.isfinite(history.validation_loss).all()
    assert history.stopped == "diverged"


def test_validation_rows_are_judged_by_their_score():
    line, history = train_line(score=lambda rows: (rows[:, 0] - 3).square())
    expected = (line_data(300, seed=1)[:, 0] - 3).square().double().mean().item()
    np.testing.assert_allclose(history.validation_loss, expected, rtol=1e-5)
    assert history.train_loss[-1] < history.train_loss[0]


def test_global_randomness_is_left_alone():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    train_line(Training(epochs=2), augment=jitter)
    with seeded(5):
        torch.randn(3)
    with pytest.raises(ZeroDivisionError), seeded(5):
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before[1])  # noqa: NPY002


def test_seeded_builds_the_same_network_again():
    def build(seed):
        with seeded(seed):
            return weights(nn.Linear(3, 3))

    assert torch.equal(build(1), build(1))
    assert not torch.equal(build(1), build(2))


# -- what is said ----------------------------------------------------------------------------------


@pytest.mark.parametrize("diverging", [False, True])
def test_the_history_survives_json(diverging):
    loss = after(7 if diverging else 10**9, lambda values: values * math.nan)
    _, history = train_line(Training(epochs=3, batch_size=100), loss=loss)
    assert History.from_config(json.loads(json.dumps(history.to_config()))) == history


def test_no_progress_prints_nothing(capsys):
    train_line(Training(epochs=2))
    assert capsys.readouterr() == ("", "")


def test_progress_is_shown_and_goes_away(capsys):
    line = Line()
    settings = Training(epochs=4, batch_size=50)
    fit(line, line.loss, line_data(200), line_data(50), settings, seed=0, progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "training:   0%" in printed.err
    assert printed.err.endswith(" \r")  # the line is wiped
    assert "validation loss" in printed.err
