"""Figures of probabilities of models."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sbi_inn.comparison.figures import expected_uncertainty
from sbi_inn.diagnostics.reliability import reliability
from sbi_inn.plots.classification import (
    plot_confusion,
    plot_false_alarms,
    plot_reliability,
    plot_residuals,
    plot_spreads,
)
from sbi_inn.plots.decision import plane, plot_decision


def test_a_reliability_curve_that_leaves_its_band_is_marked():
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1, 1], size=2_000)
    right = (rng.random(2_000) > p[:, 0]).astype(int)
    wrong = (rng.random(2_000) > p[:, 0] ** 3).astype(int)
    marked = []
    for truth in (right, wrong):
        figure = plot_reliability(reliability(p, truth, rng=rng))
        out = [line for line in figure.axes[0].lines if line.get_label() == "outside the band"]
        marked.append(len(np.atleast_1d(out[0].get_xdata())))
    assert marked[0] == 0
    assert marked[1] > 3


def test_a_confusion_matrix_shows_shares_of_its_rows():
    counts = pd.DataFrame([[3, 1], [0, 8]], index=["a", "b"], columns=["a", "b"])
    figure = plot_confusion(counts)
    assert [t.get_text() for t in figure.axes[0].texts] == ["75%", "25%", "0%", "100%"]


def test_of_many_statistics_those_that_stand_out_are_shown():
    slopes = np.zeros((2, 50))
    slopes[1, 7] = 0.4
    names = [f"y[{i}]" for i in range(50)]
    figure = plot_residuals(slopes, ["a", "b"], names)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels[-1] == "y[7]"
    assert len(labels) == 20


def test_p_values_and_spreads_have_a_line_where_they_are_right():
    for figure in (plot_false_alarms(np.linspace(0, 1, 200)), plot_spreads(np.array([0.9, 1.1]))):
        (line,) = [one for one in figure.axes[0].lines if one.get_linestyle() == "--"]
        assert list(line.get_ydata()) == [1, 1]


def test_the_plane_keeps_distances_to_the_axis_and_the_means():
    rng = np.random.default_rng(2)
    first, second, rows = rng.normal(size=5), rng.normal(size=5), rng.normal(size=(9, 5))
    gap = np.linalg.norm(second - first)
    found = plane(rows, first, second)
    for mean, place in ((first, 0.0), (second, gap)):
        distance = np.hypot(found[:, 0] - place, found[:, 1])
        np.testing.assert_allclose(distance, np.linalg.norm(rows - mean, axis=1))


@pytest.mark.parametrize("dim", [1, 4])
def test_a_decision_is_drawn_in_any_dimension(dim):
    rng = np.random.default_rng(3)
    means = np.zeros(dim), np.full(dim, 2.0)
    clouds = tuple(mean + rng.normal(size=(50, dim)) for mean in means)
    figure = plot_decision(np.ones(dim), clouds, means, ("a", "b"), title="even")
    (star,) = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert star.get_xdata()[0] == pytest.approx(np.sqrt(dim))  # half way
    assert star.get_ydata()[0] == pytest.approx(0, abs=1e-9)


def test_the_expected_uncertainty_is_that_of_draws():
    rng = np.random.default_rng(4)
    for distance in (0.5, 2.0, 5.0):
        t = rng.normal(size=200_000) + np.where(rng.random(200_000) < 0.5, 0, distance)
        p = stats.norm.pdf(t, 0) / (stats.norm.pdf(t, 0) + stats.norm.pdf(t, distance))
        exact = np.minimum(p, 1 - p).mean()
        assert expected_uncertainty(distance) == pytest.approx(exact, abs=2e-3)
