"""Learning curve and plan: scales, ticks, bands, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.curves import plot_learning_curve, plot_plan

N = np.array([1_250, 2_500, 5_000, 10_000])
GRID = np.geomspace(1_250, 40_000, 50)
AHEAD = np.array([20_000, 40_000])
LABELS = ("drift rate of the diffusion", "boundary separation", "non-decision time", "bias")
UNITS = ("mm/s", "mm", "s", "")


def law(n):
    return 3 - 20 * n**-0.5


def learning_curve(**change):
    arguments = {
        "n": N,
        "score": law(N),
        "error": np.full(4, 0.02),
        "fitted": (GRID, law(GRID)),
        "predicted": (AHEAD, law(AHEAD), law(AHEAD) - 0.1, law(AHEAD) + 0.2),
        "width_mm": 85,
    }
    return plot_learning_curve(**{**arguments, **change})


def columns_of(d):
    names = [*LABELS, *(f"theta[{i}]" for i in range(d))][:d]
    units = [*UNITS, *[""] * d][:d]
    return [
        Column(name, name, label=name, units=unit, prior_width95=1.0)
        for name, unit in zip(names, units, strict=True)
    ]


def plan(values, d=1, scale=1.0, **change):
    width = scale * np.outer(np.asarray(values, dtype=float) ** -0.5, np.ones(d))
    arguments = {
        "values": values,
        "width": width,
        "low": 0.7 * width,
        "high": 1.5 * width,
        "columns": columns_of(d),
        "given": "n_trials",
        "width_mm": 180,
    }
    return plot_plan(**{**arguments, **change})


def tick_texts(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def test_measured_points_fitted_curve_and_open_predictions():
    (ax,) = learning_curve().axes
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "number of simulations"
    assert ax.get_ylabel().replace("\n", " ") == "held-out log-likelihood [nats per observation]"
    points = [line for line in ax.lines if line.get_marker() == "o"]
    measured = next(line for line in points if len(line.get_xdata()) == 4)
    predicted = next(line for line in points if len(line.get_xdata()) == 2)
    np.testing.assert_allclose(measured.get_xydata(), np.stack([N, law(N)], 1))
    np.testing.assert_allclose(predicted.get_xydata(), np.stack([AHEAD, law(AHEAD)], 1))
    assert predicted.get_markerfacecolor() == "white"
    assert measured.get_markerfacecolor() != "white"
    (curve,) = (line for line in ax.lines if len(line.get_xdata()) == len(GRID))
    np.testing.assert_allclose(curve.get_ydata(), law(GRID))


def test_what_the_scores_are_can_be_said():
    (ax,) = learning_curve(quantity="information gained").axes
    assert ax.get_ylabel() == "information gained\n[nats per observation]"


def test_bars_and_intervals():
    (ax,) = learning_curve().axes
    segments = {
        len(one.get_segments()): np.array(one.get_segments())
        for one in ax.collections
        if isinstance(one, LineCollection)
    }
    np.testing.assert_allclose(segments[4][:, :, 1], law(N)[:, None] + [-0.02, 0.02])
    np.testing.assert_allclose(segments[2][:, :, 1], law(AHEAD)[:, None] + [-0.1, 0.2])


def test_ticks_are_the_numbers_of_simulations():
    (ax,) = learning_curve(width_mm=180).axes
    assert sorted(ax.get_xticks()) == [*N, *AHEAD]
    assert "40,000" in tick_texts(ax)


def test_without_predictions_or_fit():
    none = [[]] * 4
    figure = learning_curve(fitted=([], []), predicted=none)
    assert "predicted" not in [text.get_text() for text in figure.legends[0].get_texts()]
    low, high = figure.axes[0].get_xlim()
    assert low < N[0]
    assert N[-1] < high < AHEAD[0]


@pytest.mark.parametrize("width_mm", [85, 180])
def test_learning_curve_stays_on_the_page_and_ticks_do_not_touch(width_mm):
    many = np.round(np.geomspace(100, 100_000, 16))
    figure = learning_curve(n=many, score=law(many), error=many * 0, width_mm=width_mm)
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    labels = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    boxes = sorted(labels, key=lambda one: one.x0)
    assert len(boxes) >= 4
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": [0.1]}, r"n, score and error.*\(4,\), \(4,\), \(1,\)"),
        ({"fitted": ([1.0], [])}, r"fitted.*\(1,\), \(0,\)"),
        ({"predicted": (AHEAD, law(AHEAD), law(AHEAD), [1.0])}, "predicted"),
        ({"score": [np.nan] * 4}, "n, score and error must be finite"),
        ({"n": [0, 1, 2, 3]}, "positive; got 0"),
        ({"n": [], "score": [], "error": []}, "k >= 1"),
    ],
)
def test_learning_curves_that_do_not_fit(change, message):
    with pytest.raises(ShapeError, match=message):
        learning_curve(**change)


@pytest.mark.parametrize(("values", "scale"), [([80, 200, 900], "log"), ([80, 200, 600], "linear")])
def test_plan_is_logarithmic_where_values_span_more_than_a_factor_of_eight(values, scale):
    (ax,) = plan(values).axes
    assert ax.get_xscale() == scale
    assert sorted(ax.get_xticks()) == values
    assert ax.get_ylim()[0] == ax.get_yticks()[0] == 0
    assert ax.get_yticklabels()[0].get_text() == "0"


@pytest.mark.parametrize("values", [[0, 80, 900], [-5, 1, 50]])
def test_values_that_have_no_logarithm_stay_linear(values):
    width = np.ones((3, 1))
    (ax,) = plot_plan(values, width, width, width, columns_of(1), "shift").axes
    assert ax.get_xscale() == "linear"


def test_plan_shows_width_and_band_in_the_order_of_the_values():
    (ax,) = plan([900, 80, 200]).axes
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), [[v, v**-0.5] for v in (80, 200, 900)])
    (band,) = ax.collections
    vertices = band.get_paths()[0].vertices
    for v in (80, 200, 900):
        edges = vertices[vertices[:, 0] == v, 1]
        assert edges.min() == pytest.approx(0.7 * v**-0.5)
        assert edges.max() == pytest.approx(1.5 * v**-0.5)
    assert ax.get_ylim()[1] > 1.5 * 80**-0.5


def test_plan_labels_have_units_and_powers():
    figure = plan([80, 200, 900], d=4, scale=1e-4)
    first, second, _, last = figure.axes
    assert first.get_title().replace("\n", " ") == "drift rate of the diffusion"
    assert first.get_ylabel().replace("\n", " ") == "95 % width [$10^{-5}$ mm/s]"
    assert last.get_ylabel().replace("\n", " ") == "95 % width [$10^{-5}$]"
    assert second.get_xlabel() == "n_trials"
    narrow = plan([80, 200, 900], d=4, width_mm=85).axes
    assert [ax.get_xlabel() for ax in narrow] == ["", "", "n_trials", "n_trials"]


@pytest.mark.parametrize(("level", "percent"), [(0.95, "95 %"), (0.68, "68 %"), (0.995, "99.5 %")])
def test_plan_labels_say_which_interval(level, percent):
    figure = plan([80, 200, 900], level=level)
    assert figure.axes[0].get_ylabel().startswith(f"{percent} width")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"expected width of the {percent} interval" in texts


def test_a_single_value():
    (ax,) = plan([200]).axes
    low, high = ax.get_xlim()
    assert low < 200 < high
    assert tick_texts(ax) == ["200"]


@pytest.mark.slow
@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("d", [1, 4, 12])
def test_plan_panels_are_equal_and_nothing_leaves_the_page(width_mm, d):
    figure = plan([80, 200, 900], d=d, width_mm=width_mm, scale=1e4)
    assert len(figure.axes) == d
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    panels = [ax.get_window_extent() for ax in figure.axes]
    sizes = np.array([[panel.width, panel.height] for panel in panels]) / figure.dpi * 25.4
    np.testing.assert_allclose(sizes, np.tile(sizes[0], (d, 1)), rtol=0.02)
    assert sizes[0, 1] == pytest.approx(0.75 * sizes[0, 0], rel=0.02)
    assert sizes[0, 0] > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": np.ones((2, 1))}, r"\(v, 1\).*\(2, 1\)"),
        ({"columns": columns_of(2)}, r"\(v, 2\)"),
        ({"high": np.full((3, 1), np.inf)}, "must be finite"),
    ],
)
def test_plans_that_do_not_fit(change, message):
    with pytest.raises(ShapeError, match=message):
        plan([80, 200, 900], **change)
