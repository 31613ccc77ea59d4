"""The latent-space plot: orientation, circles, colours, and what does not fit."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.latent import plot_latent
from sbi_inn.plots.style import COLOURS

AXIS = np.linspace(-3, 3, 25)
FIRST, SECOND = np.meshgrid(AXIS, AXIS, indexing="ij")


def columns_of(*names, units="rad"):
    return [Column(name, name, label=name, units=units, prior_width95=1.0) for name in names]


def mesh_of(ax):
    (mesh,) = (one for one in ax.collections if isinstance(one, QuadMesh))
    return mesh


def bar_of(ax):
    """Return the axes of a panel's colour bar."""
    (bar,) = ax.child_axes
    return bar


def colour_at(ax, x, y):
    """Return the colour drawn at a point, red, green and blue in [0, 1]."""
    mesh = mesh_of(ax)
    mesh.update_scalarmappable()
    edges = mesh.get_coordinates()
    row, col = np.searchsorted(edges[:, 0, 1], y) - 1, np.searchsorted(edges[0, :, 0], x) - 1
    colours = mesh.get_facecolor().reshape(len(edges) - 1, edges.shape[1] - 1, -1)
    return colours[row, col, :3]


def test_first_latent_runs_to_the_right_and_second_upwards():
    ax = plot_latent(AXIS, [FIRST + 10 * SECOND], columns_of("elbow")).axes[0]
    values = np.asarray(mesh_of(ax).get_array())
    edges = mesh_of(ax).get_coordinates()
    assert values[-1, 0] - values[0, 0] == pytest.approx(60)  # upwards
    assert values[0, -1] - values[0, 0] == pytest.approx(6)  # to the right
    centres = (edges[:-1, :-1] + edges[1:, 1:]) / 2
    np.testing.assert_allclose(centres[2, 5], [AXIS[5], AXIS[2]])
    categories = plot_latent(AXIS, [(FIRST > 0).astype(int)], columns_of("mode")).axes[0]
    np.testing.assert_allclose(colour_at(categories, 2, -2), to_rgb(COLOURS[1]))
    np.testing.assert_allclose(colour_at(categories, -2, 2), to_rgb(COLOURS[0]))


def test_circles_hold_their_mass():
    ax = plot_latent(AXIS, [FIRST], columns_of("elbow")).axes[0]
    circles = [patch for patch in ax.patches if isinstance(patch, Circle)]
    draws = np.random.default_rng(0).normal(size=(40_000, 2))
    found = [np.mean(np.hypot(*draws.T) < circle.get_radius()) for circle in circles]
    # Monte-Carlo error .0025 at most.
    np.testing.assert_allclose(found, [0.5, 0.9], rtol=0, atol=0.01)
    assert [text.get_text() for text in ax.texts] == ["50 %", "90 %"]
    assert ax.get_xlim() == ax.get_ylim() == pytest.approx((-3.125, 3.125))  # the grid, no more


def test_labels_name_latents_from_one_and_columns_with_units():
    figure = plot_latent(AXIS, [FIRST, SECOND], columns_of("elbow", "wrist"), axes=(1, 4))
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("latent 2", "latent 5")
    assert (right.get_xlabel(), right.get_ylabel()) == ("latent 2", "")
    assert [bar_of(ax).get_xlabel() for ax in (left, right)] == ["elbow [rad]", "wrist [rad]"]


def test_corners_that_are_hardly_ever_drawn_do_not_set_the_colours():
    far = np.hypot(FIRST, SECOND) > 4
    spiked = np.where(far, 1e6, FIRST)
    low, high = mesh_of(plot_latent(AXIS, [spiked], columns_of("elbow")).axes[0]).get_clim()
    assert low == -3
    assert high == 3


def test_a_constant_has_colours_around_it():
    ax = plot_latent(AXIS, [np.full_like(FIRST, 2.0)], columns_of("elbow")).axes[0]
    low, high = mesh_of(ax).get_clim()
    assert low < 2 < high


def test_integers_are_categories_with_a_legend():
    modes = (FIRST > 0) * 5 + (SECOND > 0) * 2
    figure = plot_latent(AXIS, [modes], columns_of("nearest mode", units=""))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0", "2", "5", "7"]
    assert figure.axes[0].get_title() == "nearest mode"
    assert figure.axes[0].child_axes == []
    in_legend = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
    corners = [(-2, -2), (-2, 2), (2, -2), (2, 2)]
    np.testing.assert_allclose(in_legend, [colour_at(figure.axes[0], *at) for at in corners])
    assert len(set(in_legend)) == 4


def test_eight_categories_differ():
    modes = np.arange(25 * 25).reshape(25, 25) % 8
    (legend,) = plot_latent(AXIS, [modes], columns_of("mode")).legends
    assert len({patch.get_facecolor() for patch in legend.get_patches()}) == 8


def test_far_from_its_category_a_point_is_dark_and_keeps_its_hue():
    closeness = np.where(FIRST > 0, 1.0, 0.2)
    modes = np.zeros((25, 25), dtype=int)
    ax = plot_latent(AXIS, [modes], columns_of("mode"), closeness=closeness).axes[0]
    np.testing.assert_allclose(colour_at(ax, 2, -2), to_rgb(COLOURS[0]))
    share = colour_at(ax, -2, 2)[1:] / np.array(to_rgb(COLOURS[0]))[1:]
    assert share[0] == pytest.approx(share[1])
    assert 0.2 <= share[0] < 0.4


@pytest.mark.slow
@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("n", [1, 2, 4, 7])
@pytest.mark.parametrize("dtype", [float, int])
def test_panels_are_square_and_nothing_leaves_the_page(width_mm, n, dtype):
    names = ["shoulder", "glenohumeral abduction angle", *(f"theta[{i}]" for i in range(5))][:n]
    grids = [(np.sign(FIRST) * (i + 1)).astype(dtype) % 8 for i in range(n)]
    figure = plot_latent(AXIS, grids, columns_of(*names), width_mm=width_mm)
    assert len(figure.axes) == n
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    panels = [ax.get_window_extent() for ax in figure.axes]
    sides = np.array([[panel.width, panel.height] for panel in panels]) / figure.dpi * 25.4
    np.testing.assert_allclose(sides, sides[0, 0], rtol=0.01)
    if n > 1:  # the page is used: panels side by side leave little between them
        across = round(sum(abs(panel.y0 - panels[0].y0) < 1 for panel in panels))
        assert across * sides[0, 0] > width_mm - 12 - 5 * across
    assert all(7 <= text.get_fontsize() <= 8 for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axis": AXIS[:-1]}, r"shape \(1, 24, 24\).*'elbow'.*got \(1, 25, 25\)"),
        ({"axis": AXIS[::-1]}, "increase"),
        ({"axis": [0.0]}, "k > 1"),
        ({"values": [FIRST, FIRST]}, r"got \(2, 25, 25\)"),
        ({"columns": [], "values": np.zeros((0, 25, 25))}, "at least one"),
        ({"values": [np.where(FIRST > 2, np.nan, 0)]}, r"finite.*\{'elbow': 100\}"),
        ({"values": [np.arange(625).reshape(25, 25)]}, "at most 8.*got 625"),
        ({"closeness": np.ones((25, 25))}, "must then be integers"),
        ({"values": [np.ones((25, 25), int)], "closeness": np.ones((25, 24))}, r"got \(25, 24\)"),
        ({"values": [np.ones((25, 25), int)], "closeness": 2 * FIRST}, "-6.0 to 6.0"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    arguments = {"axis": AXIS, "values": [FIRST], "columns": columns_of("elbow"), **change}
    with pytest.raises(ShapeError, match=message):
        plot_latent(**arguments)
