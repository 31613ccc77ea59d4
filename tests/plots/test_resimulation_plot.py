"""The plot of re-simulation errors: shares, ticks, and simulations that failed."""

from __future__ import annotations

import numpy as np
import pytest

from sbi_inn.plots.resimulation import plot_errors

ERRORS = np.random.default_rng(0).exponential(0.3, 400)


def labels_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_lines_are_the_shares_below():
    figure = plot_errors(np.array([3.0, 1.0, np.nan, 2.0, 4.0]), noise=np.array([0.5, 0.25]))
    again, noise = figure.axes[0].lines
    np.testing.assert_allclose(again.get_xydata(), [[1, 25], [2, 50], [3, 75], [4, 100]])
    np.testing.assert_allclose(noise.get_xydata(), [[0.25, 50], [0.5, 100]])
    assert labels_of(figure) == ["re-simulated draws", "new simulation at the truth"]


@pytest.mark.parametrize("noise", [None, np.zeros(9), np.full(9, np.nan)])
def test_no_noise_has_no_line(noise):
    assert labels_of(plot_errors(ERRORS, noise=noise)) == ["re-simulated draws"]


@pytest.mark.parametrize("shape", [(400,), (40, 10)])
def test_the_smallest_errors_do_not_set_the_axis(shape):
    errors = ERRORS.copy()
    errors[0] = 0
    low, high = plot_errors(errors.reshape(shape)).axes[0].get_xlim()
    assert np.mean(errors < low) == pytest.approx(0.005, abs=0.005)
    assert errors.max() < high < 2 * errors.max()


@pytest.mark.parametrize(
    ("errors", "texts"),
    [
        ([0.04, 0.1, 0.9], ["0.05", "0.1", "0.2", "0.5", "1"]),
        ([0.0009, 0.1, 30.0], ["0.001", "0.01", "0.1", "1", "10"]),
        ([2e5, 2e6], ["$2×10^{5}$", "$5×10^{5}$", "$10^{6}$", "$2×10^{6}$"]),
    ],
)
def test_ticks_are_plain_numbers_where_they_can_be(errors, texts):
    ax = plot_errors(np.array(errors)).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == texts
    values = [10 ** (np.log10(tick) % 1) for tick in ax.get_xticks()]
    assert np.allclose(np.min(np.abs(np.subtract.outer(values, [1, 2, 5, 10])), axis=1), 0)


def test_a_short_axis_has_more_than_one_tick():
    ax = plot_errors(np.array([1.1, 1.2])).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "1.1", "1.2", "1.3", "1.4"]


@pytest.mark.parametrize("exponent", [1, 4, 9, 12])
def test_few_ticks_whatever_the_range(exponent):
    ticks = plot_errors(np.geomspace(10.0**-exponent, 10.0, 100)).axes[0].get_xticks()
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize("noise", [None, ERRORS])
def test_where_every_simulation_failed_the_title_says_so(noise):
    figure = plot_errors(np.full(20, np.nan), noise=noise, remark="draws at tolerance 0")
    assert figure.axes[0].get_title() == "no draw could be simulated again"
    assert len(figure.axes[0].lines) == (noise is not None)


@pytest.mark.parametrize("errors", [np.zeros(20), np.full(20, 0.3)])
def test_errors_that_are_all_the_same(errors):
    low, high = plot_errors(errors).axes[0].get_xlim()
    assert low < max(errors[0], 1e-12) < high


@pytest.mark.parametrize("width_mm", [85, 180])
def test_nothing_leaves_the_page(width_mm):
    remark = "draws at tolerance 0.01 to 0.2 spreads, for observables that come without any noise"
    figure = plot_errors(ERRORS, noise=ERRORS / 2, remark=remark, width_mm=width_mm)
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
