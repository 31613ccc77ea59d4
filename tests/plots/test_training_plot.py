"""The training plot."""

from __future__ import annotations

import numpy as np
import pytest

from sbi_inn.errors import ShapeError
from sbi_inn.plots.training import plot_training


@pytest.fixture
def history():
    epoch = np.arange(1, 51)
    loss = 1e6 * np.exp(-10.0 * epoch) + 1 / epoch
    return {
        "epoch": epoch,
        "train_loss": loss,
        "validation_loss": loss + 0.1,
        "best_epoch": 40,
        "quantity": "negative log-likelihood [nats]",
    }


def marked(figure):
    (point,) = (line for line in figure.axes[0].lines if line.get_marker() == "o")
    return point.get_xydata()[0]


def test_losses_and_the_weights_kept(history):
    figure = plot_training(history)
    np.testing.assert_allclose(marked(figure), [40, 1 / 40 + 0.1], rtol=1e-6)
    assert figure.axes[0].get_xlabel() == "epoch"
    assert figure.axes[0].get_ylabel() == "negative log-likelihood [nats]"
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), history["train_loss"])


def test_other_networks_of_an_ensemble_are_pale(history):
    other = {**history, "validation_loss": history["validation_loss"] + 0.3}
    alone, figure = plot_training(history), plot_training(history, others=[other])
    pale = [line for line in figure.axes[0].lines if (line.get_alpha() or 1) < 1]
    assert len(figure.axes[0].lines) == len(alone.axes[0].lines) + 1
    np.testing.assert_array_equal(pale[0].get_ydata(), other["validation_loss"])
    assert figure.axes[0].get_ylim() == alone.axes[0].get_ylim()


def test_losses_of_unknown_quantity(history):
    del history["quantity"]
    assert plot_training(history).axes[0].get_ylabel() == "loss"


def test_a_huge_first_loss_does_not_flatten_the_rest(history):
    low, high = plot_training(history).axes[0].get_ylim()
    assert low < 1 / 50
    assert high < 1


def test_best_epoch_is_a_position_where_there_are_only_steps(history):
    history["step"] = 100 * history.pop("epoch")
    figure = plot_training(history)
    assert marked(figure)[0] == 4_100
    assert figure.axes[0].get_xlabel() == "step"


def test_losses_that_turned_nan_are_left_out_of_the_limits(history):
    history["train_loss"][-3:] = np.nan
    assert np.all(np.isfinite(plot_training(history).axes[0].get_ylim()))


def test_one_epoch():
    history = {"epoch": [0], "train_loss": [1.0], "validation_loss": [1.0], "best_epoch": 0}
    np.testing.assert_array_equal(marked(plot_training(history)), [0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_loss": [1.0]}, r"\(50,\), \(1,\), \(50,\)"),
        ({"best_epoch": 51}, "1 to 50; got 51"),
        ({"epoch": [], "train_loss": [], "validation_loss": []}, "n > 0"),
    ],
)
def test_histories_that_do_not_fit(history, change, message):
    with pytest.raises(ShapeError, match=message):
        plot_training({**history, **change})


def test_a_missing_entry_is_named(history):
    del history["validation_loss"]
    with pytest.raises(ShapeError, match=r"lacks \['validation_loss'\]"):
        plot_training(history)
