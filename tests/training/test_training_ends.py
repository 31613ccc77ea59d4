"""The end of training: whatever ended it, the best weights are kept."""

import math

import numpy as np
import pytest
import torch
from lines import Line, after, line_data, train_line, validated, weights
from torch import nn

from sbi_inn.training.loop import Training, fit


def overfit(settings):
    """Fit 15 weights to 20 noisy rows, which many passes learn by heart."""
    generator = torch.Generator().manual_seed(0)
    truth = 0.3 * torch.randn(15, generator=generator)
    x = torch.randn(220, 15, generator=generator)
    y = x @ truth + torch.randn(220, generator=generator)
    rows = torch.cat([x, y[:, None]], dim=1)
    net = nn.Linear(15, 1)
    nn.init.zeros_(net.weight)

    def loss(rows):
        return (net(rows[:, :15])[:, 0] - rows[:, 15]).square()

    history = fit(net, loss, rows[:20], rows[20:], settings, seed=0, progress=False)
    with torch.no_grad():
        return history, loss(rows[20:]).double().mean().item()


def test_early_stopping_keeps_the_best_weights():
    settings = Training(epochs=2000, learning_rate=0.01, patience=5)
    history, final = overfit(settings)
    best = min(history.validation_loss)
    assert history.stopped == "early"
    assert history.steps < 2000
    assert history.validation_loss[-1] > best + 0.01
    assert final == pytest.approx(best, rel=1e-5)
    # Five validations without a better loss, then a tenth of the steps so far.
    tired = history.epoch.index(history.best_epoch) + 5
    assert history.steps == math.ceil(1.1 * history.epoch[tired])


def test_the_best_weights_are_kept_without_early_stopping_too():
    history, final = overfit(Training(epochs=2000, learning_rate=0.01, early_stopping=False))
    assert history.stopped == "finished"
    assert history.steps == 2000
    assert history.validation_loss[-1] > min(history.validation_loss) + 0.1
    assert final == pytest.approx(min(history.validation_loss), rel=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_diverges_ends_the_run_with_the_best_weights(value):
    settings = Training(epochs=20, batch_size=100, learning_rate=0.1)
    line, history = train_line(settings, loss=after(23, lambda values: values * value))
    assert history.stopped == "diverged"
    assert history.steps == 23
    assert len(history.epoch) == 4
    assert weights(line).isfinite().all()
    assert validated(line) == pytest.approx(min(history.validation_loss), abs=1e-6)


@pytest.mark.parametrize("step", [0, 3])
def test_a_loss_that_diverges_before_the_first_validation(step):
    settings = Training(epochs=20, batch_size=100, learning_rate=0.1)
    line, history = train_line(settings, loss=after(step, lambda values: values * math.nan))
    assert history.stopped == "diverged"
    assert history.steps == step
    assert history.epoch == (step / 5,) == (history.best_epoch,)
    assert history.validation_loss == pytest.approx([validated(line)])
    assert weights(line).isfinite().all()
    assert weights(line).any() == (step > 0)


def test_a_gradient_that_diverges_never_reaches_the_weights():
    # The square root of zero: a finite loss whose slope is infinite.
    line, history = train_line(loss=after(0, lambda v: v.detach() + (v - v.detach()).sqrt()))
    assert history.stopped == "diverged"
    assert not weights(line).any()


def stop(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", [0, 3, 23])
def test_an_interruption_keeps_the_best_weights(step):
    settings = Training(epochs=20, batch_size=100, learning_rate=0.1)
    line, history = train_line(settings, loss=after(step, stop))
    assert history.stopped == "interrupted"
    assert history.steps == step
    assert len(history.epoch) == max(1, step // 5)
    assert not line.training
    assert weights(line).any() == (step > 0)
    assert validated(line) == pytest.approx(min(history.validation_loss), abs=1e-6)


@pytest.mark.parametrize("which", [1, 3])
def test_an_interruption_during_validation(which):
    def make(line):
        validations = 0

        def loss(rows):
            nonlocal validations
            validations += not line.training
            if validations == which and not line.training:
                raise KeyboardInterrupt
            return line.loss(rows)

        return loss

    settings = Training(epochs=20, batch_size=100, learning_rate=0.1)
    line, history = train_line(settings, loss=make)
    assert history.stopped == "interrupted"
    assert len(history.epoch) == max(1, which - 1)
    assert validated(line) == pytest.approx(min(history.validation_loss), abs=1e-6)


def test_validation_rows_without_a_finite_loss():
    line = Line()
    rows = torch.full((10, 2), math.nan)
    settings = Training(epochs=30, batch_size=100, learning_rate=0.1, patience=4)
    history = fit(line, line.loss, line_data(500), rows, settings, seed=0, progress=False)
    assert history.stopped == "early"
    # Four validations after the first, then a tenth of the steps so far.
    begun = round(5 * history.epoch[4])  # five steps an epoch
    assert history.steps == begun + math.ceil(begun / 10)
    assert np.isnan(history.validation_loss).all()
    assert weights(line).isfinite().all()
    assert weights(line).any()


def test_other_errors_pass():
    def fail(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train_line(loss=after(2, fail))
