"""The forecast plot: bands by entry, points, and what does not fit."""

import numpy as np
import pytest

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.forecast import plot_forecast

AGAIN = np.random.default_rng(0).normal(100, 10, size=(4_000, 12))


def band_ends(figure, which):
    """Lower and upper end of a band at its first entry."""
    path = figure.axes[0].collections[which].get_paths()[0].vertices
    first = path[np.isclose(path[:, 0], 1)][:, 1]
    return first.min(), first.max()


def test_bands_hold_half_and_nine_tenths():
    figure = plot_forecast(AGAIN, AGAIN[0, :5])
    # Quantiles of 4,000 have standard errors of .02 to .03 sd.
    np.testing.assert_allclose(band_ends(figure, 0), [93.26, 106.74], atol=1.0)
    np.testing.assert_allclose(band_ends(figure, 1), [83.55, 116.45], atol=1.2)


def test_failed_simulations_are_left_out():
    spoilt = AGAIN.copy()
    spoilt[::2, 3] = np.nan
    whole, rest = (plot_forecast(a, []) for a in (AGAIN[1::2], spoilt))
    assert band_ends(whole, 1) == band_ends(rest, 1)


def test_a_gap_in_what_was_observed_is_no_point():
    figure = plot_forecast(AGAIN, [90.0, np.nan, 95.0])
    assert np.isnan(figure.axes[0].lines[0].get_ydata()[1])


def test_counts_on_a_logarithmic_scale_start_at_zero():
    counts = np.random.default_rng(1).poisson(np.geomspace(0.1, 1e5, 30), (500, 30))
    ax = plot_forecast(counts, counts[0, :20], log=True).axes[0]
    assert ax.get_yscale() == "symlog"
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > counts.max() / 2


def test_large_numbers_are_counted_in_the_label():
    cases = Column("cases", "cases", "reported cases", "persons", np.nan)
    ax = plot_forecast(1e4 * AGAIN, [], up=cases).axes[0]
    ax.figure.canvas.draw()
    assert ax.get_ylabel() == "reported cases [$10^{6}$ persons]"
    assert ax.yaxis.get_offset_text().get_text() == ""
    texts = {tick.get_text() for tick in ax.get_yticklabels()}
    assert {"0.4", "1"} <= texts, texts
    ax = plot_forecast(1e4 * AGAIN, [], up=cases, log=True).axes[0]
    assert ax.get_ylabel() == "reported cases [persons]"


@pytest.mark.parametrize("width_mm", [60, 180])
@pytest.mark.parametrize("steps", [1, 2, 3, 8, 10, 12, 25, 300])
def test_ticks_stand_at_whole_steps(steps, width_mm):
    ax = plot_forecast(np.repeat(AGAIN[:9], 25, axis=1)[:, :steps], [], width_mm=width_mm).axes[0]
    ticks = [t for t in ax.get_xticks() if 0.5 < t < steps + 0.5]
    assert ticks
    np.testing.assert_array_equal(ticks, np.rint(ticks))
    texts = [tick.label1.get_text() for tick in ax.xaxis.get_major_ticks()]
    assert not any("." in text for text in texts)


def test_below_zero_there_is_room():
    assert plot_forecast(AGAIN - 100, []).axes[0].get_ylim()[0] < -15


@pytest.mark.parametrize(
    ("again", "observed", "later"),
    [
        (AGAIN[0], AGAIN[0], None),
        (AGAIN, np.zeros(13), None),
        (AGAIN, np.zeros(10), np.zeros(3)),
        (AGAIN, np.zeros((3, 2)), None),
    ],
)
def test_shapes_that_do_not_fit(again, observed, later):
    with pytest.raises(ShapeError, match="plot_forecast: again must have shape"):
        plot_forecast(again, observed, later=later)


def test_at_least_two_simulations():
    with pytest.raises(ShapeError, match="got 1 of 3"):
        plot_forecast(np.array([[1.0], [np.nan], [np.nan]]), [])
