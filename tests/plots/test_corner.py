"""The corner plot: what is drawn where, and the shapes that used to break such plots."""

from __future__ import annotations

from itertools import pairwise

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

from sbi_inn.draws import make_draws
from sbi_inn.errors import ShapeError
from sbi_inn.plots.corner import corner

LEVELS = ["39.3 % of draws", "86.5 % of draws"]


@pytest.fixture
def draws():
    rng = np.random.default_rng(0)
    return make_draws(
        {"elbow": rng.normal(1.0, 0.5, 5_000), "theta": rng.normal(size=(5_000, 2))},
        units={"elbow": "rad"},
        labels={"theta": r"$\theta$"},
    )


def panel(figure, row, col):
    """Return the axes in this row and column of the grid."""
    for ax in figure.axes:
        spec = ax.get_subplotspec()
        if (spec.rowspan.start, spec.colspan.start) == (row, col):
            return ax
    raise AssertionError(f"no panel at {row}, {col}")


def contour_lines(ax):
    return [one for one in ax.collections if isinstance(one, QuadContourSet) and not one.filled]


def step_lines(ax):
    return [one for one in ax.patches if isinstance(one, StepPatch) and not one.get_fill()]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_lower_triangle_with_labels_and_units(draws):
    figure = corner(draws)
    assert len(figure.axes) == 6
    assert panel(figure, 2, 0).get_xlabel() == "elbow [rad]"
    assert panel(figure, 2, 0).get_ylabel() == r"$\theta$[1]"
    assert not panel(figure, 1, 0).xaxis.label.get_visible() or not panel(figure, 1, 0).get_xlabel()
    assert figure.get_figwidth() == pytest.approx(180 / 25.4)
    assert legend_texts(figure) == LEVELS  # a single set needs no name
    assert legend_texts(corner(draws, names=["elbow"])) == []  # one parameter has no regions


@pytest.mark.parametrize("labels", [["speed", "weight"], {"x": "speed", "y": "weight"}])
def test_labels_of_one_figure(labels):
    rng = np.random.default_rng(1)
    both = make_draws({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    figure = corner(both, labels=labels)
    assert [ax.get_xlabel() for ax in figure.axes if ax.get_xlabel()] == ["speed", "weight"]
    assert "long_name" not in both["x"].attrs or both["x"].attrs["long_name"] == "x"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["speed"], "labels for x, y"),
        ("speed", "labels for x, y"),
        ({"z": "height"}, "some of x, y; got 'z'"),
    ],
)
def test_labels_have_to_fit_what_is_shown(labels, said):
    both = make_draws({"x": np.arange(60.0), "y": np.arange(60.0)})
    with pytest.raises(ShapeError, match=said):
        corner(both, labels=labels)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_contours_hold_their_mass(correlation):
    rng = np.random.default_rng(1)
    x, y = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 20_000).T
    draws = make_draws({"x": x, "y": 100 * y})
    (lines,) = contour_lines(panel(corner(draws, levels=[0.9, 0.5]), 1, 0))
    outer, inner = lines.get_paths()
    # Bins and the contours' interpolation blur the edge by less than 1 % of the mass.
    for path, mass in ((inner, 0.5), (outer, 0.9)):
        assert path.contains_points(np.stack([x, 100 * y], 1)).mean() == pytest.approx(
            mass, abs=0.01
        )


def test_regions_hold_one_and_two_sigma_by_default_or_what_is_asked():
    rng = np.random.default_rng(1)
    draws = make_draws({"x": rng.normal(size=20_000), "y": rng.normal(size=20_000)})
    (lines,) = contour_lines(panel(corner(draws), 1, 0))
    for path, sigma in zip(lines.get_paths(), (2, 1), strict=True):
        assert np.hypot(*path.vertices.T).mean() == pytest.approx(sigma, abs=0.04)
    three = corner(draws, levels=(0.3, 0.6, 0.9))
    assert legend_texts(three) == ["30 % of draws", "60 % of draws", "90 % of draws"]
    assert len(contour_lines(panel(three, 1, 0))[0].get_paths()) == 3


@pytest.mark.parametrize("levels", [(), (50, 90), (0.5, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5), (0, 1)])
def test_levels_are_shares(levels):
    draws = make_draws({"x": np.arange(99.0), "y": np.arange(99.0)})
    with pytest.raises(ValueError, match="levels must be 1 to 4 different shares between 0 and 1"):
        corner(draws, levels=levels)


def test_thin_crescents_stay_two_thin_crescents():
    rng = np.random.default_rng(2)
    angle, radius = rng.uniform(-np.pi / 2, np.pi / 2, 10_000), rng.normal(0.1, 0.01, 10_000)
    side = rng.choice([-1, 1], 10_000)
    x, y = side * (radius * np.cos(angle) + 0.25), radius * np.sin(angle)
    draws = make_draws({"x": x, "y": y})
    (lines,) = contour_lines(panel(corner(draws, levels=(0.5, 0.9)), 1, 0))
    outer, inner = lines.get_paths()
    assert 0.89 < outer.contains_points(np.stack([x, y], 1)).mean() < 0.91
    hollow = [[0.29, 0.0], [-0.29, 0.0], [0.0, 0.0]]  # centres of the crescents, and between them
    assert not outer.contains_points(hollow).any()
    assert len(outer.to_polygons()) == 2


def test_regions_do_not_spill_over_a_bound():
    rng = np.random.default_rng(6)
    draws = make_draws({"x": rng.uniform(0, 1, 3_000), "y": rng.normal(size=3_000)})
    figure = corner(draws)
    (lines,) = contour_lines(panel(figure, 1, 0))
    x = np.concatenate([path.vertices[:, 0] for path in lines.get_paths()])
    assert x.min() > -0.02  # two bins
    assert x.max() < 1.02
    (line,) = step_lines(panel(figure, 0, 0))
    assert 0 <= line.get_data().edges[0] < line.get_data().edges[-1] <= 1


def test_regions_use_the_room_inside_the_support_but_no_more():
    rng = np.random.default_rng(7)
    few = make_draws({"x": rng.uniform(-1, 1, 100), "y": rng.beta(1, 5, 100)})
    prior = {"x": rng.normal(0, 5, 2_000), "y": rng.uniform(0, 1, 2_000)}
    (lines,) = contour_lines(panel(corner(few, prior=prior), 1, 0))
    x, y = np.concatenate([path.vertices for path in lines.get_paths()]).T
    assert y.min() > -1e-3  # a bound of the prior
    assert x.min() < few.x.min()  # not flat at the outermost draw


def test_regions_of_a_thin_shape_are_smooth():
    rng = np.random.default_rng(8)
    x = rng.normal(size=10_000)
    # A thin ridge, and draws that scatter around it: one width of smoothing is wrong for both.
    y = x + rng.normal(size=10_000) * np.where(rng.random(10_000) < 0.6, 0.02, 1.0)
    (lines,) = contour_lines(panel(corner(make_draws({"x": x, "y": y})), 1, 0))
    outer, inner = lines.get_paths()
    assert len(outer.to_polygons()) == 1  # no islands
    ridge = np.abs(inner.vertices[:, 1] - inner.vertices[:, 0])
    assert np.median(ridge) < 0.25


def test_histograms_are_densities(draws):
    (line,) = step_lines(panel(corner(draws), 0, 0))
    values, edges, _ = line.get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1.0, abs=0.003)


def test_prior_is_a_density_inside_and_outside_its_support(draws):
    rng = np.random.default_rng(3)
    figure = corner(draws, names=["elbow"], prior={"elbow": rng.uniform(0, 10, 20_000)})
    prior, _ = step_lines(panel(figure, 0, 0))
    values, edges, _ = prior.get_data()
    assert edges[0] == pytest.approx(0.0, abs=0.01)  # the prior's end, not the axis'
    np.testing.assert_allclose(values, 0.1, rtol=0.15)
    assert legend_texts(figure) == ["posterior", "prior"]


def test_sets_are_overlaid_on_common_parameters_in_different_colours(draws):
    other = draws[["theta"]].isel(draw=slice(500))
    figure = corner({"cINN": draws, "ABC": other}, truth={"theta": [0.1, 0.2], "elbow": 3})
    assert len(figure.axes) == 3
    first, second = contour_lines(panel(figure, 1, 0))
    assert not np.allclose(first.get_edgecolor()[0], second.get_edgecolor()[0])
    assert legend_texts(figure) == ["cINN", "ABC", "truth", *LEVELS]


def test_truth_is_marked_and_always_on_the_axes(draws):
    truth = xr.Dataset({"elbow": 40.0, "theta": ("theta_dim", [0.5, -0.25])})
    ax = panel(corner(draws, truth=truth), 2, 0)
    marker = next(line for line in ax.lines if line.get_marker() == "s")
    np.testing.assert_array_equal(marker.get_xydata(), [[40.0, -0.25]])
    assert ax.get_xlim()[0] < 40.0 < ax.get_xlim()[1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["theta"], [r"$\theta$[0]", r"$\theta$[1]"]),
        (["theta[1]", "elbow"], [r"$\theta$[1]", "elbow [rad]"]),
    ],
)
def test_names_choose_variables_and_columns_in_order(draws, names, expected):
    figure = corner(draws, names=names)
    assert [panel(figure, 1, col).get_xlabel() for col in (0, 1)] == expected


def test_derived_variables_are_plotted_under_their_own_name(draws):
    draws["elbow_deg"] = np.rad2deg(draws.elbow)
    assert panel(corner(draws, names=["elbow_deg"]), 0, 0).get_xlabel() == "elbow_deg"


@pytest.mark.parametrize("value", [0.0, 2.0, 1e6])
def test_constant_parameter_is_a_line(draws, value):
    constant = draws.assign(fixed=("draw", np.full(5_000, value)))
    figure = corner(constant, names=["elbow", "fixed"])
    assert contour_lines(panel(figure, 1, 0)) == []
    assert panel(figure, 1, 1).lines[0].get_xdata()[0] == value
    low, high = panel(figure, 1, 1).get_xlim()
    assert low < value < high


@pytest.mark.parametrize("m", [1, 2, 20])
def test_few_draws_are_drawn_as_points(draws, m):
    ax = panel(corner(draws.isel(draw=slice(m))), 1, 0)
    assert contour_lines(ax) == []
    (points,) = (line for line in ax.lines if isinstance(line, Line2D))
    assert len(points.get_xdata()) == m
    assert not any(isinstance(one, PathCollection) for one in ax.collections)


def test_narrow_posterior_far_from_zero_has_short_tick_labels():
    rng = np.random.default_rng(4)
    draws = make_draws({"rate": 1234.5 + 1e-4 * rng.normal(size=500)}, units={"rate": "Hz"})
    ax = panel(corner(draws), 0, 0)
    assert ax.get_xlabel() == "rate −\u00a01234.5 [$10^{-4}$ Hz]"
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert 2 <= len(labels) <= 4
    assert max(map(len, labels)) <= 3
    shown = 1234.5 + 1e-4 * np.array([float(label.replace("−", "-")) for label in labels])
    np.testing.assert_allclose(ax.get_xticks(), shown, rtol=0, atol=1e-9)


@pytest.mark.parametrize("width_mm", [85, 180])
def test_nothing_is_clipped_and_tick_labels_do_not_touch(width_mm):
    rng = np.random.default_rng(5)
    scales = {"height": 0.1, "shoulder": 3, "abduction": 400, "wrist": 1e-5}
    draws = make_draws(
        {name: scale * rng.normal(size=500) for name, scale in scales.items()},
        labels={"abduction": "glenohumeral abduction angle"},
        units=dict.fromkeys(scales, "rad"),
    )
    figure = corner({"cINN": draws, "ABC": draws}, truth={"wrist": 0.0}, width_mm=width_mm)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    labels = [label for col in range(4) for label in panel(figure, 3, col).get_xticklabels()]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    assert len(boxes) >= 8
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    assert all(7 <= text.get_fontsize() <= 9 for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"draws": {}}, "empty mapping"),
        ({"names": ["wrist"]}, r"'theta\[1\]'.*got \['wrist'\]"),
        ({"names": []}, "got none"),
        ({"truth": {"wrist": 1.0}}, r"truth must name.*got \['wrist'\]"),
        ({"truth": {"elbow": np.nan}}, "true values must be finite"),
        ({"prior": {"wrist": [1.0, 2.0]}}, "prior must name"),
    ],
)
def test_wrong_arguments(draws, arguments, message):
    with pytest.raises(ShapeError, match=message):
        corner(**{"draws": draws, **arguments})


def test_sets_without_a_common_parameter(draws):
    with pytest.raises(ShapeError, match="share no parameter.*'ABC': .'theta.0.'"):
        corner({"cINN": draws[["elbow"]], "ABC": draws[["theta"]]})


def test_draws_that_are_not_finite_are_named(draws):
    draws.elbow[3] = np.inf
    with pytest.raises(ShapeError, match="'elbow' in 'posterior'.*5000 draws, 1 not finite"):
        corner(draws)
