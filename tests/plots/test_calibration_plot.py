"""The calibration plot."""

from __future__ import annotations

import numpy as np
import pytest

from sbi_inn.diagnostics.calibration import calibration_floor
from sbi_inn.errors import ShapeError
from sbi_inn.plots.calibration import plot_calibration


@pytest.fixture
def ranks():
    return np.random.default_rng(0).random((500, 2))


def line_of(ax, label):
    (line,) = (line for line in ax.lines if line.get_label() == label)
    return line.get_ydata()


def test_too_narrow_is_below_zero_and_too_high_above():
    u = (np.arange(1_000) + 0.5)[:, None] / 1_000
    narrow, high = np.where(u < 0.5, 2 * u**2, 1 - 2 * (1 - u) ** 2), u**2
    left, right = plot_calibration(np.hstack([narrow, high]), ["narrow", "high"]).axes
    # Coverage at 50 % of ranks 2 u^2 (mirrored): 1 - sqrt(1 / 2); ECDF of u^2 at r: sqrt(r).
    assert line_of(left, "narrow")[49] == pytest.approx(100 * (0.5 - np.sqrt(0.5)), abs=0.2)
    assert line_of(right, "high")[24] == pytest.approx(25, abs=0.2)


def test_texts_say_error_size_and_floor(ranks):
    floor = calibration_floor(500, 2, rng=np.random.default_rng(1))
    title = plot_calibration(ranks, ["a", "b"], floor=floor).get_suptitle()
    assert "calibration error" in title
    assert "500 observations" in title
    assert f"{100 * floor.pooled[0]:.2f} % (median)" in title
    assert "exact" not in plot_calibration(ranks, ["a", "b"]).get_suptitle()


def test_legend_names_every_parameter_and_the_band(ranks):
    (legend,) = plot_calibration(ranks, ["a", "b"], confidence=0.9).legends
    assert [text.get_text() for text in legend.get_texts()] == ["90 % band", "a", "b"]


@pytest.mark.parametrize(
    ("power", "limit", "said"),
    [
        (1.0, 0.02, "inside the band"),
        (1.1, 0.04, "outside the band, yet too small to matter: less than half"),
        (1.1, 0.001, "too large: over half of the points lie beyond"),
    ],
)
def test_the_limit_is_drawn_and_said(power, limit, said):
    u = 2 * (np.arange(4_000)[:, None] + 0.5) / 4_000 - 1
    ranks = (1 + np.sign(u) * np.abs(u) ** power) / 2
    figure = plot_calibration(ranks, ["a"], limit=limit)
    left, right = figure.axes
    levels = [line.get_ydata()[0] for line in left.lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(sorted(levels), [-100 * limit, 0, 100 * limit])
    assert len([line for line in right.lines if len(line.get_xdata()) == 2]) == 1
    assert left.get_ylim()[1] > 100 * limit
    assert said in figure.get_suptitle()
    assert f"limit ({100 * limit:.2f} %)" in [t.get_text() for t in figure.legends[0].get_texts()]
    assert "limit" not in plot_calibration(ranks, ["a"]).get_suptitle()


def test_lines_that_leave_the_band_are_thick():
    u = (np.arange(1_000) + 0.5)[:, None] / 1_000
    for ax in plot_calibration(np.hstack([u, u**2]), ["inside", "outside"]).axes:
        widths = {line.get_label(): line.get_linewidth() for line in ax.lines}
        assert widths["outside"] > 1.5 * widths["inside"]


def test_of_very_many_parameters_the_worst_are_named(ranks):
    many = np.hstack([ranks] * 15)
    many[:, 29] **= 2
    (legend,) = plot_calibration(many, [f"t{i}" for i in range(30)]).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == 26
    assert {"6 others", "t29"} <= set(texts)


@pytest.mark.parametrize(("width_mm", "d"), [(180, 4), (85, 4), (85, 13)])
def test_nothing_leaves_the_page_and_lines_differ(width_mm, d):
    ranks = np.random.default_rng(2).random((200, d))
    floor = calibration_floor(200, d, rng=np.random.default_rng(3))
    columns = [f"theta[{i}]" for i in range(d)]
    figure = plot_calibration(ranks, columns, floor=floor, limit=0.01, width_mm=width_mm)
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    lines = [line for line in figure.axes[0].lines if line.get_label() in columns]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == d


def test_columns_must_fit_the_ranks(ranks):
    with pytest.raises(ShapeError, match=r"\(n, 3\).*got \(500, 2\)"):
        plot_calibration(ranks, ["a", "b", "c"])


def test_what_is_wrong_with_one_parameter_is_not_called_too_small():
    u = (np.arange(4_000) + 0.5) / 4_000
    wide = (1 + np.sign(2 * u - 1) * np.abs(2 * u - 1) ** 1.3) / 2
    ranks = np.column_stack([u, u, u, u, wide])
    names = ["a", "b", "c", "d", "period"]
    title = plot_calibration(ranks, names, limit=0.02).get_suptitle()
    assert "outside the band: of period, over half of the points lie beyond the limit" in title
    assert "of all together, less" in title.replace("\n", " ")
    said = "caution: the calibration error of period is 4.6 %"
    title = plot_calibration(ranks, names, limit=0.02, objection=said).get_suptitle()
    assert title.endswith(f"\n{said}")
