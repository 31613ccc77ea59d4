"""The rank plot: the difference of the ECDFs, and which lines stand out."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from sbi_inn.diagnostics.calibration import LEVELS
from sbi_inn.diagnostics.uniformity import simultaneous_band
from sbi_inn.errors import ShapeError
from sbi_inn.plots.ranks import plot_ranks
from sbi_inn.plots.style import COLOURS, GREY

N = 1_000
UNIFORM = ((np.arange(N) + 0.5) / N)[:, None]
BAND = simultaneous_band(N, confidence=0.999)


def lines_of(figure):
    """Return the lines of the columns, by label; those without a name of their own in a list."""
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == len(LEVELS)]
    named = {line.get_label(): line for line in lines if not line.get_label().startswith("_")}
    return named, [line for line in lines if line.get_label().startswith("_")]


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_line_is_the_share_of_ranks_below_minus_the_level():
    named, _ = lines_of(plot_ranks(np.hstack([UNIFORM, UNIFORM**2]), ["exact", "high"], band=BAND))
    np.testing.assert_allclose(named["exact"].get_ydata(), 0, atol=0.11)
    expected = 100 * (np.sqrt(LEVELS) - LEVELS)  # the ECDF of u^2 at r is sqrt(r)
    np.testing.assert_allclose(named["high"].get_ydata(), expected, atol=0.11)


def test_a_line_that_leaves_the_band_is_thick():
    named, _ = lines_of(plot_ranks(np.hstack([UNIFORM, UNIFORM**2]), ["exact", "high"], band=BAND))
    assert named["high"].get_linewidth() > 1.5 * named["exact"].get_linewidth()


@pytest.mark.parametrize("above", [0.02, -0.02])
def test_leaving_is_judged_by_the_band_that_is_given(above):
    bias = above * np.sin(np.pi * UNIFORM)  # shifts the ECDF by about as much, down
    ranks = np.hstack([UNIFORM, UNIFORM + bias])
    inside, _ = lines_of(plot_ranks(ranks, ["a", "b"], band=(LEVELS - 0.025, LEVELS + 0.025)))
    assert inside["b"].get_linewidth() == inside["a"].get_linewidth()
    outside, _ = lines_of(plot_ranks(ranks, ["a", "b"], band=(LEVELS - 0.01, LEVELS + 0.01)))
    assert outside["b"].get_linewidth() > outside["a"].get_linewidth()


def test_of_many_columns_only_those_outside_are_coloured_and_named():
    ranks = np.hstack([UNIFORM] * 12)
    ranks[:, 3], ranks[:, 10] = UNIFORM[:, 0] ** 1.2, UNIFORM[:, 0] ** 2
    figure = plot_ranks(ranks, [f"t{i}" for i in range(12)], band=BAND)
    named, others = lines_of(figure)
    assert list(named) == ["t10", "t3"]  # the furthest first
    assert len(others) == 10
    assert {to_hex(line.get_color()).upper() for line in others} == {GREY}
    assert {line.get_color() for line in named.values()} == set(COLOURS[:2])
    assert legend_texts(figure) == ["exact posterior", "10 others", "t10", "t3"]


def test_at_most_six_are_named_and_none_where_all_are_inside():
    columns = [f"t{i}" for i in range(20)]
    named, _ = lines_of(plot_ranks(np.hstack([UNIFORM**2] * 20), columns, band=BAND))
    assert len(named) == 6
    figure = plot_ranks(np.hstack([UNIFORM] * 20), columns, band=BAND)
    assert lines_of(figure)[0] == {}
    assert legend_texts(figure) == ["exact posterior", "all 20"]


def test_words_are_written():
    figure = plot_ranks(
        UNIFORM,
        ["a"],
        title="TARP",
        quantity="level",
        excess="held − level",
        above="too wide",
        below="too narrow",
    )
    (ax,) = figure.axes
    assert ax.get_xlabel() == "level [%]"
    assert ax.get_ylabel() == "held − level [%]"
    assert ax.get_title() == "TARP"
    assert [text.get_text() for text in ax.texts] == ["↑ too wide", "↓ too narrow"]
    assert [t.get_text() for t in plot_ranks(UNIFORM, ["a"]).axes[0].texts] == ["", ""]


@pytest.mark.parametrize("width_mm", [85, 180])
@pytest.mark.parametrize("q", [1, 4, 12])
def test_nothing_leaves_the_page(width_mm, q):
    ranks = np.random.default_rng(0).random((200, q)) ** 2
    columns = [f"drift rate of the diffusion × boundary separation number {i}" for i in range(q)]
    figure = plot_ranks(
        ranks,
        columns,
        band=simultaneous_band(200),
        title="ranks of the products of pairs, centred at the mean of the posterior and scaled",
        width_mm=width_mm,
    )
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    panel = figure.axes[0].get_window_extent().height / figure.dpi * 25.4
    assert panel > 0.25 * width_mm  # the legend takes no room from it


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["a", "b"]}, r"\(n, 2\).*got \(1000, 1\)"),
        ({"ranks": np.zeros((0, 1))}, r"not be empty.*got \(0, 1\)"),
        ({"ranks": UNIFORM[:, 0]}, r"got \(1000,\)"),
        ({"ranks": 2 * UNIFORM}, r"\[0, 1\]; got 0.001 to 1.999"),
        ({"ranks": np.where(UNIFORM > 0.5, np.nan, 0)}, r"\[0, 1\]"),
        ({"band": (LEVELS[1:], LEVELS)}, r"\(99,\).*got \(98,\) and \(99,\)"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    with pytest.raises(ShapeError, match=message):
        plot_ranks(**{"ranks": UNIFORM, "columns": ["a"], **change})
