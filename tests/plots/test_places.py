"""Figures drawn into a Figure, a SubFigure or the Axes that a user brought."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from sbi_inn.draws import Column, make_draws
from sbi_inn.plots.calibration import plot_calibration
from sbi_inn.plots.corner import corner
from sbi_inn.plots.curves import plot_learning_curve, plot_plan
from sbi_inn.plots.forecast import plot_forecast
from sbi_inn.plots.latent import plot_latent
from sbi_inn.plots.novelty import plot_novelty
from sbi_inn.plots.predictive import plot_predictive
from sbi_inn.plots.ranks import plot_ranks
from sbi_inn.plots.recovery import plot_contraction, plot_recovery
from sbi_inn.plots.resimulation import plot_errors
from sbi_inn.plots.training import plot_training

U = np.random.default_rng(0).random((200, 2))
COLUMNS = [Column(name, name, name, "rad", 1.0) for name in ("elbow", "wrist")]
NAMES = ["elbow", "wrist"]
HISTORY = {"epoch": [0, 1], "train_loss": [3, 2], "validation_loss": [3, 2], "best_epoch": 1}

SINGLE = {
    "contraction": lambda **place: plot_contraction(U, U, NAMES, **place),
    "errors": lambda **place: plot_errors(U[:, 0], **place),
    "forecast": lambda **place: plot_forecast(U, U[0, :1], **place),
    "learning": lambda **place: plot_learning_curve(
        [500, 1000], [0.8, 0.9], [0.1, 0.1], ([], []), ([], [], [], []), **place
    ),
    "novelty": lambda **place: plot_novelty(U[:, 0], [0.3], [0.8], **place),
    "predictive": lambda **place: plot_predictive(U, [0.1, 0.9], NAMES, [0.5, 0.9], **place),
    "ranks": lambda **place: plot_ranks(U, NAMES, **place),
    "training": lambda **place: plot_training(HISTORY, **place),
}
SEVERAL = {
    "calibration": lambda **place: plot_calibration(U, NAMES, **place),
    "corner": lambda **place: corner(
        make_draws({"elbow": U[:, 0], "wrist": U[:, 1]}), truth={"elbow": 0.5}, **place
    ),
    "latent": lambda **place: plot_latent([-1, 0, 1], np.ones((2, 3, 3)), COLUMNS, **place),
    "plan": lambda **place: plot_plan([80, 900], *np.ones((3, 2, 2)), COLUMNS, "n", **place),
    "recovery": lambda **place: plot_recovery(
        U, U, U - 0.1, U + 0.1, COLUMNS, r_squared=[1, 1], nrmse=[0, 0], **place
    ),
}


@pytest.fixture
def page():
    """Give a figure of two parts, as matplotlib users lay one out."""
    figure = plt.figure(figsize=(10, 5), layout="constrained")
    yield figure, *figure.subfigures(1, 2)
    plt.close(figure)


def inside(figure: Figure, part) -> bool:
    """Say whether all that is drawn in a part of a figure lies inside it, to a pixel."""
    figure.draw_without_rendering()
    boxes = [one.get_tightbbox() for one in (*part.axes, *part.legends)]
    low, high = part.bbox.get_points()
    return all(np.all(box.min >= low - 1) and np.all(box.max <= high + 1) for box in boxes)


@pytest.mark.slow
@pytest.mark.parametrize("plot", [*SINGLE.values(), *SEVERAL.values()], ids=[*SINGLE, *SEVERAL])
def test_a_part_of_a_figure_holds_it_all_and_the_rest_is_left_alone(plot, page):
    figure, left, right = page
    size, settings = figure.get_size_inches().tolist(), dict(matplotlib.rcParams)
    assert plot(fig=right) is right
    assert right.axes
    assert not left.axes
    assert inside(figure, right)
    assert figure.get_size_inches().tolist() == size
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.slow
@pytest.mark.parametrize("plot", SINGLE.values(), ids=SINGLE)
def test_axes_that_a_user_brought_keep_their_settings(plot):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    with matplotlib.rc_context({"legend.fontsize": 12}):
        assert plot(ax=right) is figure
    assert right.has_data()
    assert not left.has_data()
    assert len(figure.axes) == 2
    assert right.xaxis.label.get_fontsize() == left.xaxis.label.get_fontsize()
    assert not figure.legends
    for legend in filter(None, [right.get_legend()]):
        assert legend.get_texts()[0].get_fontsize() == 12
    figure.draw_without_rendering()
    plt.close(figure)


def test_a_figure_without_a_layout_gets_one():
    figure = Figure()
    assert corner(make_draws({"elbow": U[:, 0]}), fig=figure) is figure
    assert figure.get_layout_engine() is not None


@pytest.mark.parametrize("plot", [*SINGLE.values(), *SEVERAL.values()], ids=[*SINGLE, *SEVERAL])
def test_without_a_place_a_new_figure_of_this_width(plot):
    assert plot(width_mm=85).get_figwidth() == pytest.approx(85 / 25.4)


def test_one_place_is_enough():
    figure, ax = plt.subplots()
    with pytest.raises(TypeError, match="ax or fig"):
        plot_ranks(U, NAMES, ax=ax, fig=figure)
    plt.close(figure)
