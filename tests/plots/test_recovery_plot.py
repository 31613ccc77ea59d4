"""Recovery and contraction: what is drawn where, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.recovery import plot_contraction, plot_recovery

LABELS = ("drift rate of the diffusion", "boundary separation", "non-decision time", "bias")
UNITS = ("mm/s", "mm", "s", "")


def columns_of(d):
    names = [*LABELS, *(f"theta[{i}]" for i in range(d))][:d]
    units = [*UNITS, *[""] * d][:d]
    return [
        Column(name, name, label=name, units=unit, prior_width95=1.0)
        for name, unit in zip(names, units, strict=True)
    ]


def recovery(d, n=40, scale=1.0, **change):
    truth = scale * np.random.default_rng(0).normal(size=(n, d))
    arguments = {
        "truth": truth,
        "estimate": 0.8 * truth,
        "low": 0.8 * truth - 0.5 * scale,
        "high": 0.8 * truth + 0.4 * scale,
        "columns": columns_of(d),
        "r_squared": np.linspace(0, 0.99, d),
        "nrmse": np.linspace(1, 0.1, d),
        "width_mm": 180,
    }
    return plot_recovery(**{**arguments, **change})


def points_of(ax):
    (points,) = (line for line in ax.lines if line.get_marker() == "o")
    return points.get_xydata()


def bars_of(ax):
    return np.array(ax.collections[0].get_segments())


def test_truth_across_median_up_and_bars():
    ax = recovery(1).axes[0]
    x, y = points_of(ax).T
    np.testing.assert_allclose(y, 0.8 * x)
    np.testing.assert_allclose(bars_of(ax)[:, 0], np.stack([x, y - 0.5], 1))
    np.testing.assert_allclose(bars_of(ax)[:, 1], np.stack([x, y + 0.4], 1))
    identity = ax.lines[0].get_xydata()
    np.testing.assert_array_equal(identity[:, 0], identity[:, 1])
    assert ax.get_xlim() == ax.get_ylim() == tuple(identity[:, 0])
    assert ax.get_xlim()[0] < x.min() < x.max() < ax.get_xlim()[1]


@pytest.mark.slow
def test_labels_have_units_and_scores_are_written():
    figure = recovery(2)
    assert [ax.get_xlabel().replace("\n", " ") for ax in figure.axes] == [
        "true drift rate of the diffusion [mm/s]",
        "true boundary separation [mm]",
    ]
    assert figure.axes[0].get_ylabel() == "posterior median and\n68 % interval"
    assert figure.axes[1].get_ylabel() == ""
    assert figure.axes[1].get_title() == "R² = 0.99, NRMSE = 0.10"
    narrow = recovery(12, width_mm=85, r_squared=np.ones(12), nrmse=np.zeros(12))
    assert narrow.axes[1].get_title() == "R² = 1.00\nNRMSE = 0.00"


def test_both_axes_have_the_same_numbers():
    for d in (1, 2, 5):
        for ax in recovery(d).axes:
            x, y = (axis.get_ticklocs().tolist() for axis in (ax.xaxis, ax.yaxis))
            assert len(x) >= 2
            assert x == y
            texts = [[t.get_text() for t in axis.get_ticklabels()] for axis in (ax.xaxis, ax.yaxis)]
            assert texts[0] == texts[1]


def test_at_most_150_observations_from_all_over_the_rows():
    truth = np.arange(1_000.0)[:, None]
    x = points_of(recovery(1, **dict.fromkeys(("truth", "estimate", "low", "high"), truth)).axes[0])
    assert len(x) == 150
    assert x[0, 0] == 0
    assert x[-1, 0] == 999
    assert np.diff(x[:, 0]).max() <= 7


@pytest.mark.slow
def test_of_more_than_twenty_parameters_the_worst_in_their_own_order():
    r_squared = np.ones(23)
    r_squared[[22, 4]] = 0.1, 0.2
    figure = recovery(23, r_squared=r_squared)
    assert len(figure.axes) == 20
    assert figure.axes[4].get_xlabel() == "true theta[0]"
    assert figure.axes[-1].get_xlabel() == "true theta[18]"  # the last of 23
    assert figure.get_suptitle() == "the 20 of 23 parameters with the lowest R²"
    assert recovery(20).get_suptitle() == ""
    narrow = recovery(20, width_mm=85)
    assert len(narrow.axes) == 15
    assert narrow.get_suptitle() == "the 15 of 20 parameters with the lowest R²"


def test_one_wild_value_does_not_set_the_axes():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(140, 1))
    truth[7] = 1e6
    wild = dict.fromkeys(("truth", "estimate", "low", "high"), truth)
    low, high = recovery(1, **wild).axes[0].get_xlim()
    assert -10 < low < -2
    assert 2 < high < 10


def test_a_constant_parameter_has_axes_around_it():
    same = dict.fromkeys(("truth", "estimate", "low", "high"), np.full((20, 1), 5.0))
    low, high = recovery(1, **same).axes[0].get_xlim()
    assert low < 5 < high


@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("d", [1, 4, 12, pytest.param(15, marks=pytest.mark.slow), 20])
def test_panels_are_square_and_nothing_leaves_the_page(width_mm, d):
    figure = recovery(d, width_mm=width_mm, scale=1e-4)
    assert len(figure.axes) == (15 if (d, width_mm) == (20, 85) else d)
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    assert 25.4 * height <= 280
    panels = [ax.get_window_extent() for ax in figure.axes]
    sides = np.array([[panel.width, panel.height] for panel in panels]) / figure.dpi * 25.4
    np.testing.assert_allclose(sides, sides[0, 0], rtol=0.02)
    assert sides[0, 0] > 20
    titles = [ax.title.get_window_extent() for ax in figure.axes]
    neighbours = zip(titles, titles[1:], strict=False)
    assert all(one.x1 < other.x0 for one, other in neighbours if one.y0 == other.y0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": np.zeros((40, 3))}, r"\(n, 2\).*got \[\(40, 2\), \(40, 2\), \(40, 3\)"),
        ({"columns": columns_of(3)}, r"\(n, 3\)"),
        ({"r_squared": [0.5]}, r"\(2,\).*\(1,\)"),
        ({"high": np.full((40, 2), np.inf)}, "finite; got 80"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    with pytest.raises(ShapeError, match=message):
        recovery(2, **change)


@pytest.mark.parametrize("shape", [(0, 2), (40, 0), (2,)])
def test_nothing_to_show(shape):
    with pytest.raises(ShapeError, match="not empty"):
        plot_contraction(np.zeros(shape), np.zeros(shape), ["a", "b"][: shape[-1]])


def contraction(d, width_mm=180, n=400):
    rng = np.random.default_rng(2)
    names = [column.name for column in columns_of(d)]
    return plot_contraction(
        rng.normal(size=(n, d)), rng.uniform(0.5, 1, (n, d)), names, width_mm=width_mm
    )


def test_points_and_means_of_contraction_and_z_score():
    z, gain = np.array([[-1.0], [1.0], [3.0]]), np.array([[0.2], [0.4], [0.9]])
    ax = plot_contraction(z, gain, ["elbow"]).axes[0]
    points, mean = (line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_xydata(), np.hstack([gain, z]))
    np.testing.assert_allclose(mean.get_xydata(), [[0.5, 1.0]])
    assert ax.get_xlabel() == "contraction: 1 − posterior variance / prior variance"
    assert ax.get_ylabel() == "posterior mean − truth [posterior sd]"
    levels = {line.get_ydata()[0] for line in ax.lines if line.get_marker() == "None"}
    assert levels == {-2, 0, 2}


def test_what_lies_off_the_axes_is_drawn_at_their_edge():
    ax = plot_contraction([[100.0], [0.0]], [[-9.0], [0.5]], ["elbow"]).axes[0]
    points = next(line for line in ax.lines if line.get_marker() == "o").get_xydata()
    np.testing.assert_array_equal(points[0], [-0.5, 6.0])
    assert ax.get_xlim()[0] < -0.5
    assert 6 < ax.get_ylim()[1] < 7


def test_parameters_differ_in_colour_or_marker_and_have_at_most_300_points():
    figure = contraction(12)
    means = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert len({(line.get_color(), line.get_marker()) for line in means}) == 12
    assert [line.get_label() for line in means] == [column.name for column in columns_of(12)]
    assert max(len(line.get_xdata()) for line in figure.axes[0].lines) == 300


@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("d", [1, 4, 12])
def test_contraction_stays_on_the_page(width_mm, d):
    figure = contraction(d, width_mm)
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
