"""The posterior predictive plot: scales, bars, flags, and what is far away."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Annotation

from sbi_inn.errors import ShapeError
from sbi_inn.plots.predictive import p_text, plot_predictive
from sbi_inn.plots.style import COLOURS

NORMAL = np.random.default_rng(0).normal(size=(2_000, 3))
NAMES = ("across", "up", "spread")


def markers_of(figure):
    return [line for line in figure.axes[0].lines if line.get_marker() == "D"]


def arrows_of(figure):
    return [text for text in figure.axes[0].texts if isinstance(text, Annotation)]


def p_texts_of(figure):
    return [t for t in figure.axes[0].texts if not isinstance(t, Annotation)]


def row_names(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_values_are_in_sd_of_the_resimulations_from_their_median():
    again = 7 + 3 * NORMAL
    figure = plot_predictive(again, [7.0, 10.0, 1.0], NAMES, [0.9, 0.3, 0.05])
    found = [float(line.get_xdata()[0]) for line in markers_of(figure)]
    # The median of 2,000 has a standard error of .03.
    np.testing.assert_allclose(found, [-2, 1, 0], rtol=0, atol=0.12)
    assert row_names(figure) == ["spread", "up", "across"]  # the smallest p first
    assert [text.get_text() for text in p_texts_of(figure)] == ["p = 0.05", "p = 0.3", "p = 0.9"]
    heights = [line.get_ydata()[0] for line in markers_of(figure)]
    bottom, top = figure.axes[0].get_ylim()
    assert bottom > heights[2] > heights[1] > heights[0] > top  # downwards


def test_bars_hold_95_and_50_percent():
    figure = plot_predictive(NORMAL, np.zeros(3), NAMES, np.ones(3))
    outer, inner = figure.axes[0].containers
    for bars, half in ((outer, 1.960), (inner, 0.674)):
        ends = np.array([[bar.get_x(), bar.get_x() + bar.get_width()] for bar in bars])
        # The quantiles of 2,000 have standard errors of at most .06.
        np.testing.assert_allclose(ends, np.tile([-half, half], (3, 1)), rtol=0, atol=0.2)


def test_small_p_values_are_coloured_and_named_in_the_legend():
    figure = plot_predictive(NORMAL, [0.0, 3.0, 0.0], NAMES, [0.5, 0.002, 0.01])
    assert [line.get_color() for line in markers_of(figure)] == [COLOURS[1], "black", "black"]
    assert [t.get_color() for t in p_texts_of(figure)] == [COLOURS[1], "black", "black"]
    (legend,) = figure.legends
    assert legend.get_texts()[-1].get_text() == "observed, p < 0.01"
    calm = plot_predictive(NORMAL, np.zeros(3), NAMES, np.ones(3))
    assert [t.get_text() for t in calm.legends[0].get_texts()][-1] == "observed"


@pytest.mark.parametrize("far", [-40.0, 40.0])
def test_far_away_is_an_arrow_at_the_edge_with_its_number(far):
    figure = plot_predictive(NORMAL, [0.0, far, 0.0], NAMES, [0.5, 0.0001, 0.6])
    (arrow,) = arrows_of(figure)
    number = float(arrow.get_text().replace("−", "-"))
    assert number == pytest.approx(far, rel=0.06)
    assert arrow.xy[0] in figure.axes[0].get_xlim()
    assert np.sign(arrow.xy[0]) == np.sign(far)
    assert arrow.get_color() == COLOURS[1]
    assert len(markers_of(figure)) == 2
    assert figure.axes[0].get_xlim()[1] < 12


def test_where_all_resimulations_agree():
    again = NORMAL.copy()
    again[:, 1:] = 3.0
    figure = plot_predictive(again, [0.0, 3.0, 4.0], NAMES, [0.5, 0.6, 0.01])
    (arrow,) = arrows_of(figure)
    assert arrow.get_text() == "∞"
    assert row_names(figure) == ["spread", "across", "up"]
    assert markers_of(figure)[1].get_xdata()[0] == 0


def test_the_twelve_smallest_p_values_are_shown():
    p_values = np.linspace(1, 0.05, 20)
    names = [f"y[{i}]" for i in range(20)]
    figure = plot_predictive(
        np.random.default_rng(1).normal(size=(50, 20)), p_values, names, p_values
    )
    assert row_names(figure) == [f"y[{i}]" for i in range(19, 7, -1)]


def test_failed_resimulations_and_missing_values_are_left_out():
    again = np.concatenate([NORMAL, np.full((500, 3), np.nan)])
    figure = plot_predictive(again, [0.0, np.nan, 1.0], NAMES, [0.5, np.nan, 0.6])
    assert row_names(figure) == ["across", "spread"]
    (same,) = (plot_predictive(NORMAL[:, :1], [0.0], ["across"], [0.5]),)
    assert markers_of(figure)[0].get_xdata()[0] == markers_of(same)[0].get_xdata()[0]


@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("k", [1, 4, 12])
def test_nothing_leaves_the_page_and_names_do_not_touch(width_mm, k):
    rng = np.random.default_rng(2)
    names = [f"kurtosis of the glenohumeral abduction angle {i}" for i in range(k)]
    observed = rng.normal(size=k)
    observed[-1] = 12_345
    figure = plot_predictive(
        rng.normal(size=(300, k)), observed, names, np.full(k, 1e-5), width_mm=width_mm
    )
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(a.y0 > b.y1 for a, b in zip(boxes, boxes[1:], strict=False))


def test_p_values_in_words():
    assert [p_text(p) for p in (0.5, 0.0123, 0.001, 0.0)] == [
        "p = 0.5",
        "p = 0.012",
        "p = 0.001",
        "p < 0.001",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observed": [0.0, 1.0]}, r"\(m, 3\).*got \(2000, 3\), \(2,\), \(3,\)"),
        ({"names": ["a"]}, r"\(m, 1\)"),
        ({"again": NORMAL[:, 0]}, r"got \(2000,\)"),
        ({"again": np.where(NORMAL > 9, NORMAL, np.nan)}, "got 0 of 2000 and 3 of 3"),
        ({"observed": [np.nan] * 3}, "got 2000 of 2000 and 0 of 3"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    arguments = {"again": NORMAL, "observed": np.zeros(3), "names": NAMES, "p_values": np.ones(3)}
    with pytest.raises(ShapeError, match=message):
        plot_predictive(**{**arguments, **change})
