"""Discrete parameters in figures: a bar for each value."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from sbi_inn.draws import columns_of, make_draws, summary
from sbi_inn.plots.corner import corner
from sbi_inn.plots.marginals import bars, draw_histogram, draw_pair, draw_prior

RNG = np.random.default_rng(1)
K = RNG.binomial(4, 0.5, 5000)


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_each_value_has_a_bar_as_high_as_its_share(ax):
    top = draw_histogram(ax, K.astype(float), "C0", discrete=True)
    shares = np.bincount(K) / len(K)
    assert top == pytest.approx(shares.max())
    heights, edges, _ = ax.patches[0].get_data()
    np.testing.assert_allclose(heights, shares)
    np.testing.assert_allclose(edges, np.arange(6) - 0.5)


def test_the_prior_s_bars_keep_their_height_where_the_axis_shows_some_of_them(ax):
    top = draw_prior(ax, K.astype(float), (0.6, 2.4), discrete=True)
    heights, edges, _ = ax.patches[0].get_data()
    np.testing.assert_allclose(edges, [0.5, 1.5, 2.5])
    np.testing.assert_allclose(heights, np.bincount(K)[1:3] / len(K))
    assert top == heights.max()


def whole_numbers_in_each(edges):
    """How many whole numbers a bin holds; its ends must lie halfway between two."""
    np.testing.assert_array_equal(edges % 1, 0.5)
    return np.diff(edges)


def test_many_values_share_bins_that_hold_equally_many(ax):
    wide = RNG.poisson(1e4, 5000).astype(float)
    assert bars(wide) is None
    assert draw_histogram(ax, wide, "C0", discrete=True) < 0.01
    widths = whole_numbers_in_each(ax.patches[0].get_data().edges)
    assert len(set(widths[:-1])) == 1
    assert 10 <= len(widths) <= 81


@pytest.mark.parametrize("values", [101, 131, 260, 4_000])
def test_even_probabilities_give_no_comb(ax, values):
    # Bins of unequal numbers of values would differ by a factor of up to 2; this is 6 sd of noise.
    even = RNG.integers(5, 5 + values, 400_000).astype(float)
    draw_histogram(ax, even, "C0", discrete=True)
    heights, edges, _ = ax.patches[0].get_data()
    whole_numbers_in_each(edges)
    noise = np.sqrt(values / (len(even) * np.diff(edges)))
    # Both ends of an axis leave out .1 % of the draws, whose values may be part of a bin.
    assert (np.abs(heights[1:-1] * values - 1) < 6 * noise[1:-1]).all()


def test_the_prior_of_many_values_has_no_comb(ax):
    even = RNG.integers(0, 400, 400_000).astype(float)
    top = draw_prior(ax, even, (99.3, 230.8), discrete=True)
    heights, edges, _ = ax.patches[0].get_data()
    whole_numbers_in_each(edges)
    assert (edges[0], edges[-1]) == (98.5, 231.5)
    np.testing.assert_allclose(heights[1:-1], 1 / 400, rtol=0.15)
    assert top == heights.max()
    assert draw_prior(ax, np.array([0.0, 100.0]), (40.2, 60.7), discrete=True) == 0


def test_regions_of_many_values_have_no_comb(ax):
    even, x = RNG.integers(0, 131, 100_000), RNG.normal(size=100_000)
    draw_pair(ax, x, even.astype(float), "C0", discrete=(False, True), levels=(0.5,))
    (outline,) = (c for c in ax.collections if len(c.get_facecolor()) == 0)
    (path,) = outline.get_paths()
    # Half of the draws are within .674 sd, whatever the whole number is: two straight lines.
    sides = path.vertices[(path.vertices[:, 1] > 0) & (path.vertices[:, 1] < 130), 0]
    np.testing.assert_allclose(np.abs(sides), 0.674, atol=0.1)
    assert path.vertices[:, 1].min() == pytest.approx(-0.5, abs=0.1)
    assert path.vertices[:, 1].max() == pytest.approx(130.5, abs=0.1)


@pytest.mark.parametrize("width_mm", [40, 85, 180])
@pytest.mark.parametrize(
    "values", [RNG.random(500) < 0.9, 5 + K, RNG.poisson(3, 900), RNG.poisson(1e6, 900)]
)
def test_ticks_stand_at_whole_numbers(width_mm, values):
    figure = corner(make_draws({"k": values}), width_mm=width_mm)
    ticks = figure.axes[0].get_xticks()
    assert len(ticks) > 0
    np.testing.assert_allclose(ticks, np.rint(ticks), rtol=1e-12)
    if len(set(values.tolist())) == 2:
        assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0", "1"]
    plt.close(figure)


def test_pairs_fill_the_cells_that_hold_half_and_nine_tenths(ax):
    x = RNG.normal(size=len(K))
    draw_pair(ax, x, K.astype(float), "C0", discrete=(False, True), levels=(0.5, 0.9))
    (mesh,) = (c for c in ax.collections if isinstance(c, QuadMesh))
    alpha = np.asarray(mesh.get_array()).reshape(-1, 4)[:, 3]
    assert set(np.unique(alpha).round(2)) == {0.0, 0.15, 0.35}


def test_regions_are_smooth_along_the_other_axis(ax):
    x = RNG.normal(size=2_000)
    draw_pair(ax, x, 1.0 + (x > 0.3), "C0", discrete=(False, True))
    (mesh,) = (c for c in ax.collections if isinstance(c, QuadMesh))
    filled = np.asarray(mesh.get_array())[..., 3] > 0  # a row for each value
    runs = (np.diff(filled.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    assert runs[filled.any(axis=1)].tolist() == [1, 1]


@pytest.mark.slow
def test_a_corner_with_integers_truth_and_prior():
    draws = make_draws({"k": K, "x": RNG.normal(size=len(K)), "j": K > 2})
    figure = corner(
        {"one": draws, "other": draws.isel(draw=slice(1000))},
        truth={"k": 3, "x": 0.0},
        prior={"k": RNG.integers(0, 9, 4000), "x": RNG.normal(size=4000)},
    )
    assert len(figure.axes) == 6
    low, high = figure.axes[0].get_xlim()
    assert low < -0.5
    assert high > 4.5
    plt.close(figure)


def test_a_constant_integer_is_a_line():
    draws = make_draws({"k": np.full(500, 3), "x": RNG.normal(size=500)})
    plt.close(corner(draws))


def test_summaries_give_the_mode_of_integers_alone():
    draws = make_draws({"k": [1, 2, 2, 3], "x": [0.1, 0.2, 0.3, 0.4]})
    assert [column.discrete for column in columns_of(draws)] == [True, False]
    table = summary(draws)
    assert table.loc["k", "mode"] == 2
    assert table.loc["k", "median"] == 2
    assert np.isnan(table.loc["x", "mode"])
    assert "mode" not in summary(draws[["x"]])
