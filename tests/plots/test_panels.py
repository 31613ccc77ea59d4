"""Panels and legends that figures of several kinds share."""

from __future__ import annotations

import pytest

from sbi_inn.plots.panels import (
    add_legend,
    broken,
    is_leftmost,
    is_lowest,
    lay_out,
    panel_grid,
    square,
)
from sbi_inn.plots.style import new_figure, style


def legend_of(labels, width_mm=180.0):
    """Return the legend of a figure of this width, and how far it made the figure grow, in mm."""
    with style():
        figure = new_figure(width_mm, 60.0)
        lines = [figure.add_subplot().plot([0, 1], label=label)[0] for label in labels]
        add_legend(figure, lines, labels)
    return figure.legends[0], 25.4 * figure.get_figheight() - 60.0


@pytest.mark.slow
def test_a_legend_makes_the_figure_grow_by_its_own_height():
    legend, grown = legend_of(["a", "b"])
    height = 25.4 * legend.get_window_extent().height / legend.figure.dpi
    assert grown == pytest.approx(height)
    assert 3 < grown < 8
    assert legend_of([f"x{i}" for i in range(40)], 85.0)[1] > 2 * grown


def test_only_many_long_labels_are_broken():
    short = ["95 % band", *(f"x{i}" for i in range(10))]
    assert [text.get_text() for text in legend_of(short)[0].get_texts()] == short
    long = [f"drift rate of the diffusion number {i}" for i in range(10)]
    texts = [text.get_text() for text in legend_of(long)[0].get_texts()]
    assert all("\n" in text for text in texts)
    assert [text.replace("\n", " ") for text in texts] == long


def test_titles_are_broken_between_words():
    with style():
        wide, narrow = new_figure(180, 50), new_figure(55, 50)
    assert broken("draws at tolerance 0.1 spreads", wide) == "draws at tolerance 0.1 spreads"
    assert broken("draws at tolerance 0.1 spreads", narrow).split("\n") == [
        "draws at tolerance 0.1",
        "spreads",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "most", "shape"), [(1, 4, [1]), (5, 4, [3, 2]), (8, 4, [4, 4])])
def test_rows_of_a_grid_are_of_about_equal_length(n, most, shape):
    with panel_grid(n, most, None, 180.0) as (figure, panels, width_pt):
        assert 0 < 25.4 / 72 * width_pt <= 80
        if n > 1:
            assert lay_out(panels) == pytest.approx(width_pt, rel=0.2)
        square(figure, panels)
    assert len(panels) == n
    starts = [i for i, ax in enumerate(panels) if is_leftmost(ax)]
    assert [b - a for a, b in zip(starts, [*starts[1:], n], strict=True)] == shape
    lowest = [i for i, ax in enumerate(panels) if is_lowest(ax, panels)]
    assert lowest == list(range(n - max(shape), n))
    assert all(ax.get_box_aspect() == 1 for ax in panels)
