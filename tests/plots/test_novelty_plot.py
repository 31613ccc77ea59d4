"""The novelty plot: lines or a histogram, tails, colours."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Rectangle, StepPatch

from sbi_inn.errors import ShapeError
from sbi_inn.plots.novelty import plot_novelty
from sbi_inn.plots.style import COLOURS

USUAL = np.random.default_rng(0).normal(size=2_000)


def legend_texts(figure):
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [text.replace("\u00a0", " ") for text in texts]


def outlines_of(figure):
    return [p for p in figure.axes[0].patches if isinstance(p, StepPatch) and not p.get_fill()]


@pytest.mark.parametrize(("p", "colour"), [(0.4, COLOURS[0]), (0.009, COLOURS[1])])
def test_one_observation_is_a_line_coloured_by_its_p_value(p, colour):
    figure = plot_novelty(USUAL, [1.5], [p])
    (line,) = figure.axes[0].lines
    assert line.get_xdata()[0] == 1.5
    assert line.get_color() == colour
    assert legend_texts(figure) == [
        "2,000 held-out simulations",
        "p < 0.01",
        f"this observation, p = {p:g}",
    ]


def test_shaded_tails_hold_one_percent_of_the_simulations():
    figure = plot_novelty(USUAL, [0.0], [1.0])
    left, right = (p for p in figure.axes[0].patches if isinstance(p, Rectangle))
    low, high = left.get_x() + left.get_width(), right.get_x()
    assert np.mean(USUAL < low) == pytest.approx(0.005, abs=0.0005)
    assert np.mean(USUAL > high) == pytest.approx(0.005, abs=0.0005)
    limits = figure.axes[0].get_xlim()
    assert left.get_x() == pytest.approx(limits[0])
    assert right.get_x() + right.get_width() == pytest.approx(limits[1])


def test_one_tail_is_shaded_where_low_scores_are_as_they_should_be():
    figure = plot_novelty(USUAL, [0.0], [1.0], two_tailed=False)
    (upper,) = (p for p in figure.axes[0].patches if isinstance(p, Rectangle))
    assert np.mean(USUAL > upper.get_x()) == pytest.approx(0.01, abs=0.0005)


def test_what_is_compared_can_be_named():
    names = {"usual_name": "sets of 30 simulations", "here_name": "these 30 observations"}
    texts = legend_texts(plot_novelty(USUAL, [0.0], [0.5], **names))
    assert texts[0] == "2,000 sets of 30 simulations"
    assert texts[-1] == "these 30 observations, p = 0.5"


def test_a_few_observations_are_told_apart():
    figure = plot_novelty(USUAL, [0.0, 5.0, 1.0, -1.0, 2.0], [0.9, 1e-6, 0.3, 0.3, 0.05])
    lines = figure.axes[0].lines
    assert len({str(line.get_linestyle()) for line in lines}) >= 4
    assert [line.get_color() for line in lines].count(COLOURS[1]) == 1
    assert legend_texts(figure)[3] == "observation 2, p < 0.001"


def test_many_observations_are_a_second_density():
    here = np.random.default_rng(1).normal(3, 0.5, size=300)
    figure = plot_novelty(USUAL, here, np.where(np.arange(300) < 30, 0.001, 0.5))
    assert len(figure.axes[0].lines) == 0
    _, second = outlines_of(figure)
    values, edges, _ = second.get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1, abs=0.01)
    assert edges[np.argmax(values)] == pytest.approx(3, abs=0.5)
    assert legend_texts(figure)[-1] == "300 observations, 10 % of them with p < 0.01"
    assert figure.axes[0].get_ylim()[1] > values.max()


def test_the_axis_shows_an_observation_far_away():
    low, high = plot_novelty(USUAL, [50.0], [1e-9]).axes[0].get_xlim()
    assert low < USUAL.min()
    assert 50 < high < 60


def test_scores_that_are_all_the_same():
    figure = plot_novelty(np.zeros(50), [0.0], [1.0])
    low, high = figure.axes[0].get_xlim()
    assert low < 0 < high


@pytest.mark.slow
@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("m", [1, 5, 200])
def test_nothing_leaves_the_page(width_mm, m):
    here = np.random.default_rng(2).normal(size=m)
    figure = plot_novelty(
        USUAL,
        here,
        np.full(m, 0.5),
        label="log distance of the learned summaries of the observation to the nearest simulations",
        width_mm=width_mm,
    )
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    assert figure.axes[0].get_xlabel().replace("\n", " ").endswith("the nearest simulations")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"usual": USUAL[:, None]}, r"got \(2000, 1\), \(1,\), \(1,\)"),
        ({"p_values": [0.1, 0.2]}, r"got \(2000,\), \(1,\), \(2,\)"),
        ({"here": [], "p_values": []}, "m > 0"),
        ({"usual": np.array([0.0, -np.inf])}, "usual must be finite; got 1"),
        ({"here": [np.nan]}, "here must be finite; got 1"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    with pytest.raises(ShapeError, match=message):
        plot_novelty(**{"usual": USUAL, "here": [0.0], "p_values": [0.5], **change})
